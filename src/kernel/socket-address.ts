import type { Ipv4 } from '../model/address.ts';
import { AF_INET } from './libc.ts';
import { ipv4 } from './netlink.ts';

/** struct sockaddr_in (ip(7)). */
export function socketAddress(address: Ipv4, port: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16LE(AF_INET, 0);
  bytes.writeUInt16BE(port, 2);
  bytes.set(ipv4(address), 4);
  return bytes;
}
