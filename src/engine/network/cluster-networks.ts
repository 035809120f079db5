import type { EndpointSettings } from '@docker/node-sdk';
import type { Cluster } from '../../cluster/cluster.ts';
import {
  contains,
  FAMILIES,
  type Family,
  familyOf,
  formatPrefix,
  type Ip,
  type Prefix,
  parseIp,
} from '../../model/address.ts';
import { errors, unavailable } from '../../model/errors.ts';
import type { Network, OverlayNetwork } from '../../model/network.ts';
import type { ClusterNode, ClusterReport, OverlaySpec, RemoteEndpoint } from '../../model/overlay.ts';
import type { NetworkRegistry } from './network-registry.ts';
import type { OverlayNetworkWish } from './network-request.ts';
import type { SandboxTable } from './sandbox-table.ts';

/** A host of the cluster, seen from this one. */
export interface ClusterHost extends ClusterNode {
  readonly own: boolean;
  /** Its lease holds, as far as is known. */
  readonly alive: boolean;
}

/** What of overlay networks all hosts have to agree on: it is asked of the cluster, and may have to be waited for. */
export class ClusterNetworks {
  readonly #cluster: Cluster | undefined;
  readonly #registry: NetworkRegistry;
  readonly #table: SandboxTable;

  constructor(cluster: Cluster | undefined, registry: NetworkRegistry, table: SandboxTable) {
    this.#cluster = cluster;
    this.#registry = registry;
    this.#table = table;
  }

  /** On all hosts, or on none. @throws EngineError in Docker's words, UNAVAILABLE without a store */
  async create(wish: OverlayNetworkWish): Promise<Network> {
    if (this.#cluster === undefined) {
      throw unavailable(
        'an overlay network needs a store that all hosts share: start gangwayd with --cluster-store etcd://HOST:2379 and --cluster-advertise INTERFACE',
      );
    }
    if (this.#registry.list().some((network) => network.name === wish.name)) {
      throw errors.networkExists(wish.name);
    }
    const spec = await this.#cluster.createNetwork(wish.name, (others, vni) =>
      this.#registry.overlaySpec(wish, others, vni),
    );
    return this.#registry.resolve(spec.id);
  }

  /** @throws EngineError FORBIDDEN while a container of any host is on it, UNAVAILABLE without the store */
  async remove(network: OverlayNetwork): Promise<void> {
    const spec = this.#cluster?.network(network.id);
    if (this.#cluster === undefined || spec === undefined) {
      throw unavailable(
        `the cluster store that has network ${network.name} is not configured (--cluster-store)`,
      );
    }
    await this.#cluster.removeNetwork(spec);
  }

  /** What a start of a container may have to ask for: blocks of addresses, once in a while. @throws EngineError */
  async prepare(networks: Readonly<Record<string, EndpointSettings>>): Promise<void> {
    if (this.#cluster === undefined) return;
    const { blocks } = this.#cluster;
    for (const [name, settings] of Object.entries(networks)) {
      const network = this.#registry.list().find((each) => each.name === name || each.id === name);
      const spec = network && this.#cluster.network(network.id);
      if (spec === undefined) continue;
      const { IPv4Address: ipv4, IPv6Address: ipv6 } = settings.IPAMConfig ?? {};
      const chosen = [ipv4, ipv6].flatMap((text) => (text ? [parseIp(text)] : []));
      // One that is not of the network is refused with Docker's words when it is taken; nothing is claimed for it.
      if (chosen.some((address) => !isOf(spec, address))) continue;
      const families = new Set(chosen.map(familyOf));
      await blocks.claim(spec, [
        ...chosen.map((of) => ({ of })),
        ...this.#registry
          .familiesUsedUp(spec.id)
          .filter((family) => !families.has(family))
          .map((more) => ({ more })),
      ]);
      for (const block of blocks.own(spec.id)) this.#registry.addBlock(spec.id, block);
    }
  }

  /** Every host that was not forgotten; none without a store. */
  hosts(): readonly ClusterHost[] {
    const cluster = this.#cluster;
    if (cluster === undefined) return [];
    return [
      { ...cluster.node, own: true, alive: true },
      ...cluster.others().map((node) => ({ ...node, own: false, alive: cluster.isAlive(node.id) })),
    ];
  }

  /** Endpoints of other hosts. */
  remotes(): readonly RemoteEndpoint[] {
    const cluster = this.#cluster;
    return cluster?.networks().flatMap(({ id }) => cluster.remotes(id)) ?? [];
  }

  /** Hosts with a container on the network; what this host knows, while the store is away. */
  async peers(network: OverlayNetwork): Promise<readonly ClusterNode[]> {
    const cluster = this.#cluster;
    if (cluster === undefined) return [];
    const here = this.#table.endpointsOf(network.id).length > 0;
    const peers = await cluster.peers(network.id).catch(() => []);
    const others = peers.filter(({ id }) => id !== cluster.node.id);
    return here ? [cluster.node, ...others] : others;
  }

  /** Gives up what a host that does not come back has. @throws EngineError NOT_FOUND, CONFLICT, UNAVAILABLE */
  async forget(host: string): Promise<void> {
    await this.#member().forget(host);
  }

  /** @throws EngineError UNAVAILABLE without a store */
  async report(): Promise<ClusterReport> {
    const cluster = this.#member();
    const answered = await cluster.answerTime().catch(() => undefined);
    const { state, since, waiting, fault } = cluster.status();
    const stateOf = (id: string) => {
      if (state !== 'connected') return 'unknown';
      return cluster.isAlive(id) ? 'alive' : 'away';
    };
    const endpoints = this.#table.allEndpoints();
    return {
      state,
      since,
      ...(fault !== undefined && { fault }),
      ...(answered !== undefined && { answered }),
      waiting,
      nodes: cluster.hosts().map(({ id, name, address }) => ({
        ...{ id, name, address, own: id === cluster.node.id },
        state: stateOf(id),
      })),
      networks: cluster
        .networks()
        .toSorted((a, b) => a.name.localeCompare(b.name))
        .map(({ id, name, vni, ...families }) => ({
          name,
          subnets: subnetsOf(families).map(formatPrefix),
          vni,
          here: endpoints.filter(({ networkId }) => networkId === id).length,
          elsewhere: cluster.remotes(id).length,
          blocks: cluster.blocks.own(id).map(formatPrefix),
        })),
    };
  }

  /** @throws EngineError UNAVAILABLE */
  #member(): Cluster {
    if (this.#cluster === undefined)
      throw unavailable('this host is in no cluster (gangwayd --cluster-store)');
    return this.#cluster;
  }
}

/** IPv4 first. */
const subnetsOf = (spec: Pick<OverlaySpec, Family>): readonly Prefix[] =>
  FAMILIES.flatMap((family) => spec[family]?.subnet ?? []);

const isOf = (spec: OverlaySpec, address: Ip): boolean =>
  subnetsOf(spec).some((subnet) => contains(subnet, address));
