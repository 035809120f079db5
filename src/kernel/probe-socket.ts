import { randomInt } from 'node:crypto';
import { ANY_IPV4, ANY_IPV6, isIpv4 } from '../model/address.ts';
import type { ProbeOutcome, ProbeTarget } from '../model/probe.ts';
import { KernelError } from './kernel.ts';
import * as libc from './libc.ts';
import { addressFamily, socketAddress } from './socket-address.ts';

const ON = Buffer.from([1, 0, 0, 0]);
/**
 * Without TCP_QUICKACK the last acknowledgement of the handshake waits up to 200 ms (net/ipv4/tcp_input.c,
 * tcp_rcv_synsent_state_process), and by struct linger a close sends a reset: a server that is asked has answered, and
 * its program never hears of it.
 */
const TCP_QUICKACK = 12;
const OFF = Buffer.alloc(4);
const RESET_AT_CLOSE = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]);
const IP_RECVERR = 11;
const IPV6_RECVERR = 25;
const ECHO_REQUEST = 8;
const ECHO_REPLY = 0;
const ECHO_REQUEST6 = 128;
const ECHO_REPLY6 = 129;

const inbox = Buffer.alloc(2048);

/** A socket that sends one packet and waits for nothing. It belongs for ever to the namespace it was made in. */
export class ProbeSocket {
  readonly #fd: number;
  readonly #target: ProbeTarget;
  /** Its own port, of an echo the identifier. */
  readonly id: number;

  /** In the namespace the thread is in now. @throws KernelError */
  constructor(target: ProbeTarget) {
    this.#target = target;
    const { address, protocol } = target;
    const v4 = isIpv4(address);
    const [type, number] =
      protocol === 'tcp'
        ? [libc.SOCK_STREAM, libc.IPPROTO_TCP]
        : protocol === 'udp'
          ? [libc.SOCK_DGRAM, libc.IPPROTO_UDP]
          : [libc.SOCK_RAW, v4 ? libc.IPPROTO_ICMP : libc.IPPROTO_ICMPV6];
    this.#fd = libc.socket(addressFamily(address), type, number);
    try {
      libc.setNonblocking(this.#fd);
      if (protocol === 'tcp') {
        libc.setSocketOption(this.#fd, libc.SOL_SOCKET, libc.SO_LINGER, RESET_AT_CLOSE);
        libc.setSocketOption(this.#fd, libc.IPPROTO_TCP, TCP_QUICKACK, OFF);
      }
      // Without it a datagram socket hears of few of the errors that routers tell (ip(7)).
      else if (v4) libc.setSocketOption(this.#fd, libc.IPPROTO_IP, IP_RECVERR, ON);
      else libc.setSocketOption(this.#fd, libc.IPPROTO_IPV6, IPV6_RECVERR, ON);
      if (protocol === 'icmp') this.id = randomInt(1, 0x10000);
      else {
        libc.bind(this.#fd, socketAddress(v4 ? ANY_IPV4 : ANY_IPV6, 0));
        this.id = libc.socketName(this.#fd).readUInt16BE(2);
      }
    } catch (error) {
      libc.close(this.#fd);
      throw error;
    }
  }

  /** @returns undefined when it is on its way */
  send(): ProbeOutcome | undefined {
    const { address, protocol } = this.#target;
    const port = this.#target.protocol === 'icmp' ? 0 : this.#target.port;
    try {
      libc.connectNow(this.#fd, socketAddress(address, port));
      // An empty datagram means nothing to most, and is one.
      if (protocol === 'udp') libc.send(this.#fd, Buffer.alloc(0));
      if (protocol === 'icmp') libc.send(this.#fd, this.#echo());
      return undefined;
    } catch (error) {
      return failure(error);
    }
  }

  /** @returns undefined as long as nothing has come */
  outcome(): ProbeOutcome | undefined {
    try {
      if (this.#target.protocol === 'tcp') {
        const result = libc.connectResult(this.#fd);
        if (result === undefined) return undefined;
        if (result !== 0) throw libc.errnoError(result, 'connect');
        return { kind: 'answered' };
      }
      for (;;) {
        const length = libc.receiveNow(this.#fd, inbox);
        if (length === undefined || length === 'overrun') return undefined;
        if (this.#target.protocol === 'udp' || this.#isReply(inbox.subarray(0, length)))
          return { kind: 'answered' };
      }
    } catch (error) {
      return failure(error);
    }
  }

  close(): void {
    libc.close(this.#fd);
  }

  #echo(): Buffer {
    const v4 = isIpv4(this.#target.address);
    // RFC 792, RFC 4443 §4.1; the checksum of ICMPv6 is the kernel's part (RFC 3542 §3.1).
    const packet = Buffer.alloc(16);
    packet.writeUInt8(v4 ? ECHO_REQUEST : ECHO_REQUEST6, 0);
    packet.writeUInt16BE(this.id, 4);
    packet.writeUInt16BE(1, 6);
    if (v4) packet.writeUInt16BE(checksum(packet), 2);
    return packet;
  }

  /** A raw socket gets every echo reply there is; that of IPv4 with its IP header (raw(7)). */
  #isReply(packet: Buffer): boolean {
    const v4 = isIpv4(this.#target.address);
    const echo = v4 ? packet.subarray((packet.readUInt8(0) & 0xf) * 4) : packet;
    if (echo.length < 8) return false;
    return echo.readUInt8(0) === (v4 ? ECHO_REPLY : ECHO_REPLY6) && echo.readUInt16BE(4) === this.id;
  }
}

/** RFC 1071. */
function checksum(packet: Buffer): number {
  let sum = 0;
  for (let at = 0; at < packet.length; at += 2) sum += packet.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

function failure(error: unknown): ProbeOutcome {
  if (!(error instanceof KernelError)) throw error;
  if (error.errno === 'ETIMEDOUT') return { kind: 'silence' };
  return error.errno === 'ECONNREFUSED' ? { kind: 'refused' } : { kind: 'failed', errno: error.errno };
}
