import * as libc from './libc.ts';
import { type NetlinkMessage, parseMessages } from './netlink.ts';
import { attachFilter, type Program } from './socket-filter.ts';

export const NETLINK_NETFILTER = 12;
/** linux/netfilter/nfnetlink.h, `enum nfnetlink_groups`. */
export const NFNLGRP = {
  CONNTRACK_NEW: 1,
  CONNTRACK_UPDATE: 2,
  CONNTRACK_DESTROY: 3,
  NFTABLES: 7,
  NFTRACE: 9,
} as const;

const RECEIVE_BYTES = 4 << 20;
const inbox = Buffer.alloc(1 << 16);

/**
 * A socket that hears multicast groups, of the namespace the thread is in now. The caller owns it.
 * @param filter what of it. @throws KernelError
 */
export function openListener(protocol: number, groups: number, filter?: Program): number {
  const fd = libc.socket(libc.AF_NETLINK, libc.SOCK_RAW, protocol);
  try {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(RECEIVE_BYTES);
    libc.setSocketOption(fd, libc.SOL_SOCKET, libc.SO_RCVBUFFORCE, bytes);
    if (filter !== undefined) attachFilter(fd, filter);
    // struct sockaddr_nl.
    const address = Buffer.alloc(12);
    address.writeUInt16LE(libc.AF_NETLINK, 0);
    address.writeUInt32LE(groups, 8);
    libc.bind(fd, address);
    return fd;
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

/** What was read at once. */
export interface Heard {
  readonly messages: readonly NetlinkMessage[];
  /** The kernel had more to tell than the socket could hold. */
  readonly overrun: boolean;
  /** There is more to read. */
  readonly more: boolean;
}

/** Messages of nfnetlink groups, kept by the kernel (4 MB of them) until they are asked for. */
export class NetlinkListener {
  readonly #fd: number;

  /** In the namespace the thread is in now. @param groups NFNLGRP numbers, up to 31. @throws KernelError */
  constructor(groups: readonly number[]) {
    this.#fd = openListener(
      NETLINK_NETFILTER,
      groups.reduce((mask, group) => mask | (1 << (group - 1)), 0),
    );
  }

  /** @param datagrams at most as many are read at once */
  read(datagrams = 4096): Heard {
    return readNow(this.#fd, datagrams);
  }

  close(): void {
    libc.close(this.#fd);
  }
}

/** What has come to a netlink socket, without waiting. @throws KernelError */
export function readNow(fd: number, datagrams: number): Heard {
  const messages: NetlinkMessage[] = [];
  const read = visitNow(fd, datagrams, (datagram, length) => {
    messages.push(...parseMessages(Buffer.from(datagram.subarray(0, length))));
  });
  return { messages, ...read };
}

/**
 * The same without a copy: each datagram is handed to `visit` where it was received, and overwritten by the next one.
 * @throws KernelError
 */
export function visitNow(
  fd: number,
  datagrams: number,
  visit: (datagram: Buffer, length: number) => void,
): Omit<Heard, 'messages'> {
  let overrun = false;
  for (let count = 0; count < datagrams; count++) {
    const length = libc.receiveNow(fd, inbox);
    if (length === undefined) return { overrun, more: false };
    if (length === 'overrun') overrun = true;
    else visit(inbox, length);
  }
  return { overrun, more: true };
}
