import { type Ip, ipFromBytes, ipv4FromNumber } from '../model/address.ts';
import { protocolOf, type Tuple } from '../model/tuple.ts';
import * as libc from './libc.ts';
import { ATTRIBUTE_HEADER, findAttribute, findNested } from './netlink.ts';
import { NETLINK_NETFILTER, NFNLGRP, openListener, visitNow } from './netlink-listener.ts';
import type { Program } from './socket-filter.ts';

/**
 * Messages of connection tracking (linux/netfilter/nfnetlink_conntrack.h), read where they were received: there may be
 * thousands a second, and what is made for each of them has to be collected.
 */

const CT_NEW = 1 << 8;
export const CT_GET = (1 << 8) | 1;
const CT_DELETE = (1 << 8) | 2;
/** Of a new entry's message. */
const NLM_F_CREATE = 0x400;
/** Length of struct nlmsghdr and struct nfgenmsg. */
export const ATTRIBUTES = 20;
export const CTA = {
  ORIGINAL: 1,
  REPLY: 2,
  STATUS: 3,
  PROTOINFO: 4,
  COUNTERS_ORIG: 9,
  COUNTERS_REPLY: 10,
  ID: 12,
} as const;
const TUPLE = { IP: 1, PROTO: 2 } as const;
const ADDRESS = { V4_SRC: 1, V4_DST: 2, V6_SRC: 3, V6_DST: 4 } as const;
const PROTO = { NUM: 1, SRC_PORT: 2, DST_PORT: 3, ICMP_ID: 4, ICMPV6_ID: 7 } as const;
const COUNTERS = { PACKETS: 1, BYTES: 2 } as const;
/** linux/netfilter/nf_conntrack_common.h, `enum ip_conntrack_status`. */
const IPS_SEEN_REPLY = 1 << 1;
/** TCP_CONNTRACK_TIME_WAIT and TCP_CONNTRACK_CLOSE (linux/netfilter/nf_conntrack_tcp.h). */
const CLOSED = { first: 7, last: 8 } as const;
/** Datagrams that are read at once. */
const MOST = 4096;
const GROUPS = [NFNLGRP.CONNTRACK_NEW, NFNLGRP.CONNTRACK_UPDATE, NFNLGRP.CONNTRACK_DESTROY];

interface Traffic {
  readonly packets: number;
  readonly bytes: number;
}

export interface PassedTraffic {
  readonly there: Traffic;
  readonly back: Traffic;
}

/** An entry as it is told. */
export interface Connection {
  /** As the first packet was sent. */
  readonly original: Tuple;
  /** As the answers are sent: where it differs from the original the other way round, it is translated. */
  readonly reply: Tuple;
  readonly answered: boolean;
}

/** What a message tells of, without reading all of it. */
export function kindOf(message: Buffer, length: number): 'new' | 'update' | 'destroy' | undefined {
  if (length < ATTRIBUTES) return undefined;
  const type = message.readUInt16LE(4);
  if (type === CT_DELETE) return 'destroy';
  if (type !== CT_NEW) return undefined;
  return (message.readUInt16LE(6) & NLM_F_CREATE) === 0 ? 'update' : 'new';
}

/** Undefined for a message without an entry's addresses. */
export function connectionIn(message: Buffer, length: number): Connection | undefined {
  const there = findAttribute(message, CTA.ORIGINAL, ATTRIBUTES, length);
  const back = findAttribute(message, CTA.REPLY, ATTRIBUTES, length);
  if (there < 0 || back < 0) return undefined;
  const status = findAttribute(message, CTA.STATUS, ATTRIBUTES, length);
  return {
    original: tupleAt(message, there),
    reply: tupleAt(message, back),
    answered: status >= 0 && (message.readUInt32BE(status + ATTRIBUTE_HEADER) & IPS_SEEN_REPLY) !== 0,
  };
}

/** Of the entry, unique while it lives. */
export function idIn(message: Buffer, length: number): number {
  const at = findAttribute(message, CTA.ID, ATTRIBUTES, length);
  return at < 0 ? 0 : message.readUInt32BE(at + ATTRIBUTE_HEADER);
}

/** Both ends of a TCP connection are done with it; the kernel keeps the entry for some time. */
export function isClosed(message: Buffer, length: number): boolean {
  const info = findAttribute(message, CTA.PROTOINFO, ATTRIBUTES, length);
  // CTA_PROTOINFO_TCP, CTA_PROTOINFO_TCP_STATE.
  const state = findNested(message, 1, findNested(message, 1, info));
  if (state < 0) return false;
  const value = message.readUInt8(state + ATTRIBUTE_HEADER);
  return value >= CLOSED.first && value <= CLOSED.last;
}

function tupleAt(message: Buffer, at: number): Tuple {
  const ip = findNested(message, TUPLE.IP, at);
  const proto = findNested(message, TUPLE.PROTO, at);
  const value = (name: number): number => findNested(message, name, proto) + ATTRIBUTE_HEADER;
  const has = (offset: number): boolean => offset > ATTRIBUTE_HEADER;
  const number = value(PROTO.NUM);
  const ends = {
    protocol: protocolOf(has(number) ? message.readUInt8(number) : 0),
    source: addressAt(message, ip, ADDRESS.V4_SRC, ADDRESS.V6_SRC),
    destination: addressAt(message, ip, ADDRESS.V4_DST, ADDRESS.V6_DST),
  };
  const [from, to] = [value(PROTO.SRC_PORT), value(PROTO.DST_PORT)];
  if (has(from) && has(to))
    return { ...ends, sourcePort: message.readUInt16BE(from), destinationPort: message.readUInt16BE(to) };
  const echo = Math.max(value(PROTO.ICMP_ID), value(PROTO.ICMPV6_ID));
  return has(echo) ? { ...ends, echoId: message.readUInt16BE(echo) } : ends;
}

function addressAt(message: Buffer, ip: number, v4: number, v6: number): Ip {
  const short = findNested(message, v4, ip);
  if (short >= 0) return ipv4FromNumber(message.readUInt32BE(short + ATTRIBUTE_HEADER));
  const long = findNested(message, v6, ip);
  // An entry always has one of them.
  return long < 0 ? ipv4FromNumber(0) : ipFromBytes(message.subarray(long + ATTRIBUTE_HEADER, long + 20));
}

/** Undefined where nothing counts. */
export function trafficIn(message: Buffer, length: number): PassedTraffic | undefined {
  const there = countedAt(message, findAttribute(message, CTA.COUNTERS_ORIG, ATTRIBUTES, length));
  const back = countedAt(message, findAttribute(message, CTA.COUNTERS_REPLY, ATTRIBUTES, length));
  return there && back && { there, back };
}

function countedAt(message: Buffer, at: number): Traffic | undefined {
  const packets = findNested(message, COUNTERS.PACKETS, at);
  const bytes = findNested(message, COUNTERS.BYTES, at);
  if (packets < 0 || bytes < 0) return undefined;
  return { packets: wordAt(message, packets), bytes: wordAt(message, bytes) };
}

/** Exact below 2^53. */
const wordAt = (message: Buffer, at: number): number =>
  message.readUInt32BE(at + ATTRIBUTE_HEADER) * 2 ** 32 + message.readUInt32BE(at + ATTRIBUTE_HEADER + 4);

/** A socket that hears of connections of the namespace the thread is in now. @throws KernelError */
export const openConnectionEvents = (filter?: Program): number =>
  openListener(
    NETLINK_NETFILTER,
    GROUPS.reduce((mask, group) => mask | (1 << (group - 1)), 0),
    filter,
  );

/**
 * Hears all that becomes of connections in the namespace it is made in. The kernel makes no events while nobody hears
 * (`net.netfilter.nf_conntrack_events=2`), so those that were there before do not tell of their end.
 */
export class ConnectionListener {
  readonly #fd = openConnectionEvents();

  /** What was told since the last call, of each connection as often as something changed. */
  read(): readonly Connection[] {
    const found: Connection[] = [];
    visitNow(this.#fd, MOST, (message, length) => {
      const connection = kindOf(message, length) && connectionIn(message, length);
      if (connection !== undefined) found.push(connection);
    });
    return found;
  }

  close(): void {
    libc.close(this.#fd);
  }
}
