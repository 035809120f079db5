import { familyOf, type Ip, ipBytes, type Mac } from '../model/address.ts';
import { checksum } from './checksum.ts';
import * as libc from './libc.ts';
import { mac as macBytes, u16be } from './netlink.ts';
import type { RouteSocket } from './rtnetlink.ts';

/** linux/if_ether.h. */
const ETH_P = { arp: 0x0806, ipv6: 0x86dd } as const;
const EVERYBODY = Buffer.alloc(6, 0xff);
/** RFC 2464 §7, RFC 4291 §2.7.1: all nodes of the link. */
const ALL_NODES_MAC = Buffer.from('333300000001', 'hex');
const ALL_NODES = Buffer.from('ff020000000000000000000000000001', 'hex');

/**
 * Tells who is on a bridge which MAC an address has, in the name of its owner, who is elsewhere: who talked to another owner
 * a moment ago would go on to send there. @throws KernelError
 */
export function announceNeighbour(routes: RouteSocket, bridge: string, address: Ip, mac: Mac): void {
  const fd = libc.socket(libc.AF_PACKET, libc.SOCK_RAW, 0);
  try {
    libc.bind(fd, linkAddress(routes.link(bridge).index));
    libc.send(fd, announcement(address, macBytes(mac)));
  } finally {
    libc.close(fd);
  }
}

/** struct sockaddr_ll (packet(7)). */
function linkAddress(index: number): Buffer {
  const bytes = Buffer.alloc(20);
  bytes.writeUInt16LE(libc.AF_PACKET, 0);
  bytes.writeInt32LE(index, 4);
  return bytes;
}

/** An Ethernet frame: gratuitous ARP (RFC 5227 §3, an answer), or an unsolicited advertisement (RFC 4861 §7.2.6). */
export function announcement(address: Ip, mac: Buffer): Buffer {
  return familyOf(address) === 'ipv4'
    ? Buffer.concat([EVERYBODY, mac, u16be(ETH_P.arp), arp(ipBytes(address), mac)])
    : Buffer.concat([ALL_NODES_MAC, mac, u16be(ETH_P.ipv6), advertisement(ipBytes(address), mac)]);
}

/** RFC 826: Ethernet, IPv4, an answer from the address to itself. */
const arp = (address: Buffer, mac: Buffer): Buffer =>
  Buffer.concat([Buffer.from('0001080006040002', 'hex'), mac, address, mac, address]);

function advertisement(address: Buffer, mac: Buffer): Buffer {
  // Type 136, to override what is known; option 2: the target's address on the link.
  const message = Buffer.concat([Buffer.from('8800000020000000', 'hex'), address, Buffer.from([2, 1]), mac]);
  // RFC 8200 §8.1: the checksum is of these too.
  const pseudo = Buffer.concat([address, ALL_NODES, Buffer.from([0, 0, 0, message.length, 0, 0, 0, 58])]);
  message.writeUInt16BE(checksum(Buffer.concat([pseudo, message])), 2);
  const header = Buffer.concat([
    Buffer.from([0x60, 0, 0, 0, 0, message.length, 58, 255]),
    ...[address, ALL_NODES],
  ]);
  return Buffer.concat([header, message]);
}
