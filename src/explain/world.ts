import type { Ip } from '../model/address.ts';
import type { NamespaceFacts } from '../model/kernel-facts.ts';
import type { Ruleset, TableFamily } from '../plan/rule.ts';
import type { ForeignTable } from './foreign/rule.ts';
import type { Elements } from './packet.ts';

/** Whose network namespace it is. */
export type Where =
  | { readonly kind: 'host' }
  | { readonly kind: 'container'; readonly id: string; readonly name: string }
  /** A neighbour of the host on the uplink's network, or whoever is behind it. */
  | { readonly kind: 'outside' };

/** A network namespace as it is now. */
export interface Space {
  readonly where: Where;
  readonly facts: NamespaceFacts;
  /** Rules in it that are not the engine's. */
  readonly foreign: readonly ForeignTable[];
}

/** Everything the way of a packet depends on. */
export interface World {
  readonly host: Space;
  /** The sandboxes that the question touches. */
  readonly sandboxes: readonly Space[];
  /** The engine's own tables as they are in the kernel; an absent one is not there. */
  readonly own: Readonly<Partial<Record<TableFamily, OwnTable>>>;
  /** Host ports that the engine holds by sockets that answer nothing: `tcp 0.0.0.0 8080`. */
  readonly held: ReadonlySet<string>;
  readonly tunnels: readonly Tunnel[];
}

export interface OwnTable {
  readonly ruleset: Ruleset;
  readonly elements: Elements;
}

/** A tunnel end of an overlay network on this host. */
export interface Tunnel {
  /** Index of its link. */
  readonly link: number;
  /** Containers of other hosts that it leads to. */
  readonly remotes: readonly {
    readonly address: Ip;
    readonly host: Ip;
    readonly name: string;
    readonly alive: boolean;
  }[];
}
