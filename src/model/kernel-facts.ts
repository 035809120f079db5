import type { Family, InterfaceAddress, Ip } from './address.ts';
import type { MacvlanMode } from './network.ts';
import type { Protocol } from './port.ts';

/** What one network namespace has, as it was read at one moment. Plain data. */
export interface NamespaceFacts {
  readonly links: readonly LinkFacts[];
  readonly addresses: readonly (InterfaceAddress & { readonly link: number })[];
  readonly routes: readonly RouteFacts[];
  /** `ip rule`, in the kernel's order. */
  readonly rules: readonly PolicyRule[];
  readonly settings: SettingFacts;
  /** Sockets that wait for clients, of the asked port. */
  readonly listeners: readonly ListenerFacts[];
  /** nftables tables that are not the engine's, in nft's language with handles (`nft -a -y list table`). */
  readonly firewall: readonly string[];
  /** Rules of iptables-legacy, by family; without an entry where it has no table. */
  readonly legacy: readonly LegacyFirewall[];
}

export interface LegacyFirewall {
  readonly family: Family;
  /** `filter`, `nat`, `mangle`, `raw`, `security`. */
  readonly tables: readonly string[];
  /** What `iptables-legacy-save` prints; undefined where it could not be run. */
  readonly listing: string | undefined;
}

export interface LinkFacts {
  readonly index: number;
  readonly name: string;
  readonly kind: string;
  readonly up: boolean;
  /** IFF_LOWER_UP: the other end of the wire is there. */
  readonly carrier: boolean;
  readonly mac: string;
  readonly mtu: number;
  /** Index of the bridge it is a port of; 0 without one. */
  readonly master: number;
  /** Of a veth the other end's index, of a macvlan the parent's; in that one's namespace. */
  readonly peer: number;
  /** A bridge port that exchanges frames only with the bridge itself and ports that are not isolated. */
  readonly isolated: boolean;
  /** Of a macvlan: what it hands on. */
  readonly macvlan?: MacvlanMode | undefined;
}

export interface RouteFacts {
  readonly family: Family;
  /** Undefined is the default route. */
  readonly to: InterfaceAddress | undefined;
  readonly gateway: Ip | undefined;
  /** Index; 0 for a route that leads nowhere. */
  readonly link: number;
  readonly kind: 'unicast' | 'local' | 'broadcast' | 'refusing' | 'throw';
  /** The address a packet gets that has none yet. */
  readonly source: Ip | undefined;
  readonly metric: number;
  /** `MAIN_TABLE`, `LOCAL_TABLE`, or one that a policy rule leads to. */
  readonly table: number;
}

/** linux/rtnetlink.h, RT_TABLE_*. */
export const MAIN_TABLE = 254;
export const LOCAL_TABLE = 255;

/** Which table is asked for a packet (ip-rule(8)); conditions that are absent are of every packet. */
export interface PolicyRule {
  readonly family: Family;
  readonly priority: number;
  readonly action:
    | { readonly kind: 'lookup'; readonly table: number }
    | { readonly kind: 'goto'; readonly priority: number }
    | { readonly kind: 'refusing'; readonly how: 'blackhole' | 'unreachable' | 'prohibit' }
    | { readonly kind: 'nop' };
  /** About every packet but those of the conditions. */
  readonly not: boolean;
  readonly from?: InterfaceAddress | undefined;
  readonly to?: InterfaceAddress | undefined;
  readonly iif?: string | undefined;
  readonly oif?: string | undefined;
  readonly mark?: { readonly value: number; readonly mask: number } | undefined;
  /** IANA's number. */
  readonly protocol?: number | undefined;
  readonly sport?: Range | undefined;
  readonly dport?: Range | undefined;
  readonly uid?: Range | undefined;
  /** A route with a prefix of this length or a shorter one is passed over. */
  readonly suppress?: number | undefined;
  /** Conditions that nothing here can judge, in ip's words. */
  readonly others: readonly string[];
}

interface Range {
  readonly first: number;
  readonly last: number;
}

export interface SettingFacts {
  readonly forwarding: Readonly<Record<Family, boolean>>;
  /** `rp_filter` in force by interface: the greater of its own and that of `all`. Absent is 0. */
  readonly rpFilter: Readonly<Record<string, number>>;
  /** `route_localnet` by interface. Absent is off. */
  readonly routeLocalnet: Readonly<Record<string, boolean>>;
  /** What a bridge hands on between its ports is shown to the firewall of this family. */
  readonly bridgeFirewall: Readonly<Record<Family, boolean>>;
  /** Tracked connections and how many there may be; undefined without connection tracking. */
  readonly connections: { readonly count: number; readonly most: number } | undefined;
}

export interface ListenerFacts {
  readonly protocol: Protocol;
  /** `0.0.0.0` and `::`: every address. */
  readonly address: Ip;
  readonly port: number;
  /** An IPv6 socket that takes no IPv4. */
  readonly v6only: boolean;
  /** Index of the link it is bound to; 0 without. */
  readonly link: number;
  /** The program that has it, where it can be told. */
  readonly program: { readonly name: string; readonly pid: number } | undefined;
}
