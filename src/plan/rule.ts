/** What a rule looks at in a packet. `daddr-type` is the kernel's route type of the destination (`fib daddr type`). */
export type Field =
  | 'iifname'
  | 'oifname'
  | 'saddr'
  | 'daddr'
  | 'daddr-type'
  | 'l4proto'
  | 'dport'
  | 'icmpv6-type'
  | 'ct-state'
  | 'ct-status'
  | 'ether-saddr'
  | 'arp-saddr'
  | 'ip-saddr'
  | 'ip6-saddr'
  /** What a neighbour advertisement speaks of (RFC 4861 §4.4). */
  | 'nd-target';

/** A packet's values are compared with words in the rule itself, or looked up in a set whose elements come and go. */
export type Match =
  | { readonly kind: 'words'; readonly field: Field; readonly words: readonly string[]; readonly not?: true }
  | {
      readonly kind: 'lookup';
      readonly fields: readonly Field[];
      readonly set: SetName;
      readonly not?: true;
    }
  /** The packet's mark, as far as the mask goes (`meta mark & mask == mark`). */
  | ({ readonly kind: 'mark' } & FirewallMark);

/** 32 bits each. */
export interface FirewallMark {
  readonly mark: number;
  readonly mask: number;
}

export type Verdict =
  | { readonly kind: 'accept' }
  | { readonly kind: 'drop' }
  | { readonly kind: 'masquerade' }
  /** Connection tracking passes it over, and with it all NAT; the next rule goes on. */
  | { readonly kind: 'notrack' }
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
  /**
   * Rules of one id after each other, each with a counter of its own: whose packets this one drops. Neighbours are
   * containers of the same network; without it, of all the others.
   */
  readonly of?: 'neighbours' | 'containers';
}

/**
 * Priorities of netfilter hooks (linux/netfilter_ipv4.h, the same numbers in IPv6); `mangle` is after connection
 * tracking, before NAT. In the bridge family -300 is before br_netfilter shows frames to the other families.
 */
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
  | 'overlays'
  | 'internal'
  | 'home'
  | 'endpoints'
  | 'egress_any'
  | 'egress_to'
  | 'trusted'
  | 'open'
  | 'unprotected'
  | 'routed'
  | GuardSet;

/** An address or MAC that is somebody's, and by which ports of bridges he may send with it. */
export type GuardSet = `taken_${'mac' | 'ip' | 'ip6' | 'nd'}` | `holds_${'mac' | 'ip' | 'ip6' | 'nd'}`;

export type KeyType =
  | 'ipv4_addr'
  | 'ipv6_addr'
  | 'ether_addr'
  | 'inet_proto'
  | 'inet_service'
  | 'ifname'
  /** nft 1.0.6 has no name for it: its type is that of the bytes it is compared with. */
  | 'nd_target';

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

/** The families of the engine's tables, each called `gangway`. */
export type TableFamily = 'ip' | 'ip6' | 'bridge';

export interface Ruleset {
  readonly family: TableFamily;
  readonly sets: readonly SetDefinition[];
  readonly chains: readonly Chain[];
}
