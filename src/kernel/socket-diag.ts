import { type Ip, ipFromBytes } from '../model/address.ts';
import type { Protocol } from '../model/port.ts';
import * as libc from './libc.ts';
import { type NetlinkMessage, parseAttributes } from './netlink.ts';
import { NetlinkSocket } from './netlink-socket.ts';

/** Sockets that wait for clients (sock_diag(7), linux/inet_diag.h). */

const NETLINK_SOCK_DIAG = 4;
const SOCK_DIAG_BY_FAMILY = 20;
const INET_DIAG_SKV6ONLY = 11;
/** include/net/tcp_states.h; an unconnected UDP socket is in CLOSE. */
const TCP_CLOSE = 7;
const TCP_LISTEN = 10;
const REQUEST_LENGTH = 56;
const ANSWER_LENGTH = 72;

const NUMBERS: Readonly<Record<Exclude<Protocol, 'sctp'>, number>> = {
  tcp: libc.IPPROTO_TCP,
  udp: libc.IPPROTO_UDP,
};

export interface DiagnosedSocket {
  readonly address: Ip;
  readonly port: number;
  readonly v6only: boolean;
  readonly link: number;
  readonly inode: number;
}

/**
 * Of the namespace the thread is in now. SCTP has no such listing in every kernel, and gives none here.
 * @throws KernelError
 */
export function listeningSockets(protocol: Protocol): readonly DiagnosedSocket[] {
  if (protocol === 'sctp') return [];
  const netlink = new NetlinkSocket(NETLINK_SOCK_DIAG);
  try {
    return [libc.AF_INET, libc.AF_INET6].flatMap((family) => {
      const request = Buffer.alloc(REQUEST_LENGTH);
      request[0] = family;
      request[1] = NUMBERS[protocol];
      request.writeUInt32LE(1 << (protocol === 'tcp' ? TCP_LISTEN : TCP_CLOSE), 4);
      return netlink.dump(SOCK_DIAG_BY_FAMILY, [request], `list ${protocol} sockets`).map(parseSocket);
    });
  } finally {
    netlink.close();
  }
}

/** struct inet_diag_msg. */
function parseSocket({ payload }: NetlinkMessage): DiagnosedSocket {
  const bytes = payload.readUInt8(0) === libc.AF_INET ? 4 : 16;
  const v6only = parseAttributes(payload, ANSWER_LENGTH).get(INET_DIAG_SKV6ONLY);
  return {
    port: payload.readUInt16BE(4),
    address: ipFromBytes(payload.subarray(8, 8 + bytes)),
    link: payload.readUInt32LE(40),
    inode: payload.readUInt32LE(68),
    v6only: v6only !== undefined && v6only.readUInt8(0) === 1,
  };
}
