/** Rules that are not the engine's, as far as they can be understood. */

export type TableFamily = 'ip' | 'ip6' | 'inet' | 'bridge' | 'netdev';

/** Whose rules the kernel keeps apart from those of nftables, at hooks of their own (x_tables). */
export type LegacyTool = 'iptables-legacy' | 'ip6tables-legacy';

export interface ForeignTable {
  readonly family: TableFamily;
  readonly name: string;
  /** Absent: nft, iptables-nft. */
  readonly tool?: LegacyTool;
  /** Elements of named sets; of maps too, with what they lead to. */
  readonly sets: ReadonlyMap<string, readonly Entry[]>;
  readonly chains: readonly ForeignChain[];
}

export interface ForeignChain {
  readonly name: string;
  readonly base?: {
    readonly type: string;
    readonly hook: string;
    readonly priority: number;
    readonly policy: 'accept' | 'drop';
  };
  readonly rules: readonly ForeignRule[];
}

export interface ForeignRule {
  /** What `nft delete rule FAMILY TABLE CHAIN handle N` wants; of iptables-legacy its number in the chain. */
  readonly handle: number;
  /** In nft's language, without handle; of iptables-legacy in that of iptables-save, without chain. */
  readonly text: string;
  readonly statements: readonly Statement[];
}

/** An element: the parts of its key, and what it leads to in a verdict map. */
export interface Entry {
  readonly key: readonly string[];
  readonly verdict?: Verdict;
}

export type Verdict = Decision | Flow;

/** What ends a chain. */
export type Decision =
  | { readonly kind: 'accept' | 'drop' | 'reject' }
  | { readonly kind: 'masquerade' }
  /** `to` as nft has it: `10.0.0.2:8080`. `redirect` goes to the host itself. */
  | { readonly kind: 'dnat' | 'snat' | 'redirect'; readonly to: string };

export type Flow =
  | { readonly kind: 'return' }
  | { readonly kind: 'continue' }
  | { readonly kind: 'jump'; readonly chain: string }
  | { readonly kind: 'goto'; readonly chain: string };

export type Statement =
  | {
      readonly kind: 'match';
      readonly fields: readonly string[];
      readonly not: boolean;
      /** Keeps only these bits before comparing. */
      readonly mask?: number;
      /** Values in the rule, or the name of a set. */
      readonly values: readonly Entry[] | string;
    }
  | { readonly kind: 'vmap'; readonly fields: readonly string[]; readonly entries: readonly Entry[] | string }
  | { readonly kind: 'verdict'; readonly verdict: Verdict }
  /** The mark becomes `mark & ~mask ^ value`; without a value nobody can tell what. */
  | { readonly kind: 'set-mark'; readonly value: number | undefined; readonly mask: number }
  | { readonly kind: 'notrack' }
  /** Counters, logs: they decide nothing. */
  | { readonly kind: 'effect' }
  /** Not understood: whether the rule matches cannot be told. */
  | { readonly kind: 'unknown'; readonly text: string };
