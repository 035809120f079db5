import { type Ip, ipBytes, isIpv4 } from '../model/address.ts';
import { AF_INET, AF_INET6 } from './libc.ts';

export const addressFamily = (address: Ip): number => (isIpv4(address) ? AF_INET : AF_INET6);

/** struct sockaddr_in (ip(7)) or sockaddr_in6 (ipv6(7)). */
export function socketAddress(address: Ip, port: number): Buffer {
  const family = addressFamily(address);
  const bytes = Buffer.alloc(family === AF_INET ? 16 : 28);
  bytes.writeUInt16LE(family, 0);
  bytes.writeUInt16BE(port, 2);
  bytes.set(ipBytes(address), family === AF_INET ? 4 : 8);
  return bytes;
}
