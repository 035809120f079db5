import type { Ip } from '../model/address.ts';
import type { LinkFacts, ListenerFacts, PolicyRule, RouteFacts } from '../model/kernel-facts.ts';
import type { MacvlanMode } from '../model/network.ts';
import type { Protocol } from '../model/port.ts';
import type { ForeignRule, LegacyTool } from './foreign/rule.ts';
import type { Packet, PacketProtocol } from './packet.ts';
import type { Where } from './world.ts';

/** One end of a packet; without a port where it has none, or the asker's own that nobody knows yet. */
export interface End {
  readonly address: Ip;
  readonly port: number | undefined;
}

/** A rule that decided: one of ours by its id, or one of somebody else's by its place; without `rule` it is the chain's policy. */
export type RuleRef =
  | { readonly by: 'engine'; readonly id: string }
  | {
      readonly by: 'other';
      /** With its family, but for one of `tool`. */
      readonly table: string;
      readonly tool?: LegacyTool;
      readonly chain: string;
      /** The chain at the hook from which it is jumped to, or `chain` itself. */
      readonly base: string;
      readonly rule: ForeignRule | undefined;
    };

/** A rule that says which table of routes is asked (`ip rule`). */
export interface PolicyRef {
  readonly by: 'routing';
  readonly rule: PolicyRule;
}

/** One hop of a packet's way, as data; `words/` has the sentences. */
export type Hop =
  | {
      readonly kind: 'name';
      readonly name: string;
      /** Who answers: the engine's name service, the container's /etc/hosts, or a name server outside. */
      readonly by: 'gangway' | 'hosts-file' | 'upstream' | 'engine';
      readonly addresses: readonly Ip[];
    }
  | {
      readonly kind: 'send';
      readonly where: Where;
      readonly from: End;
      readonly to: End;
      readonly protocol: PacketProtocol;
    }
  | {
      readonly kind: 'route';
      readonly where: Where;
      readonly to: Ip;
      readonly gateway: Ip | undefined;
      readonly device: string;
      /** That led to it; none where every namespace has it. */
      readonly rule: PolicyRule | undefined;
    }
  | {
      readonly kind: 'rule';
      readonly where: Where;
      readonly verdict: 'accept' | 'drop' | 'reject';
      readonly hook: string;
      readonly rule: RuleRef;
    }
  /** A rule of somebody else's that could decide, and of which it cannot be told whether it matches. */
  | { readonly kind: 'undecided'; readonly where: Where; readonly rule: RuleRef | PolicyRef }
  | {
      readonly kind: 'nat';
      readonly where: Where;
      readonly side: 'source' | 'destination';
      readonly rule: RuleRef | undefined;
      readonly before: End;
      readonly after: End;
    }
  | { readonly kind: 'wire'; readonly from: string; readonly to: string; readonly where: Where }
  | { readonly kind: 'bridge'; readonly bridge: string; readonly from: string; readonly to: string }
  /** To another host's container, or, without `to`, from there to this host. */
  | { readonly kind: 'tunnel'; readonly device: string; readonly host: Ip; readonly to: string | undefined }
  | { readonly kind: 'leave'; readonly device: string; readonly to: Ip }
  | {
      readonly kind: 'deliver';
      readonly where: Where;
      readonly to: End;
      readonly protocol: PacketProtocol;
      readonly listener: ListenerFacts | undefined;
    }
  /** From here on it is the way of the answer. */
  | { readonly kind: 'answer'; readonly where: Where; readonly from: End; readonly to: End }
  /** From here on it is the way of what the asker sends next. */
  | { readonly kind: 'follow'; readonly where: Where; readonly to: End }
  | { readonly kind: 'stop'; readonly obstacle: Obstacle };

/** What ends a packet's way. `back`: on the way of the answer. `later`: what follows it ends there. */
export type Obstacle = { readonly where: Where; readonly back: boolean; readonly later?: boolean } & Reason;

export type Reason =
  | {
      readonly kind: 'rule';
      readonly rule: RuleRef;
      readonly verdict: 'drop' | 'reject';
      readonly hook: string;
      readonly packet: Pick<Packet, 'iifname' | 'oifname' | 'daddr' | 'dport' | 'protocol'>;
    }
  /** @property refusing a route that says no (blackhole, unreachable, prohibit). @property rule that led to it, or says so itself */
  | {
      readonly kind: 'no-route';
      readonly to: Ip;
      readonly refusing?: RouteFacts | undefined;
      readonly rule?: PolicyRule | undefined;
    }
  /** Nobody behind the device has the address. */
  | { readonly kind: 'nobody'; readonly address: Ip; readonly device: string }
  | {
      readonly kind: 'link';
      readonly link: string;
      readonly what: 'down' | 'no-carrier' | 'missing' | 'no-port';
    }
  | { readonly kind: 'isolated-ports'; readonly bridge: string }
  | { readonly kind: 'forwarding-off'; readonly to: Ip }
  | { readonly kind: 'rp-filter'; readonly device: string; readonly source: Ip }
  /** An address that may not come in by this device. */
  | { readonly kind: 'martian'; readonly device: string; readonly address: Ip }
  | { readonly kind: 'conntrack-full'; readonly count: number; readonly most: number }
  | {
      readonly kind: 'nothing-listens';
      readonly at: End;
      readonly protocol: Protocol;
      readonly others: readonly ListenerFacts[];
    }
  /** Somebody's rule keeps it from connection tracking, and so from being translated. */
  | { readonly kind: 'untracked'; readonly rule: RuleRef }
  /** The engine holds the port, and no rule translated what came for it. */
  | { readonly kind: 'held'; readonly at: End; readonly protocol: Protocol }
  | { readonly kind: 'bridge-firewall' }
  /** The answer comes from another address than the one asked. */
  | { readonly kind: 'other-source'; readonly asked: End; readonly answers: End }
  | { readonly kind: 'host-away'; readonly host: Ip }
  /** It left this host towards an address that is only on this host. */
  | { readonly kind: 'left'; readonly device: string; readonly to: Ip }
  /** A container on a macvlan and the host it is on: the kernel hands nothing on between the two. */
  | { readonly kind: 'macvlan-host' }
  /** Two containers on one parent, and one of them in a mode that is not `bridge`. */
  | { readonly kind: 'macvlan-apart'; readonly parent: string; readonly mode: MacvlanMode }
  | { readonly kind: 'loop' };

/** Two devices of one segment with different MTUs: what one sends, the other does not take. */
export interface MtuGap {
  readonly sender: Pick<LinkFacts, 'name' | 'mtu'> & { readonly where: Where };
  readonly narrow: Pick<LinkFacts, 'name' | 'mtu'> & { readonly where: Where };
}
