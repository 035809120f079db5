import type { Ip, Ipv4, Ipv6, Mac, Prefix } from './address.ts';

/** A host of the cluster, as it tells of itself. */
export interface ClusterNode {
  readonly id: string;
  readonly name: string;
  /** Where its tunnels end (VTEP, RFC 7348). */
  readonly address: Ip;
}

/** A container of another host on an overlay network. */
export interface RemoteEndpoint {
  readonly id: string;
  readonly networkId: string;
  readonly nodeId: string;
  readonly containerId: string;
  readonly containerName: string;
  readonly mac: Mac;
  readonly ipv4?: Ipv4;
  readonly ipv6?: Ipv6;
  /** In Docker's order; the first is the one a reverse lookup gives. */
  readonly names: readonly string[];
}

/** What all hosts agree on about an overlay network. */
export interface OverlaySpec {
  readonly id: string;
  readonly name: string;
  readonly created: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
  readonly internal: boolean;
  readonly attachable: boolean;
  /** VXLAN network identifier, 24 bits. */
  readonly vni: number;
  readonly ipv4?: OverlaySubnet<Ipv4>;
  readonly ipv6?: OverlaySubnet<Ipv6>;
  readonly mtu?: number;
}

export interface OverlaySubnet<A extends Ip = Ip> {
  readonly subnet: Prefix<A>;
  readonly gateway: A;
  readonly ipRange?: Prefix<A>;
  readonly auxAddresses: Readonly<Record<string, A>>;
}

/** What a host tells of its cluster (`GET /gangway/cluster`). */
export interface ClusterReport {
  readonly state: 'connecting' | 'connected' | 'away' | 'closed';
  /** Unix milliseconds of the last change of `state`. */
  readonly since: number;
  /** Why the store is not reached. */
  readonly fault?: string;
  /** How long the store took to answer just now, in milliseconds; absent when it did not. */
  readonly answered?: number;
  /** Changes of this host that the store does not have yet. */
  readonly waiting: number;
  readonly nodes: readonly {
    readonly id: string;
    readonly name: string;
    readonly address: string;
    readonly own: boolean;
    /** It renews its lease; `unknown` while the store is away. */
    readonly state: 'alive' | 'away' | 'unknown';
  }[];
  readonly networks: readonly {
    readonly name: string;
    /** IPv4 first. */
    readonly subnets: readonly string[];
    readonly vni: number;
    readonly here: number;
    readonly elsewhere: number;
    readonly blocks: readonly string[];
  }[];
}
