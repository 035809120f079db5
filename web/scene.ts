import type { TopologyHost, TopologyNetwork, TopologyPort } from '../src/model/topology.ts';
import type { Place } from './model.ts';

/** Where everything is, in CSS pixels from the picture's corner. Made anew only when what there is changes. */
export interface Scene {
  readonly width: number;
  readonly height: number;
  readonly nodes: readonly SceneNode[];
  readonly edges: readonly SceneEdge[];
}

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}

export type Detail = 'large' | 'small' | 'tiny';

export type SceneNode = Box & { readonly id: string } & (
    | { readonly kind: 'outside' }
    | {
        readonly kind: 'host';
        readonly host: TopologyHost | undefined;
        readonly others: readonly TopologyHost[];
        /** Something drawn is published. */
        readonly published: boolean;
      }
    | { readonly kind: 'port'; readonly port: TopologyPort; readonly to: string }
    | { readonly kind: 'more-ports'; readonly count: number }
    | { readonly kind: 'section'; readonly title: string; readonly text: string }
    | {
        readonly kind: 'network';
        readonly title: string;
        readonly network: TopologyNetwork | undefined;
        readonly count: number;
        readonly detail: Detail;
        readonly panel: Box;
      }
    | { readonly kind: 'peer'; readonly host: TopologyHost; readonly network: TopologyNetwork }
    | { readonly kind: 'place'; readonly place: Place; readonly group: string; readonly detail: Detail }
  );

export type Point = readonly [x: number, y: number];

export interface SceneEdge {
  readonly id: string;
  readonly kind: 'uplink' | 'gateway' | 'veth' | 'dnat' | 'tunnel' | 'idle';
  /** From the host's side towards the container. */
  readonly points: readonly Point[];
  /** Whose counters it shows. */
  readonly link?: string;
  readonly port?: string;
  /** Too short for anything to run along it. */
  readonly calm?: boolean;
  /** The source of what leaves by it is translated. */
  readonly snat?: boolean;
}
