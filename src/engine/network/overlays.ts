import type { Logger } from 'pino';
import type { Cluster } from '../../cluster/cluster.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { contains, type Prefix } from '../../model/address.ts';
import { system } from '../../model/errors.ts';
import { addressesOf, type OverlayNetwork } from '../../model/network.ts';
import type { OverlaySpec, RemoteEndpoint } from '../../model/overlay.ts';
import { creations, deletions } from '../../plan/diff.ts';
import {
  missingMtu,
  type OverlayFacts,
  type PlacedRemote,
  planOverlay,
  planRemotes,
} from '../../plan/overlay.ts';
import type { Resource } from '../../plan/resource.ts';
import type { ContainerNames } from './container-names.ts';
import type { HealthTunnel } from './health-tunnel.ts';
import type { NetworkRegistry } from './network-registry.ts';
import { RemoteEntries } from './remote-entries.ts';
import type { SandboxTable } from './sandbox-table.ts';
import { dnsNames, type EndpointRecord } from './settings.ts';

export interface OverlaysOptions {
  readonly cluster: Pick<
    Cluster,
    'address' | 'isAlive' | 'join' | 'leave' | 'publish' | 'remote' | 'remotes' | 'start' | 'withdraw'
  > & { readonly blocks: Pick<Cluster['blocks'], 'forget'> };
  readonly facts: OverlayFacts;
  readonly kernel: Kernel;
  readonly log: Logger;
  readonly registry: NetworkRegistry;
  readonly table: SandboxTable;
  readonly names: Pick<ContainerNames, 'addRemote' | 'removeRemote'>;
  readonly health: Pick<HealthTunnel, 'planned' | 'follow' | 'wantedLink'>;
  /** Takes a container off the network. */
  evict(endpoint: EndpointRecord): void;
}

/**
 * Overlay networks on this host: the tunnel of a network is here while a container of ours is on it, and with it an entry
 * for each container of another host.
 */
export class Overlays {
  readonly #options: OverlaysOptions;
  /** What is in the kernel for the containers of other hosts, by network. */
  readonly #entries = new Map<string, RemoteEntries>();

  constructor(options: OverlaysOptions) {
    this.#options = options;
  }

  /** After the kernel has what the model says. */
  start(): void {
    const { cluster, table, health } = this.#options;
    for (const network of this.#carried()) {
      cluster.join(network.id);
      const entries = new RemoteEntries();
      // The kernel has them already.
      for (const remote of cluster.remotes(network.id)) {
        entries.moved(entries.set(remote.id, this.#planRemote(network, remote)));
      }
      this.#entries.set(network.id, entries);
      this.#remotesChanged(network.id, 'any');
    }
    for (const endpoint of table.allEndpoints()) this.publish(endpoint);
    health.follow();
    cluster.start({
      networkCame: (spec) => this.#networkCame(spec),
      networkWent: (id) => this.#networkWent(id),
      remotesChanged: (id, endpointIds) => this.#remotesChanged(id, endpointIds),
      nodesChanged: () => health.follow(),
      blockLost: (id, block) => this.#blockLost(id, block),
    });
  }

  /** What has to be in the kernel for the overlay networks that have containers here. */
  planned(): readonly Resource[] {
    const { cluster, facts, health } = this.#options;
    const carried = this.#carried().flatMap((network) => {
      cluster.join(network.id);
      const remotes = cluster.remotes(network.id);
      return [
        ...planOverlay(network, facts),
        ...remotes.flatMap((remote) => this.#planRemote(network, remote)),
      ];
    });
    return [...health.planned(), ...carried];
  }

  /** Whether a link of that name is the bridge or the tunnel of a network that has containers here. */
  wantedLink(name: string): 'bridge' | 'port' | undefined {
    for (const { overlay } of this.#carried()) {
      if (overlay.bridge === name) return 'bridge';
      if (overlay.vxlan === name) return 'port';
    }
    return this.#options.health.wantedLink(name);
  }

  /**
   * Before an endpoint of ours.
   * @throws EngineError SYSTEM where IPv6 would not pass between the hosts; KernelError
   */
  carry(network: OverlayNetwork): void {
    const { kernel, cluster, facts } = this.#options;
    const least = missingMtu(network, facts);
    if (least !== undefined) {
      throw system(
        `failed to set up container networking: IPv6 on network ${network.name} needs an MTU of ${least} where this host's tunnels end (${facts.address}), which has ${facts.uplinkMtu}`,
      );
    }
    if (this.#entries.has(network.id)) return;
    kernel.apply(creations(planOverlay(network, facts)));
    this.#entries.set(network.id, new RemoteEntries());
    cluster.join(network.id);
    this.#remotesChanged(network.id, 'any');
  }

  /** After an endpoint of ours went, or did not come. */
  release(network: OverlayNetwork): void {
    const { kernel, cluster, table, facts, log, names } = this.#options;
    if (table.endpointsOf(network.id).length > 0) return;
    const entries = this.#entries.get(network.id);
    const gone = [...planOverlay(network, facts), ...(entries?.all() ?? [])];
    this.#entries.delete(network.id);
    cluster.leave(network.id);
    for (const id of entries?.ids() ?? []) names.removeRemote(id);
    for (const failure of kernel.tearDown(deletions(gone))) {
      log.error({ err: failure, network: network.name }, 'overlay network not wholly taken down');
    }
  }

  publish(endpoint: EndpointRecord): void {
    if (this.#overlay(endpoint.networkId) === undefined) return;
    const { ipv4, ipv6 } = endpoint;
    this.#options.cluster.publish({
      id: endpoint.id,
      networkId: endpoint.networkId,
      containerId: endpoint.containerId,
      containerName: endpoint.containerName,
      mac: endpoint.mac,
      ...(ipv4 && { ipv4: ipv4.address }),
      ...(ipv6 && { ipv6: ipv6.address }),
      names: dnsNames(endpoint),
    });
  }

  withdraw(endpoint: EndpointRecord): void {
    const network = this.#overlay(endpoint.networkId);
    if (network === undefined) return;
    this.#options.cluster.withdraw(network.id, endpoint.id);
    this.release(network);
  }

  #overlay(networkId: string): OverlayNetwork | undefined {
    const network = this.#options.registry.get(networkId);
    return network?.driver === 'overlay' ? network : undefined;
  }

  #carried(): readonly OverlayNetwork[] {
    const ids = new Set(this.#options.table.allEndpoints().map(({ networkId }) => networkId));
    return [...ids].map((id) => this.#overlay(id)).filter((network) => network !== undefined);
  }

  /** Containers of other hosts on the overlay networks that have containers here. */
  elsewhere(): readonly (PlacedRemote & { readonly vxlan: string; readonly alive: boolean })[] {
    const { cluster } = this.#options;
    return this.#carried().flatMap((network) =>
      cluster.remotes(network.id).flatMap((remote) => {
        const host = cluster.address(remote.nodeId);
        if (host === undefined) return [];
        return [{ remote, host, vxlan: network.overlay.vxlan, alive: cluster.isAlive(remote.nodeId) }];
      }),
    );
  }

  /** What a container of another host has here; nothing while it is not known where its host is. */
  #planRemote(network: OverlayNetwork, remote: RemoteEndpoint): readonly Resource[] {
    const host = this.#options.cluster.address(remote.nodeId);
    return host === undefined ? [] : planRemotes(network, [{ remote, host }]);
  }

  #networkCame(spec: OverlaySpec): void {
    const { registry, log } = this.#options;
    if (registry.list().some(({ id, name }) => name === spec.name && id !== spec.id)) {
      log.warn(
        { network: spec.name },
        'an overlay network has the name of a network of this host: use their ids',
      );
    }
    registry.putOverlay(spec);
  }

  #networkWent(id: string): void {
    this.#options.cluster.blocks.forget(id);
    this.#options.registry.dropOverlay(id);
  }

  /** Two hosts gave the same addresses, while this one was away for so long that it was forgotten: the other keeps them. */
  #blockLost(networkId: string, block: Prefix): void {
    const { table, registry, evict, log } = this.#options;
    for (const endpoint of table.allEndpoints()) {
      if (endpoint.networkId !== networkId) continue;
      const address = addressesOf(endpoint).find((each) => contains(block, each.address))?.address;
      if (address === undefined) continue;
      log.error(
        { container: endpoint.containerName, network: registry.get(networkId)?.name, address },
        'the address was given to another host after the cluster had forgotten this one: the container is taken off the network, connect it again',
      );
      evict(endpoint);
    }
    registry.removeBlock(networkId, block);
  }

  /** The data path first, then the names: who is found can be reached. */
  #remotesChanged(networkId: string, endpointIds: ReadonlySet<string> | 'any'): void {
    const network = this.#overlay(networkId);
    const entries = this.#entries.get(networkId);
    if (network === undefined || entries === undefined) return;
    const { kernel, log, cluster, names } = this.#options;
    const ids =
      endpointIds === 'any'
        ? new Set([...entries.ids(), ...cluster.remotes(networkId).map(({ id }) => id)])
        : endpointIds;
    const looked = [...ids].map((id) => ({ id, remote: cluster.remote(networkId, id) }));
    const changes = looked.flatMap(({ id, remote }) =>
      entries.set(id, remote === undefined ? [] : this.#planRemote(network, remote)),
    );
    for (const failure of kernel.tearDown(changes)) {
      log.error({ err: failure, network: network.name }, 'a container of another host cannot be reached');
    }
    this.#announce(network, entries.moved(changes));
    for (const { id, remote } of looked) {
      const host = remote?.nodeId;
      if (remote !== undefined && host !== undefined && cluster.address(host) && cluster.isAlive(host)) {
        names.addRemote(remote, network);
      } else names.removeRemote(id);
    }
  }

  /** Nobody else tells the containers here: what their owners announce does not leave their host. */
  #announce(network: OverlayNetwork, moved: ReturnType<RemoteEntries['moved']>): void {
    const { kernel, log } = this.#options;
    for (const { address, mac } of moved) {
      try {
        kernel.announceNeighbour(network.overlay.bridge, address, mac);
      } catch (error) {
        log.debug({ err: error, address }, 'an address is not announced');
      }
    }
  }
}
