import type { Ip } from './address.ts';
import type { Cause } from './cause.ts';
import type { PacketProtocol } from './tuple.ts';

/** One end of a connection. */
export interface FlowEnd {
  /** A container's name, or `host`; absent for what is elsewhere. */
  readonly name?: string;
  /** Of a container's address. */
  readonly network?: string;
  readonly address: Ip;
  readonly port?: number;
}

/** What was rewritten on the way there; answers are rewritten back. */
export interface FlowNat {
  /** What was asked, before it became `to`. */
  readonly asked?: { readonly address: Ip; readonly port?: number };
  /** As whom `from` is seen by `to`. */
  readonly seenAs?: { readonly address: Ip; readonly port?: number };
}

interface FlowBase {
  /** RFC 3339, UTC. */
  readonly time: string;
  readonly protocol: PacketProtocol | 'other';
  readonly from: FlowEnd;
  readonly to: FlowEnd;
}

export type FlowEvent =
  | (FlowBase & { readonly kind: 'open'; readonly nat?: FlowNat })
  | (FlowBase & {
      readonly kind: 'close';
      readonly nat?: FlowNat;
      /** Something came back. */
      readonly answered: boolean;
      /**
       * With the headers of IP; of connections within a network that connection tracking does not see, data alone.
       * Absent where the kernel had not counted from the beginning.
       */
      readonly bytes?: { readonly there: number; readonly back: number };
    })
  | (FlowBase & {
      readonly kind: 'drop';
      readonly cause: Cause;
      /** The id of a rule of the engine's; of others family, table, chain and the rule as nft writes it. */
      readonly rule: string;
      /** The interface it came by. */
      readonly device?: string;
    });

/** In the stream of `GET /gangway/watch`: what happened, or that some of it is left out. */
export type WatchEvent =
  | FlowEvent
  | {
      readonly time: string;
      readonly kind: 'left-out';
      /** At least as many events, since they came faster than they were read. */
      readonly events: number;
    }
  /** What cannot be seen on this kernel. */
  | { readonly time: string; readonly kind: 'missing'; readonly what: string };
