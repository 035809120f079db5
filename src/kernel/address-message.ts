import {
  bigIntToIp,
  familyOf,
  type InterfaceAddress,
  ipBytes,
  ipFromBytes,
  ipToBigInt,
} from '../model/address.ts';
import { attribute, type NetlinkMessage, parseAttributes } from './netlink.ts';

/** Messages about addresses (linux/if_addr.h). */

/** linux/socket.h, AF_INET and AF_INET6. */
export const AF = { ipv4: 2, ipv6: 10 } as const;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_BROADCAST = 4;
const IFA_PROTO = 11;
/** Made by the kernel from the MAC, as IPv6 wants it on every link. */
const IFAPROT_KERNEL_LL = 3;
const IFA_F_NODAD = 2;

export interface LinkAddress extends InterfaceAddress {
  /** Index of the link. */
  readonly link: number;
}

/** struct ifaddrmsg with what names the address. */
export function addressParts(link: number, address: InterfaceAddress): Buffer[] {
  const family = familyOf(address.address);
  const flags = family === 'ipv6' ? IFA_F_NODAD : 0;
  const header = Buffer.from([AF[family], address.length, flags, 0, 0, 0, 0, 0]);
  header.writeUInt32LE(link, 4);
  const bytes = ipBytes(address.address);
  return [header, attribute(IFA_LOCAL, bytes), attribute(IFA_ADDRESS, bytes)];
}

/** Of an IPv4 network with room for one. */
export function broadcastParts({ address, length }: InterfaceAddress): Buffer[] {
  if (familyOf(address) !== 'ipv4' || length >= 31) return [];
  const last = bigIntToIp(ipToBigInt(address) | ((1n << BigInt(32 - length)) - 1n), address);
  return [attribute(IFA_BROADCAST, ipBytes(last))];
}

/** RTM_NEWADDR. @returns nothing for one that IPv6 gives every link by itself */
export function parseAddress({ payload }: NetlinkMessage): readonly LinkAddress[] {
  const attributes = parseAttributes(payload, 8);
  // IPv6 has IFA_LOCAL only on a point-to-point link.
  const local = attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS);
  if (local === undefined || attributes.get(IFA_PROTO)?.readUInt8(0) === IFAPROT_KERNEL_LL) return [];
  return [{ address: ipFromBytes(local), length: payload.readUInt8(1), link: payload.readUInt32LE(4) }];
}
