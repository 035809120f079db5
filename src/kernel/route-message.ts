import { type Family, type InterfaceAddress, type Ip, ipBytes, ipFromBytes } from '../model/address.ts';
import { AF } from './address-message.ts';
import { attribute, type NetlinkMessage, parseAttributes, u32 } from './netlink.ts';

/** Messages about routes (linux/rtnetlink.h). */

const RT_TABLE_MAIN = 254;
const RT_TABLE_LOCAL = 255;
const RTPROT_BOOT = 3;
const RT_SCOPE_UNIVERSE = 0;
const RTN_UNICAST = 1;
const RTN_LOCAL = 2;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_TABLE = 15;

const LOOPBACK = ipBytes('::1' as Ip);

export interface Route {
  /** Undefined is the default route. */
  readonly to: InterfaceAddress | undefined;
  readonly gateway: Ip | undefined;
  readonly family: Family;
  readonly link: number;
}

/** @param gateway any of this link when undefined */
export function defaultRouteParts(link: number, family: Family, gateway?: Ip): Buffer[] {
  const by = gateway === undefined ? [] : [attribute(RTA_GATEWAY, ipBytes(gateway))];
  return [routeHeader(family), ...by, attribute(RTA_OIF, u32(link))];
}

/** `local ::1/128 dev LINK table local`. */
export function loopbackRouteParts(link: number): Buffer[] {
  const header = routeHeader('ipv6');
  header[1] = 128;
  header[4] = RT_TABLE_LOCAL;
  header[7] = RTN_LOCAL;
  return [header, attribute(RTA_DST, LOOPBACK), attribute(RTA_OIF, u32(link))];
}

/** struct rtmsg that asks for all routes of one family, or of both. */
export function routesHeader(family?: Family): Buffer {
  const header = Buffer.alloc(12);
  if (family !== undefined) header[0] = AF[family];
  return header;
}

/** struct rtmsg of a route of the main table. */
function routeHeader(family: Family): Buffer {
  return Buffer.from([
    AF[family],
    0,
    0,
    0,
    RT_TABLE_MAIN,
    RTPROT_BOOT,
    RT_SCOPE_UNIVERSE,
    RTN_UNICAST,
    0,
    0,
    0,
    0,
  ]);
}

/** RTM_NEWROUTE. @returns nothing but for unicast routes of the main table */
export function parseRoute(answer: NetlinkMessage): Route[] {
  const attributes = parseAttributes(answer.payload, 12);
  const table = attributes.get(RTA_TABLE)?.readUInt32LE(0) ?? answer.payload.readUInt8(4);
  const link = attributes.get(RTA_OIF)?.readUInt32LE(0);
  if (table !== RT_TABLE_MAIN || answer.payload.readUInt8(7) !== RTN_UNICAST || link === undefined) return [];
  const length = answer.payload.readUInt8(1);
  const to = attributes.get(RTA_DST);
  const gateway = attributes.get(RTA_GATEWAY);
  return [
    {
      to: to === undefined ? undefined : { address: ipFromBytes(to), length },
      gateway: gateway === undefined ? undefined : ipFromBytes(gateway),
      family: answer.payload.readUInt8(0) === AF.ipv6 ? 'ipv6' : 'ipv4',
      link,
    },
  ];
}

/** RTM_NEWROUTE. @returns the link of a local route to ::1 */
export function parseLoopbackRoute(answer: NetlinkMessage): number[] {
  const attributes = parseAttributes(answer.payload, 12);
  const here = answer.payload.readUInt8(7) === RTN_LOCAL && attributes.get(RTA_DST)?.equals(LOOPBACK);
  return here ? [attributes.get(RTA_OIF)?.readUInt32LE(0) ?? 0] : [];
}
