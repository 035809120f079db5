/** What a rule looks at in a packet. `daddr-type` is the kernel's route type of the destination (`fib daddr type`). */
export type Field =
  | 'iifname'
  | 'oifname'
  | 'saddr'
  | 'daddr'
  | 'daddr-type'
  | 'l4proto'
  | 'dport'
  | 'ct-state'
  | 'ct-status';

/** A packet's values are compared with words in the rule itself, or looked up in a set whose elements come and go. */
export type Match =
  | { readonly kind: 'words'; readonly field: Field; readonly words: readonly string[]; readonly not?: true }
  | {
      readonly kind: 'lookup';
      readonly fields: readonly Field[];
      readonly set: SetName;
      readonly not?: true;
    };

export type Verdict =
  | { readonly kind: 'accept' }
  | { readonly kind: 'drop' }
  | { readonly kind: 'masquerade' }
  | { readonly kind: 'jump'; readonly chain: string }
  /** To where the map leads; a key that is not in it goes on with the next rule. `to`: what the map's data are. */
  | {
      readonly kind: 'dnat' | 'snat';
      readonly fields: readonly Field[];
      readonly map: SetName;
      readonly to: 'address' | 'address-and-port';
    };

export interface Rule {
  /** Stable over versions: it is the rule's comment in nft, so a trace or a listing leads back to this object. */
  readonly id: string;
  readonly matches: readonly Match[];
  readonly verdict: Verdict;
}

/** Priorities of netfilter hooks (linux/netfilter_ipv4.h); `mangle` is after connection tracking, before NAT. */
export const PRIORITIES = { raw: -300, mangle: -150, dstnat: -100, filter: 0, srcnat: 100 } as const;

export interface Chain {
  readonly name: string;
  /** A base chain's place; a chain without is only jumped to. All of ours have the policy accept. */
  readonly base?: {
    readonly type: 'filter' | 'nat';
    readonly hook: 'prerouting' | 'forward' | 'output' | 'postrouting';
    readonly priority: keyof typeof PRIORITIES;
  };
  readonly rules: readonly Rule[];
}

export type SetName =
  | 'pub_any'
  | 'pub_addr'
  | 'bridges'
  | 'icc'
  | 'internal'
  | 'home'
  | 'endpoints'
  | 'egress_any'
  | 'egress_to';

export type KeyType = 'ipv4_addr' | 'inet_proto' | 'inet_service' | 'ifname';

export interface SetDefinition {
  readonly name: SetName;
  readonly key: readonly KeyType[];
  /** Present: a map. */
  readonly data?: readonly KeyType[];
  /** Keys are prefixes. Updates cost O(elements): only for what is per network. */
  readonly interval?: true;
  /** Elements count their connections. */
  readonly counter?: true;
}

export interface Ruleset {
  /** Family and name: `ip gangway`. */
  readonly table: string;
  readonly sets: readonly SetDefinition[];
  readonly chains: readonly Chain[];
}
