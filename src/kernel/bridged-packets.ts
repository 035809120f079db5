import type { Family } from '../model/address.ts';
import type { Tuple } from '../model/tuple.ts';
import { listenWithTable, WATCH_TABLE } from './listening-table.ts';
import { Nftables } from './nftables.ts';
import { tupleOf } from './packet-headers.ts';
import { PacketLog } from './packet-log.ts';
import { readSysctl } from './sysctl.ts';

const GROUP = 4713;
/** TCP: of each connection five or so. */
const LIMIT = 'limit rate 4000/second burst 4000 packets';
const LOG = `log prefix "flow" group ${GROUP}`;

/** A datagram's flow is new when nothing of it, nor of its answers, passed for a minute. */
const datagrams = (family: 'ip' | 'ip6', type: string): { readonly set: string; readonly rules: string } => {
  const set = `seen_${family}`;
  const there = `${family} saddr . ${family} daddr . udp sport . udp dport`;
  const back = `${family} daddr . ${family} saddr . udp dport . udp sport`;
  return {
    set: `set ${set} { type ${type} . ${type} . inet_service . inet_service; flags dynamic,timeout; timeout 1m; size 65536; }`,
    rules: `${there} != @${set} ${LIMIT} ${LOG}
      ether type ${family} meta l4proto udp update @${set} { ${there} } update @${set} { ${back} }`,
  };
};
const [v4, v6] = [datagrams('ip', 'ipv4_addr'), datagrams('ip6', 'ipv6_addr')];

const TABLE_TEXT = `table bridge ${WATCH_TABLE} {
  flags owner;
  ${v4.set}
  ${v6.set}
  chain forward { type filter hook forward priority 1000; policy accept;
    tcp flags & (syn | fin | rst) != 0 ${LIMIT} ${LOG}
    ${v4.rules}
    ${v6.rules}
  }
}`;

/** What begins or ends a TCP connection. */
export interface TcpMark {
  readonly syn: boolean;
  readonly ack: boolean;
  readonly fin: boolean;
  readonly reset: boolean;
  readonly sequence: number;
  readonly acknowledged: number;
  /** Bytes of data beside. */
  readonly length: number;
}

/** A packet that a bridge handed on between its ports. */
export interface BridgedPacket {
  readonly tuple: Tuple;
  /** Absent: the first datagram of a flow. */
  readonly tcp?: TcpMark;
}

/** Undefined for what is neither TCP nor UDP, or is cut off. */
export function parseBridgedPacket(headers: Buffer): BridgedPacket | undefined {
  const tuple = tupleOf(headers);
  if (tuple === undefined || tuple.sourcePort === undefined) return undefined;
  if (tuple.protocol === 'udp') return { tuple };
  if (tuple.protocol !== 'tcp') return undefined;
  const isV4 = headers.readUInt8(0) >> 4 === 4;
  const start = isV4 ? (headers.readUInt8(0) & 0xf) * 4 : 40;
  const total = isV4 ? headers.readUInt16BE(2) : 40 + headers.readUInt16BE(4);
  // RFC 9293 §3.1.
  if (headers.length < start + 14) return undefined;
  const flags = headers.readUInt8(start + 13);
  return {
    tuple,
    tcp: {
      syn: (flags & 2) !== 0,
      ack: (flags & 16) !== 0,
      fin: (flags & 1) !== 0,
      reset: (flags & 4) !== 0,
      sequence: headers.readUInt32BE(start + 4),
      acknowledged: headers.readUInt32BE(start + 8),
      length: Math.max(0, total - start - (headers.readUInt8(start + 12) >> 4) * 4),
    },
  };
}

/** The families whose bridged packets connection tracking sees (br_netfilter). */
export function trackedOnBridges(): ReadonlySet<Family> {
  const shown = (what: string): boolean => readSysctl(`net/bridge/bridge-nf-call-${what}`) === '1';
  return new Set<Family>([
    ...(shown('iptables') ? (['ipv4'] as const) : []),
    ...(shown('ip6tables') ? (['ipv6'] as const) : []),
  ]);
}

/**
 * What begins and ends connections between the ports of bridges, where connection tracking sees nothing: the first and
 * last segments of TCP, the first datagrams. The table is the socket's own (nft(8), `flags owner`).
 */
export class BridgedPackets {
  readonly #nft = new Nftables();
  readonly #log: PacketLog;

  /** @throws KernelError before Linux 5.12, or without nfnetlink_log */
  constructor() {
    this.#log = listenWithTable(this.#nft, () => new PacketLog(GROUP), TABLE_TEXT);
  }

  /** @param skipped families whose packets are passed over */
  read(
    messages: number,
    skipped: ReadonlySet<Family>,
  ): { readonly packets: readonly BridgedPacket[]; readonly lost: number; readonly more: boolean } {
    const packets: BridgedPacket[] = [];
    const counts = this.#log.visit(
      messages,
      ({ headers }) => {
        const packet = parseBridgedPacket(headers);
        if (packet !== undefined) packets.push(packet);
      },
      (version) => !skipped.has(version === 4 ? 'ipv4' : 'ipv6'),
    );
    return { packets, ...counts };
  }

  close(): void {
    this.#log.close();
    void this.#nft.closeAside();
  }
}
