import type { Tuple } from '../model/tuple.ts';
import type { TableFamily } from '../plan/rule.ts';
import { type NetlinkMessage, parseAttributes, readText } from './netlink.ts';
import { NetlinkListener, NFNLGRP } from './netlink-listener.ts';
import { tupleOf } from './packet-headers.ts';

/** nft trace over nfnetlink (linux/netfilter/nf_tables.h, `enum nft_trace_attributes`). */

const NFT_MSG_TRACE = (10 << 8) | 17;
const TRACE = {
  TABLE: 1,
  CHAIN: 2,
  RULE_HANDLE: 3,
  TYPE: 4,
  VERDICT: 5,
  ID: 6,
  NETWORK_HEADER: 8,
  TRANSPORT_HEADER: 9,
  IIF: 10,
  OIF: 12,
  POLICY: 16,
} as const;
const TYPES = { 1: 'policy', 2: 'return', 3: 'rule' } as const;
/** RFC 792, RFC 4443 §4.2. */
const ECHO_REPLIES: readonly number[] = [0, 129];
const VERDICT_CODE = 1;
const VERDICT_CHAIN = 2;
/** linux/netfilter.h and `enum nft_verdicts`. */
const VERDICTS: Readonly<Record<number, TraceVerdict>> = {
  0: 'drop',
  1: 'accept',
  2: 'stolen',
  3: 'queue',
  [-1]: 'continue',
  [-2]: 'break',
  [-3]: 'jump',
  [-4]: 'goto',
  [-5]: 'return',
};
/** NFPROTO_* (linux/netfilter.h). */
const FAMILIES: Readonly<Record<number, TraceFamily>> = {
  1: 'inet',
  2: 'ip',
  3: 'arp',
  5: 'netdev',
  7: 'bridge',
  10: 'ip6',
};

export type TraceFamily = TableFamily | 'inet' | 'arp' | 'netdev';
export type TraceVerdict =
  | 'accept'
  | 'drop'
  | 'stolen'
  | 'queue'
  | 'continue'
  | 'break'
  | 'jump'
  | 'goto'
  | 'return';

/** What one rule, or a base chain's policy, did with the packet. */
export interface TraceEvent {
  /** The same for all that happens to one packet, most likely. */
  readonly packet: number;
  readonly kind: 'rule' | 'policy' | 'return';
  readonly family: TraceFamily;
  readonly table: string;
  readonly chain: string;
  /** Of a rule. */
  readonly handle: number | undefined;
  readonly verdict: TraceVerdict;
  /** Where a jump leads. */
  readonly target: string | undefined;
  /** It is the first one in a base chain, and has the packet's headers. */
  readonly first: boolean;
  /** The packet as it is now, read from its headers when it is asked for. */
  readonly tuple: Tuple | undefined;
  /** The packet answers an echo; told with the tuple. */
  readonly echoReply: boolean;
  /** Interface indices, 0 without one; told with the tuple. */
  readonly iif: number;
  readonly oif: number;
}

/** Undefined for another kind of message. */
function parseTrace({ type, payload }: NetlinkMessage): TraceEvent | undefined {
  const family = payload.length < 4 ? undefined : FAMILIES[payload.readUInt8(0)];
  if (type !== NFT_MSG_TRACE || family === undefined) return undefined;
  const attributes = parseAttributes(payload, 4);
  const number = (attribute: number): number | undefined => attributes.get(attribute)?.readUInt32BE(0);
  const words = (attribute: number): string => readText(attributes.get(attribute) ?? Buffer.alloc(0));
  const kind = TYPES[number(TRACE.TYPE) as keyof typeof TYPES];
  if (kind === undefined) return undefined;
  const verdict = parseAttributes(attributes.get(TRACE.VERDICT) ?? Buffer.alloc(0));
  const code =
    kind === 'policy'
      ? attributes.get(TRACE.POLICY)?.readInt32BE(0)
      : verdict.get(VERDICT_CODE)?.readInt32BE(0);
  const target = verdict.get(VERDICT_CHAIN);
  const network = attributes.get(TRACE.NETWORK_HEADER);
  const transport = attributes.get(TRACE.TRANSPORT_HEADER);
  const handle = attributes.get(TRACE.RULE_HANDLE);
  return {
    packet: number(TRACE.ID) ?? 0,
    kind,
    family,
    table: words(TRACE.TABLE),
    chain: words(TRACE.CHAIN),
    handle: handle === undefined ? undefined : Number(handle.readBigUInt64BE(0)),
    verdict: VERDICTS[code ?? 1] ?? 'accept',
    target: target && readText(target),
    first: network !== undefined,
    // Of most events nobody wants to know it.
    get tuple() {
      return network && tupleOf(network, transport);
    },
    get echoReply() {
      return this.tuple?.echoId !== undefined && ECHO_REPLIES.includes(transport?.readUInt8(0) ?? -1);
    },
    iif: number(TRACE.IIF) ?? 0,
    oif: number(TRACE.OIF) ?? 0,
  };
}

/** Hears the trace of the namespace it is made in. Only packets that some rule marked (`meta nftrace set 1`) are traced. */
export class TraceListener {
  readonly #listener = new NetlinkListener([NFNLGRP.NFTRACE]);

  /** What happened since the last call. @param datagrams at most as many are read; the rest is kept */
  read(datagrams?: number): readonly TraceEvent[] {
    return this.#listener.read(datagrams).messages.flatMap((message) => parseTrace(message) ?? []);
  }

  close(): void {
    this.#listener.close();
  }
}
