import type { Tuple } from '../model/tuple.ts';
import { DROP_LOG_GROUP } from '../plan/nft-text.ts';
import { attribute, type NetlinkMessage, parseAttributes, readText, u8, u16be, u32be } from './netlink.ts';
import { type Heard, NETLINK_NETFILTER } from './netlink-listener.ts';
import { NetlinkSocket } from './netlink-socket.ts';
import type { Nftables } from './nftables.ts';
import { tupleOf } from './packet-headers.ts';
import { PROBE_TABLE } from './probe-table.ts';

/** Packets that a rule with a `log group` drops (linux/netfilter/nfnetlink_log.h). */

const LOG_PACKET = 4 << 8;
const LOG_CONFIG = (4 << 8) | 1;
const CONFIG = { CMD: 1, MODE: 2, TIMEOUT: 4, QTHRESH: 5, FLAGS: 6 } as const;
const COMMAND_BIND = 1;
const COPY_PACKET = 2;
/** The headers of IPv6 and TCP. */
const COPY_BYTES = 64;
/** 1/100 s that the kernel gathers packets for one message, and how many it gathers. */
const GATHER_CS = 5;
const GATHER_PACKETS = 64;
const F_SEQ = 1;
const ULA = { INDEV: 4, OUTDEV: 5, PHYSINDEV: 6, PAYLOAD: 9, PREFIX: 10, SEQ: 12 } as const;
/** struct nfgenmsg. */
const HEADER = 4;

export interface LoggedDrop {
  /** The id of the rule. */
  readonly rule: string;
  /** Undefined for what is not IP. */
  readonly tuple: Tuple | undefined;
  /** Interface indices, 0 without one. */
  readonly iif: number;
  readonly oif: number;
  /** Counts the group's packets, so that a gap is what was lost. */
  readonly sequence: number;
}

/** Undefined for another kind of message. */
export function parseLoggedDrop({ type, payload }: NetlinkMessage): LoggedDrop | undefined {
  if (type !== LOG_PACKET) return undefined;
  const attributes = parseAttributes(payload, HEADER);
  const number = (name: number): number => attributes.get(name)?.readUInt32BE(0) ?? 0;
  return {
    rule: readText(attributes.get(ULA.PREFIX) ?? Buffer.alloc(0)),
    tuple: tupleOf(attributes.get(ULA.PAYLOAD) ?? Buffer.alloc(0)),
    iif: number(ULA.INDEV),
    oif: number(ULA.OUTDEV),
    sequence: number(ULA.SEQ),
  };
}

/** Hears of the packets that the engine's rules drop, in the namespace it is made in. The kernel's group ends with it. */
export class DropLog {
  readonly #netlink = new NetlinkSocket(NETLINK_NETFILTER);
  #next: number | undefined;

  /** @throws KernelError: EBUSY when another program has the group, EOPNOTSUPP without nfnetlink_log */
  constructor() {
    try {
      const bytes = Buffer.concat([u32be(COPY_BYTES), u8(COPY_PACKET), u8(0)]);
      this.#configure([attribute(CONFIG.CMD, u8(COMMAND_BIND))]);
      this.#configure([
        attribute(CONFIG.MODE, bytes),
        attribute(CONFIG.TIMEOUT, u32be(GATHER_CS)),
        attribute(CONFIG.QTHRESH, u32be(GATHER_PACKETS)),
        attribute(CONFIG.FLAGS, u16be(F_SEQ)),
      ]);
    } catch (error) {
      this.#netlink.close();
      throw error;
    }
  }

  /** @param datagrams at most as many are read. @returns what was dropped since the last call, and how many of it got lost */
  read(
    datagrams: number,
  ): Pick<Heard, 'more'> & { readonly drops: readonly LoggedDrop[]; readonly lost: number } {
    const { messages, more } = this.#netlink.heard(datagrams);
    const drops = messages.flatMap((message) => parseLoggedDrop(message) ?? []);
    let lost = 0;
    for (const { sequence } of drops) {
      if (this.#next !== undefined) lost += (sequence - this.#next) >>> 0;
      this.#next = (sequence + 1) >>> 0;
    }
    return { drops, lost, more };
  }

  close(): void {
    this.#netlink.close();
  }

  #configure(parts: readonly Buffer[]): void {
    const header = Buffer.concat([u8(0), u8(0), u16be(DROP_LOG_GROUP)]);
    this.#netlink.request(LOG_CONFIG, 0, [header, ...parts], 'hear dropped packets');
  }
}

/** Whether rules may log to a group: tried in a transaction that leaves nothing. */
export function canLogDrops(nft: Nftables): boolean {
  try {
    nft.run(
      ['ip', 'ip6', 'bridge']
        .map((family) => {
          const table = `${family} ${PROBE_TABLE}`;
          const rule = `log prefix "x" group ${DROP_LOG_GROUP} drop`;
          return `add table ${table}; add chain ${table} c; add rule ${table} c ${rule}; delete table ${table}`;
        })
        .join('; '),
    );
    return true;
  } catch {
    return false;
  }
}
