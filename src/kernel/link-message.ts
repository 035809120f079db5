import { type Ip, ipFromBytes } from '../model/address.ts';
import type { LinkCounters } from '../model/topology.ts';
import { attribute, type NetlinkMessage, parseAttributes, readMac, readText, u32 } from './netlink.ts';

/** Messages about links (linux/if_link.h). */

export const IFF_UP = 1;
const RTEXT_FILTER_SKIP_STATS = 8;

export const IFLA = {
  ADDRESS: 1,
  IFNAME: 3,
  MTU: 4,
  LINK: 5,
  MASTER: 10,
  LINKINFO: 18,
  IFALIAS: 20,
  NET_NS_FD: 28,
  EXT_MASK: 29,
  INFO_KIND: 1,
  INFO_DATA: 2,
  INFO_SLAVE_KIND: 4,
  INFO_SLAVE_DATA: 5,
  BRPORT_MODE: 4,
  BRPORT_MULTICAST_ROUTER: 25,
  BRPORT_ISOLATED: 33,
  BR_STP_STATE: 5,
  VETH_INFO_PEER: 1,
  MACVLAN_MODE: 1,
  VXLAN_ID: 1,
  VXLAN_LOCAL: 4,
  VXLAN_LEARNING: 7,
  VXLAN_PROXY: 11,
  VXLAN_PORT: 15,
  VXLAN_LOCAL6: 17,
} as const;
const IFLA_STATS64 = 23;
const IFLA_STATS_LINK_64 = 1;

export interface Link {
  readonly index: number;
  readonly name: string;
  readonly up: boolean;
  readonly mac: string;
  readonly mtu: number;
  readonly alias: string;
  /** `bridge`, `veth`…; empty for a device of hardware. */
  readonly kind: string;
  /** Index of the bridge it is a port of; 0 without one. */
  readonly master: number;
  /** Of a veth the other end's index, of a macvlan the parent's; in that one's namespace. */
  readonly peer: number;
  readonly macvlanMode: number;
  /** Of a tunnel. */
  readonly vxlan: { readonly vni: number; readonly local: Ip | undefined; readonly port: number } | undefined;
  /** Of a bridge port: frames may leave where they came in. */
  readonly hairpin: boolean;
  /** A bridge port that exchanges frames only with the bridge itself and ports that are not isolated. */
  readonly isolated: boolean;
}

/** struct ifinfomsg. */
export function linkHeader(index: number, flags = 0, mask = 0): Buffer {
  const header = Buffer.alloc(16);
  header.writeInt32LE(index, 4);
  header.writeUInt32LE(flags, 8);
  header.writeUInt32LE(mask, 12);
  return header;
}

/** Leaves out the counters, the larger part of an answer. */
export const withoutCounters = (): Buffer => attribute(IFLA.EXT_MASK, u32(RTEXT_FILTER_SKIP_STATS));

/** RTM_NEWLINK. */
export function parseLink(answer: NetlinkMessage): Link {
  const attributes = parseAttributes(answer.payload, 16);
  const number = (type: number): number => attributes.get(type)?.readUInt32LE(0) ?? 0;
  const string = (payload: Buffer | undefined): string => (payload === undefined ? '' : readText(payload));
  const info = parseAttributes(attributes.get(IFLA.LINKINFO) ?? Buffer.alloc(0));
  const port = parseAttributes(info.get(IFLA.INFO_SLAVE_DATA) ?? Buffer.alloc(0));
  const kind = string(info.get(IFLA.INFO_KIND));
  const hasData = kind === 'macvlan' || kind === 'vxlan';
  const data = parseAttributes((hasData ? info.get(IFLA.INFO_DATA) : undefined) ?? Buffer.alloc(0));
  const local = data.get(IFLA.VXLAN_LOCAL) ?? data.get(IFLA.VXLAN_LOCAL6);
  const address = attributes.get(IFLA.ADDRESS);
  return {
    index: answer.payload.readInt32LE(4),
    name: string(attributes.get(IFLA.IFNAME)),
    up: (answer.payload.readUInt32LE(8) & IFF_UP) !== 0,
    mac: address === undefined ? '' : readMac(address),
    mtu: number(IFLA.MTU),
    alias: string(attributes.get(IFLA.IFALIAS)),
    kind,
    master: number(IFLA.MASTER),
    peer: number(IFLA.LINK),
    vxlan:
      kind === 'vxlan'
        ? {
            vni: data.get(IFLA.VXLAN_ID)?.readUInt32LE(0) ?? 0,
            local: local === undefined ? undefined : ipFromBytes(local),
            port: data.get(IFLA.VXLAN_PORT)?.readUInt16BE(0) ?? 0,
          }
        : undefined,
    macvlanMode: data.get(IFLA.MACVLAN_MODE)?.readUInt32LE(0) ?? 0,
    hairpin: port.get(IFLA.BRPORT_MODE)?.readUInt8(0) === 1,
    isolated: port.get(IFLA.BRPORT_ISOLATED)?.readUInt8(0) === 1,
  };
}

/** struct if_stats_msg: asks for struct rtnl_link_stats64 alone. */
export function statisticsHeader(): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt32LE(1 << (IFLA_STATS_LINK_64 - 1), 8);
  return header;
}

/** RTM_NEWSTATS. @returns the link's index and its counters; received is what came in by the link */
export function parseStatistics({ payload }: NetlinkMessage): [number, LinkCounters] {
  return [payload.readUInt32LE(4), countersIn(parseAttributes(payload, 12).get(IFLA_STATS_LINK_64))];
}

/** RTM_NEWLINK of a listing that did not ask to be without counters. @returns the link's name and its counters */
export function parseNamedStatistics({ payload }: NetlinkMessage): [string, LinkCounters] {
  const attributes = parseAttributes(payload, 16);
  const name = readText(attributes.get(IFLA.IFNAME) ?? Buffer.alloc(0));
  return [name, countersIn(attributes.get(IFLA_STATS64))];
}

/** @param stats struct rtnl_link_stats64 */
function countersIn(stats: Buffer | undefined): LinkCounters {
  const at = (n: number): number => Number(stats?.readBigUInt64LE(8 * n) ?? 0n);
  return [at(2), at(3), at(0), at(1), at(6) + at(7)];
}
