import type { Ip } from '../model/address.ts';
import type { End, Hop, MtuGap } from './hop.ts';
import type { PacketProtocol } from './packet.ts';
import type { Outcome } from './trail.ts';
import type { Space } from './world.ts';

/** Who asks whom. */
export interface Question {
  readonly from:
    | { readonly kind: 'inside'; readonly space: Space }
    /** Comes in by a device of the host. */
    | { readonly kind: 'outside'; readonly space: Space; readonly address: Ip; readonly device: string }
    /** A container of another host: comes in by the tunnel. */
    | {
        readonly kind: 'elsewhere';
        readonly space: Space;
        readonly address: Ip;
        readonly device: string;
        readonly host: Ip;
      };
  readonly to: End;
  readonly protocol: PacketProtocol;
}

export interface Way {
  readonly outcome: Outcome;
  readonly hops: readonly Hop[];
  readonly gap: MtuGap | undefined;
}
