import { setTimeout as sleep } from 'node:timers/promises';
import { type Ip, isIpv4 } from '../model/address.ts';
import { checksum } from './checksum.ts';
import { KernelError } from './kernel.ts';
import * as libc from './libc.ts';
import { addressFamily, socketAddress } from './socket-address.ts';

/** RFC 792 and RFC 4443: types of echo and its answer. */
const ECHO = {
  ipv4: { ask: 8, answer: 0, protocol: 1 },
  ipv6: { ask: 128, answer: 129, protocol: 58 },
} as const;
const POLL_MS = 10;
const BYTES = 64;
let sequence = 0;

export type EchoOutcome =
  | 'answers'
  | 'silent'
  /** The kernel knows no way there. */
  | 'no-way';

/**
 * Whether the host at `to` answers an ICMP echo. @param from an address of this host; without one the kernel chooses
 * @throws KernelError EADDRNOTAVAIL when `from` is no address of this host
 */
export async function echo(to: Ip, from: Ip | undefined, milliseconds: number): Promise<EchoOutcome> {
  const words = isIpv4(to) ? ECHO.ipv4 : ECHO.ipv6;
  const fd = libc.socket(addressFamily(to), libc.SOCK_RAW, words.protocol);
  try {
    if (from !== undefined) libc.bind(fd, socketAddress(from, 0));
    sequence = (sequence + 1) & 0xffff;
    const number = sequence;
    const identifier = process.pid & 0xffff;
    const request = Buffer.alloc(BYTES);
    request[0] = words.ask;
    request.writeUInt16BE(identifier, 4);
    request.writeUInt16BE(number, 6);
    // Of IPv6 the kernel computes it (RFC 3542 §3.1).
    if (isIpv4(to)) request.writeUInt16BE(checksum(request), 2);
    try {
      libc.connect(fd, socketAddress(to, 0));
      libc.send(fd, request);
    } catch {
      return 'no-way';
    }
    const inbox = Buffer.alloc(2048);
    for (const end = Date.now() + milliseconds; Date.now() < end; ) {
      const length = libc.receiveNow(fd, inbox);
      if (typeof length !== 'number') {
        await sleep(POLL_MS);
        continue;
      }
      // A raw IPv4 socket shows the header too (raw(7)).
      const body = inbox.subarray(isIpv4(to) ? ((inbox[0] ?? 0) & 0xf) * 4 : 0, length);
      const ours = body.length >= 8 && body[0] === words.answer && body.readUInt16BE(4) === identifier;
      if (ours && body.readUInt16BE(6) === number) return 'answers';
    }
    return 'silent';
  } catch (error) {
    if (error instanceof KernelError && /^E(HOST|NET)UNREACH$/.test(error.errno)) return 'no-way';
    throw error;
  } finally {
    libc.close(fd);
  }
}
