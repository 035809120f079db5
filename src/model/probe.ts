import type { IfName, Ip, NetnsPath } from './address.ts';
import type { Port } from './port.ts';
import type { Tuple } from './tuple.ts';

/** One packet to be sent, and where to look for it. */
export interface ProbeRequest {
  /** A sandbox's namespace, the host itself, or a client of the host's network (see `ProbeFacts.standIn`). */
  readonly from: NetnsPath | 'host' | 'outside';
  readonly to: ProbeTarget;
  /** The namespace of the container it should arrive at, where it is on this host. */
  readonly toNetns?: NetnsPath;
  /** How long nothing may come, in ms; 1000 unless told. */
  readonly timeout?: number;
}

/** An echo asks for no port. */
export type ProbeTarget =
  | { readonly protocol: 'tcp' | 'udp'; readonly address: Ip; readonly port: Port }
  | { readonly protocol: 'icmp'; readonly address: Ip };

/** What the sender saw. */
export type ProbeOutcome =
  /** The handshake was done, a datagram or an echo was answered. */
  | { readonly kind: 'answered' }
  | { readonly kind: 'refused' }
  /** @see errno(3): EHOSTUNREACH, ENETUNREACH, EACCES… */
  | { readonly kind: 'failed'; readonly errno: string }
  | { readonly kind: 'silence' }
  /** The packet was never sent; `why` is for people. */
  | { readonly kind: 'not-sent'; readonly why: string };

/** Whose namespace something happened in. */
export type ProbePlace = 'from' | 'host' | 'to';

/** A base chain the packet came to, as it was there, and what each rule that mattered did with it. */
export interface ProbeHop {
  readonly place: ProbePlace;
  /** The way there, or the answer's way back. */
  readonly direction: 'there' | 'back';
  /** `prerouting`, `forward`…; unknown for a chain that is gone again. */
  readonly hook: string | undefined;
  readonly tuple: Tuple;
  readonly iif: IfName | undefined;
  readonly oif: IfName | undefined;
  readonly table: string;
  readonly chain: string;
  /** The prober's own chain: the packet is there, no more is said. */
  readonly waypoint: boolean;
  /** What ended the chain. */
  readonly decision: ProbeDecision | undefined;
}

export interface ProbeDecision {
  readonly verdict: 'accept' | 'drop' | 'other';
  /** A chain's policy decides where no rule does. */
  readonly by: 'rule' | 'policy';
  /** The chain the rule is in: jumps lead out of the base chain. */
  readonly chain: string;
  readonly rule: ProbeRule | undefined;
}

export interface ProbeRule {
  /** In one of the engine's tables. */
  readonly own: boolean;
  /** Of an own rule its stable id. */
  readonly comment: string | undefined;
  /** As `nft list` writes it. */
  readonly text: string;
}

export interface ProbeFacts {
  readonly outcome: ProbeOutcome;
  /** As it was sent; undefined when it was not. */
  readonly sent: Tuple | undefined;
  /** In the order they were come to. */
  readonly hops: readonly ProbeHop[];
  /** What the host's connection tracking has; undefined when the packet never came to the end of its way through the host. */
  readonly connection:
    | { readonly original: Tuple; readonly reply: Tuple; readonly answered: boolean }
    | undefined;
  /** The kernel's own words, oldest first; empty also where this kernel does not tell them. */
  readonly dropped: readonly { readonly reason: string; readonly location: string }[];
  /** `net.ipv4.ip_forward`, or that of IPv6. */
  readonly forwarding: boolean;
  readonly conntrackFull: boolean;
  /** The address of the client that was made for this probe, behind an interface of its own. */
  readonly standIn: Ip | undefined;
}
