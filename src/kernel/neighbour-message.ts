import { familyOf, type Ip, ipBytes, ipFromBytes } from '../model/address.ts';
import { AF } from './address-message.ts';
import { attribute, type NetlinkMessage, parseAttributes, readMac } from './netlink.ts';

/** Messages about neighbours, and about the forwarding table of a tunnel, which is made of the same (linux/neighbour.h). */

const AF_BRIDGE = 7;
const NDA_DST = 1;
const NDA_LLADDR = 2;
const NUD_NOARP = 0x40;
const NUD_PERMANENT = 0x80;
const NTF_SELF = 2;

export interface Forwarding {
  /** Index of the tunnel. */
  readonly link: number;
  readonly mac: string;
  readonly host: Ip;
}

export interface Neighbour {
  readonly link: number;
  readonly address: Ip;
  readonly mac: string;
}

export function forwardingParts(link: number, to: Buffer, host: Buffer): Buffer[] {
  return [neighbourHeader(AF_BRIDGE, link, NTF_SELF), attribute(NDA_LLADDR, to), attribute(NDA_DST, host)];
}

export const forwardingsHeader = (): Buffer => neighbourHeader(AF_BRIDGE, 0, 0);

/** @param mac of no matter when undefined */
export function neighbourParts(link: number, address: Ip, mac?: Buffer): Buffer[] {
  const at = mac === undefined ? [] : [attribute(NDA_LLADDR, mac)];
  return [neighbourHeader(AF[familyOf(address)], link, 0), attribute(NDA_DST, ipBytes(address)), ...at];
}

export const neighboursHeader = (): Buffer => neighbourHeader(0, 0, 0);

/** struct ndmsg. */
function neighbourHeader(family: number, link: number, flags: number): Buffer {
  const header = Buffer.alloc(12);
  header[0] = family;
  header.writeInt32LE(link, 4);
  header.writeUInt16LE(NUD_PERMANENT | NUD_NOARP, 8);
  header[10] = flags;
  return header;
}

/** RTM_NEWNEIGH. @returns nothing for one without a host, which leads to nobody */
export function parseForwarding({ payload }: NetlinkMessage): Forwarding[] {
  const attributes = parseAttributes(payload, 12);
  const [mac, host] = [attributes.get(NDA_LLADDR), attributes.get(NDA_DST)];
  if (mac === undefined || host === undefined) return [];
  return [{ link: payload.readInt32LE(4), mac: readMac(mac), host: ipFromBytes(host) }];
}

/** RTM_NEWNEIGH. @returns nothing but for a permanent one: somebody wrote it */
export function parseNeighbour({ payload }: NetlinkMessage): Neighbour[] {
  const attributes = parseAttributes(payload, 12);
  const [address, mac] = [attributes.get(NDA_DST), attributes.get(NDA_LLADDR)];
  const permanent = (payload.readUInt16LE(8) & NUD_PERMANENT) !== 0;
  if (address === undefined || mac === undefined || !permanent) return [];
  return [{ link: payload.readInt32LE(4), address: ipFromBytes(address), mac: readMac(mac) }];
}
