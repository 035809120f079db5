import type { Tuple } from '../model/tuple.ts';
import { TABLE_NAME } from '../plan/nft-text.ts';
import { listenWithTable, WATCH_TABLE } from './listening-table.ts';
import { type TraceEvent, TraceListener } from './nft-trace.ts';
import { Nftables } from './nftables.ts';
import { RuleListings } from './rule-listings.ts';

/** Right after connection tracking (-200), which knows what is new. */
const PRIORITY = -199;
/** Packets a second that are traced, some twenty messages each. */
const RATE = 50;
/** Rules of others are listed when one drops, and again when they may have changed. */
const LISTED_MS = 5000;

const MARKS = `ct state new,invalid limit rate ${RATE}/second burst ${RATE} packets meta nftrace set 1`;
const TABLE_TEXT = `table inet ${WATCH_TABLE} {
  flags owner;
  chain prerouting { type filter hook prerouting priority ${PRIORITY}; policy accept; ${MARKS}; }
  chain output { type filter hook output priority ${PRIORITY}; policy accept; ${MARKS}; }
}`;

/** What a rule or a policy of somebody else dropped. */
export interface ForeignDrop {
  /** `inet filter forward: ip daddr 10.0.0.1 drop`. */
  readonly rule: string;
  readonly tuple: Tuple;
  /** Interface indices, 0 without one. */
  readonly iif: number;
  readonly oif: number;
}

/**
 * Packets that rules of others drop, by nft's trace: of first packets of connections, at most RATE a second. The table
 * that marks them is this object's socket's own (nft(8), `flags owner`) and ends with it, however the daemon ends.
 */
export class ForeignDrops {
  readonly #nft = new Nftables();
  readonly #rules = new RuleListings(this.#nft);
  readonly #trace: TraceListener;
  #listed = 0;

  /** @throws KernelError before Linux 5.12 */
  constructor() {
    this.#trace = listenWithTable(this.#nft, () => new TraceListener(), TABLE_TEXT);
  }

  /** What was dropped since the last call. @param datagrams at most as many are read */
  read(datagrams: number): readonly ForeignDrop[] {
    if (performance.now() - this.#listed > LISTED_MS) {
      this.#rules.forget();
      this.#listed = performance.now();
    }
    const seen = new Map<number, TraceEvent>();
    return this.#trace.read(datagrams).flatMap((event): readonly ForeignDrop[] => {
      const { packet, first, verdict, table } = event;
      if (first) seen.set(packet, event);
      if (verdict !== 'drop' || table === TABLE_NAME) return [];
      const { tuple, iif = 0, oif = 0 } = seen.get(packet) ?? {};
      return tuple === undefined ? [] : [{ rule: this.#ruleName(event), tuple, iif, oif }];
    });
  }

  close(): void {
    this.#trace.close();
    void this.#nft.closeAside();
  }

  #ruleName({ family, table, chain, handle }: TraceEvent): string {
    const rule = handle === undefined ? undefined : this.#rules.rule(family, table, chain, handle);
    const text = handle === undefined ? 'policy drop' : (rule?.text ?? 'a rule that is gone');
    return `${family} ${table} ${chain}: ${text}`;
  }
}
