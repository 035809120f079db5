import { type Ip, ipFromBytes } from '../model/address.ts';
import { protocolOf, type Tuple } from '../model/tuple.ts';
import { type NetlinkMessage, nested, parseAttributes } from './netlink.ts';
import { type Heard, NETLINK_NETFILTER, NetlinkListener, NFNLGRP } from './netlink-listener.ts';
import { NetlinkSocket } from './netlink-socket.ts';

/** Events of connection tracking (linux/netfilter/nfnetlink_conntrack.h). */

const CT_NEW = 1 << 8;
const CT_GET = (1 << 8) | 1;
const CT_DELETE = (1 << 8) | 2;
/** Of an NLM message: the entry is new. */
const NLM_F_CREATE = 0x400;
const CTA = {
  TUPLE_ORIG: 1,
  TUPLE_REPLY: 2,
  STATUS: 3,
  PROTOINFO: 4,
  COUNTERS_ORIG: 9,
  COUNTERS_REPLY: 10,
  ID: 12,
} as const;
const TUPLE_IP = 1;
const TUPLE_PROTO = 2;
const IP = { V4_SRC: 1, V4_DST: 2, V6_SRC: 3, V6_DST: 4 } as const;
const PROTO = { NUM: 1, SRC_PORT: 2, DST_PORT: 3, ICMP_ID: 4, ICMPV6_ID: 7 } as const;
const COUNTERS_PACKETS = 1;
const COUNTERS_BYTES = 2;
const PROTOINFO_TCP = 1;
const PROTOINFO_TCP_STATE = 1;
/** TCP_CONNTRACK_TIME_WAIT and TCP_CONNTRACK_CLOSE (linux/netfilter/nf_conntrack_tcp.h). */
const CLOSED_STATES: readonly number[] = [7, 8];
/** linux/netfilter/nf_conntrack_common.h, `enum ip_conntrack_status`. */
const IPS_SEEN_REPLY = 1 << 1;
/** struct nfgenmsg. */
const HEADER = 4;
const NO_ADDRESS = Buffer.alloc(4);

export interface Traffic {
  readonly packets: number;
  readonly bytes: number;
}

export interface ConnectionEvent {
  /** Names the entry to the kernel: a byte for the family, and the original tuple as it came. */
  readonly key: Buffer;
  readonly kind: 'new' | 'update' | 'destroy';
  /** Of the entry, unique while it lives. */
  readonly id: number;
  /** As the first packet was sent. */
  readonly original: Tuple;
  /** As the answers are sent: where it differs from the original the other way round, it is translated. */
  readonly reply: Tuple;
  readonly answered: boolean;
  /** Both ends of a TCP connection are done with it; the kernel keeps the entry for some time. */
  readonly closed: boolean;
  /** There and back; absent without `net.netfilter.nf_conntrack_acct`. */
  readonly traffic?: { readonly there: Traffic; readonly back: Traffic } | undefined;
}

/** Undefined for a message of another kind, or without an entry's addresses. */
export function parseConnectionEvent(message: NetlinkMessage): ConnectionEvent | undefined {
  const { type, flags, payload } = message;
  if (type !== CT_NEW && type !== CT_DELETE) return undefined;
  const attributes = parseAttributes(payload, HEADER);
  const [there, back] = [attributes.get(CTA.TUPLE_ORIG), attributes.get(CTA.TUPLE_REPLY)];
  if (there === undefined || back === undefined) return undefined;
  return {
    get key() {
      return Buffer.concat([payload.subarray(0, 1), there]);
    },
    kind: type === CT_DELETE ? 'destroy' : (flags & NLM_F_CREATE) !== 0 ? 'new' : 'update',
    id: attributes.get(CTA.ID)?.readUInt32BE(0) ?? 0,
    // Of most updates nobody wants to know them.
    get original() {
      return parseTuple(there);
    },
    get reply() {
      return parseTuple(back);
    },
    closed: CLOSED_STATES.includes(tcpState(attributes.get(CTA.PROTOINFO))),
    answered: ((attributes.get(CTA.STATUS)?.readUInt32BE(0) ?? 0) & IPS_SEEN_REPLY) !== 0,
    get traffic() {
      const [sent, answered] = [CTA.COUNTERS_ORIG, CTA.COUNTERS_REPLY].map((counters) =>
        parseCounters(attributes.get(counters)),
      );
      return sent && answered && { there: sent, back: answered };
    },
  };
}

function parseTuple(payload: Buffer): Tuple {
  const parts = parseAttributes(payload);
  const ip = parseAttributes(parts.get(TUPLE_IP) ?? Buffer.alloc(0));
  const proto = parseAttributes(parts.get(TUPLE_PROTO) ?? Buffer.alloc(0));
  // An entry always has both.
  const address = (v4: number, v6: number): Ip => ipFromBytes(ip.get(v4) ?? ip.get(v6) ?? NO_ADDRESS);
  const sourcePort = proto.get(PROTO.SRC_PORT)?.readUInt16BE(0);
  const destinationPort = proto.get(PROTO.DST_PORT)?.readUInt16BE(0);
  const echoId = (proto.get(PROTO.ICMP_ID) ?? proto.get(PROTO.ICMPV6_ID))?.readUInt16BE(0);
  return {
    protocol: protocolOf(proto.get(PROTO.NUM)?.readUInt8(0) ?? 0),
    source: address(IP.V4_SRC, IP.V6_SRC),
    destination: address(IP.V4_DST, IP.V6_DST),
    ...(sourcePort !== undefined && { sourcePort }),
    ...(destinationPort !== undefined && { destinationPort }),
    ...(echoId !== undefined && { echoId }),
  };
}

function tcpState(payload: Buffer | undefined): number {
  const tcp = payload && parseAttributes(payload).get(PROTOINFO_TCP);
  return (tcp && parseAttributes(tcp).get(PROTOINFO_TCP_STATE)?.readUInt8(0)) ?? 0;
}

function parseCounters(payload: Buffer | undefined): Traffic | undefined {
  if (payload === undefined) return undefined;
  const counters = parseAttributes(payload);
  const count = (attribute: number): number => Number(counters.get(attribute)?.readBigUInt64BE(0) ?? 0n);
  return { packets: count(COUNTERS_PACKETS), bytes: count(COUNTERS_BYTES) };
}

/**
 * Hears what becomes of connections in the namespace it is made in. The kernel makes no events while nobody hears
 * (`net.netfilter.nf_conntrack_events=2`), so those that were there before do not tell of their end.
 */
export class ConnectionListener {
  readonly #listener = new NetlinkListener([
    NFNLGRP.CONNTRACK_NEW,
    NFNLGRP.CONNTRACK_UPDATE,
    NFNLGRP.CONNTRACK_DESTROY,
  ]);
  /** In the same namespace, if the first question is asked from there. */
  #asker: NetlinkSocket | undefined;

  /** What happened since the last call. @param datagrams at most as many are read; the rest is kept */
  read(
    datagrams?: number,
  ): Pick<Heard, 'overrun' | 'more'> & { readonly events: readonly ConnectionEvent[] } {
    const { messages, overrun, more } = this.#listener.read(datagrams);
    return { events: messages.flatMap((message) => parseConnectionEvent(message) ?? []), overrun, more };
  }

  /**
   * What has passed on a connection up to now: the kernel tells it by itself only when it forgets the entry, minutes
   * after a TCP connection has ended. Undefined when it is gone, or nothing counts.
   */
  trafficOf({ key }: Pick<ConnectionEvent, 'key'>): ConnectionEvent['traffic'] {
    try {
      this.#asker ??= new NetlinkSocket(NETLINK_NETFILTER);
      const family = Buffer.from([key.readUInt8(0), 0, 0, 0]);
      const parts = [family, nested(CTA.TUPLE_ORIG, key.subarray(1))];
      return parseConnectionEvent(this.#asker.get(CT_GET, parts, 'connection'))?.traffic;
    } catch {
      return undefined;
    }
  }

  close(): void {
    this.#listener.close();
    this.#asker?.close();
  }
}
