import type { GatewayMode } from './network.ts';

/**
 * What there is, and how it hangs together: the answer of `GET /gangway/topology`. Ids are Docker's; addresses are
 * text with their prefix length, `10.1.0.2/24`.
 */
export interface Topology {
  /** The same text for the same structure; counters do not change it. */
  readonly revision: string;
  /** This host first, then the others of its cluster by name. */
  readonly hosts: readonly TopologyHost[];
  /** Networks that containers have addresses on. */
  readonly networks: readonly TopologyNetwork[];
  readonly containers: readonly TopologyContainer[];
  readonly endpoints: readonly TopologyEndpoint[];
  readonly ports: readonly TopologyPort[];
}

export interface TopologyHost {
  readonly id: string;
  readonly name: string;
  readonly own: boolean;
  /** Where its tunnels end; of a host without a cluster there is none. */
  readonly address?: string;
  /** Its lease in the cluster store holds, as far as is known. */
  readonly alive: boolean;
  /** Of this host: the interfaces with its default routes. */
  readonly uplinks: readonly TopologyUplink[];
}

export interface TopologyUplink {
  readonly ifName: string;
  /** Bytes. */
  readonly mtu: number;
  readonly addresses: readonly string[];
  readonly gateways: readonly string[];
}

export interface TopologyNetwork {
  readonly id: string;
  readonly name: string;
  readonly driver: 'bridge' | 'macvlan' | 'overlay';
  /** Docker Compose's, by its label. */
  readonly project?: string;
  readonly internal: boolean;
  /** The bridge, or a macvlan's parent; an overlay has its bridge only where it has a container. */
  readonly device: string;
  /** Bytes; absent where it follows another interface. */
  readonly mtu?: number;
  /** False where containers of the network do not reach each other (`enable_icc`). */
  readonly icc: boolean;
  readonly families: readonly TopologyFamily[];
  readonly tunnel?: { readonly ifName: string; readonly vni: number };
  /** Driver options as the user gave them. */
  readonly options: Readonly<Record<string, string>>;
}

export interface TopologyFamily {
  readonly subnet: string;
  readonly gateway: string;
  /** The bridge has the gateway's address. */
  readonly onBridge: boolean;
  readonly gatewayMode: GatewayMode;
  /** What happens to the source of what leaves: nothing, the outgoing interface's address, or `to`. */
  readonly egress: 'none' | 'masquerade' | 'snat';
  readonly to?: string;
}

export interface TopologyContainer {
  readonly id: string;
  readonly name: string;
  /** Empty for a container of another host: the cluster does not tell. */
  readonly image: string;
  /** Docker's word: `running`, `exited`… */
  readonly state: string;
  /** Id of its host. */
  readonly host: string;
  readonly project?: string;
  readonly service?: string;
  readonly mode: 'own' | 'host' | 'none' | 'shared';
  /** The container whose network it uses (`container:NAME`), as the user named it. */
  readonly of?: string;
  /** `80/tcp`…, that its image or its user names; published or not. Not known of another host's. */
  readonly exposed: readonly string[];
  /** Names of the networks it is to be on, whether it runs or not. */
  readonly networks: readonly string[];
}

/** A veth pair: one end in a container, the other a port of the network's bridge. */
export interface TopologyEndpoint {
  readonly id: string;
  /** Ids. */
  readonly network: string;
  readonly container: string;
  /** On this host; absent for a macvlan and for other hosts' containers. */
  readonly hostIfName?: string;
  readonly ifName?: string;
  readonly addresses: readonly string[];
  readonly mac: string;
  /** Carries the container's default route. */
  readonly gateway: boolean;
}

export interface TopologyPort {
  /** `tcp 0.0.0.0 8080`: protocol, address and first port on the host. */
  readonly id: string;
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  readonly hostIp: string;
  readonly first: number;
  readonly last: number;
  /** Where `first` leads; the others lead to its neighbours. */
  readonly container: string;
  readonly endpoint: string;
  readonly address: string;
  readonly containerPort: number;
}

/** `GET /gangway/topology?counters=1`: what has passed since the links were made. */
export interface TopologyCounters {
  /** Unix milliseconds. */
  readonly time: number;
  readonly revision: string;
  /** By interface of this host. Of a veth and a bridge, received is what the containers sent. */
  readonly links: Readonly<Record<string, LinkCounters>>;
  /** By `TopologyPort.id`: connections translated so far. Absent where there are too many to be counted each second. */
  readonly ports?: Readonly<Record<string, number>>;
}

/** struct rtnl_link_stats64 (linux/if_link.h). */
export type LinkCounters = readonly [
  receivedBytes: number,
  sentBytes: number,
  receivedPackets: number,
  sentPackets: number,
  /** Both ways; errors are not among them. */
  dropped: number,
];
