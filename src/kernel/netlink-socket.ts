import { KernelError } from './kernel.ts';
import * as libc from './libc.ts';
import {
  failureOf,
  message,
  type NetlinkMessage,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  parseMessages,
} from './netlink.ts';

import { type Heard, visitNow } from './netlink-listener.ts';

const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const ON = Buffer.from([1, 0, 0, 0]);
/** struct timeval of 5 s: an answer the kernel lost must not stop the daemon for ever. */
const TIMEOUT = Buffer.from(new BigInt64Array([5n, 0n]).buffer);
/** 1 MB: dumps come in datagrams of up to 32 kB, and an overrun loses them. */
const RECEIVE_BUFFER = Buffer.from([0, 0, 0x10, 0]);
const inbox = Buffer.alloc(1 << 16);

/**
 * A netlink socket: it belongs for ever to the network namespace the thread was in when it was made.
 * Requests are synchronous, one at a time.
 */
export class NetlinkSocket {
  readonly #fd: number;
  #sequence = 1;

  /** @param protocol NETLINK_ROUTE 0, NETLINK_NETFILTER 12 (netlink(7)). @throws KernelError */
  constructor(protocol: number) {
    this.#fd = libc.socket(libc.AF_NETLINK, libc.SOCK_RAW, protocol);
    libc.setSocketOption(this.#fd, SOL_NETLINK, NETLINK_EXT_ACK, ON);
    libc.setSocketOption(this.#fd, SOL_NETLINK, NETLINK_CAP_ACK, ON);
    libc.setSocketOption(this.#fd, libc.SOL_SOCKET, libc.SO_RCVTIMEO, TIMEOUT);
  }

  /** A change the kernel acknowledges. @throws KernelError with the kernel's own words where it gives them */
  request(type: number, flags: number, parts: readonly Buffer[], what: string): void {
    this.#exchange(type, NLM_F_REQUEST | NLM_F_ACK | flags, parts, what);
  }

  /** Sends a change on another thread; what comes of it has to be looked at. Closes the socket after. */
  async requestAside(type: number, parts: readonly Buffer[]): Promise<void> {
    await libc.sendAside(this.#fd, message(type, NLM_F_REQUEST, this.#sequence++, parts));
    this.close();
  }

  /** A dump whose walk through the kernel's table is done by another thread. @throws KernelError */
  async dumpAside(type: number, parts: readonly Buffer[], what: string): Promise<readonly NetlinkMessage[]> {
    libc.setSocketOption(this.#fd, libc.SOL_SOCKET, libc.SO_RCVBUFFORCE, RECEIVE_BUFFER);
    const sequence = this.#sequence++;
    await libc.sendAside(this.#fd, message(type, NLM_F_REQUEST | NLM_F_DUMP, sequence, parts));
    const answers: NetlinkMessage[] = [];
    const into = Buffer.alloc(inbox.length);
    for (;;) {
      const length = await libc.receiveAside(this.#fd, into);
      if (length < 0) throw new KernelError(`${what}: recv failed`, 'EIO');
      if (collect(into.subarray(0, length), sequence, answers, what)) return answers;
    }
  }

  /** One object. @throws KernelError, ENODEV or ENOENT when there is none */
  get(type: number, parts: readonly Buffer[], what: string): NetlinkMessage {
    const [answer] = this.#exchange(type, NLM_F_REQUEST | NLM_F_ACK, parts, what);
    if (answer === undefined) throw new KernelError(`${what}: the kernel gave no answer`, 'EPROTO');
    return answer;
  }

  /**
   * What the kernel sent by itself, without a copy (`visitNow`).
   * @param datagrams at most as many are read; the rest is kept. @throws KernelError
   */
  visit(datagrams: number, visit: (datagram: Buffer, size: number) => void): Omit<Heard, 'messages'> {
    return visitNow(this.#fd, datagrams, visit);
  }

  dump(type: number, parts: readonly Buffer[], what: string): readonly NetlinkMessage[] {
    libc.setSocketOption(this.#fd, libc.SOL_SOCKET, libc.SO_RCVBUFFORCE, RECEIVE_BUFFER);
    return this.#exchange(type, NLM_F_REQUEST | NLM_F_DUMP, parts, what);
  }

  close(): void {
    libc.close(this.#fd);
  }

  #exchange(type: number, flags: number, parts: readonly Buffer[], what: string): NetlinkMessage[] {
    const sequence = this.#sequence++;
    libc.send(this.#fd, message(type, flags, sequence, parts));
    const answers: NetlinkMessage[] = [];
    for (;;) {
      const length = libc.receive(this.#fd, inbox);
      if (collect(inbox.subarray(0, length), sequence, answers, what)) return answers;
    }
  }
}

/** @returns whether this datagram ends the answer. @throws KernelError when the answer is an error */
function collect(datagram: Buffer, sequence: number, into: NetlinkMessage[], what: string): boolean {
  // A copy, since the buffer is overwritten by the next datagram.
  for (const answer of parseMessages(Buffer.from(datagram))) {
    if (answer.sequence !== sequence) continue;
    if (answer.type !== NLMSG_ERROR && answer.type !== NLMSG_DONE) {
      into.push(answer);
      continue;
    }
    const failure = failureOf(answer);
    if (failure === undefined) return true;
    const words = failure.text === '' ? '' : ` (${failure.text})`;
    throw new KernelError(`${what}: ${libc.errnoText(failure.errno)}${words}`, libc.errnoName(failure.errno));
  }
  return false;
}
