import type { Logger } from 'pino';
import { errors, forbidden } from '../../model/errors.ts';
import { type ConfigNetwork, isAddressed, type Network } from '../../model/network.ts';
import type { EventBus } from '../events.ts';
import type { ClusterNetworks } from './cluster-networks.ts';
import type { NetworkRegistry } from './network-registry.ts';
import { parseNetworkRequest } from './network-request.ts';
import type { SandboxTable } from './sandbox-table.ts';

export interface NetworkLifecycleOptions {
  readonly log: Logger;
  readonly events: EventBus;
  readonly registry: NetworkRegistry;
  readonly cluster: ClusterNetworks;
  readonly table: SandboxTable;
  /** Driver options of networks whose request names none, by driver. */
  readonly defaultOptions: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** Making and removing networks of this host and of the cluster, and what Docker tells of it. */
export class NetworkLifecycle {
  readonly #log: Logger;
  readonly #events: EventBus;
  readonly #registry: NetworkRegistry;
  readonly #cluster: ClusterNetworks;
  readonly #table: SandboxTable;
  readonly #defaultOptions: NetworkLifecycleOptions['defaultOptions'];

  constructor(options: NetworkLifecycleOptions) {
    this.#log = options.log;
    this.#events = options.events;
    this.#registry = options.registry;
    this.#cluster = options.cluster;
    this.#table = options.table;
    this.#defaultOptions = options.defaultOptions;
  }

  /** @param request the body of `POST /networks/create`. @throws EngineError in Docker's words */
  create(request: unknown): Network | Promise<Network> {
    const wish = parseNetworkRequest(request, {
      configNetwork: (name) =>
        this.#registry.list().find((network) => network.driver === 'config-only' && network.name === name) as
          | ConfigNetwork
          | undefined,
      defaultOptions: this.#defaultOptions,
    });
    if (wish.kind === 'overlay') {
      return this.#cluster.create(wish).then((made) => {
        this.#publish('create', made);
        return made;
      });
    }
    const network =
      wish.kind === 'config-only' ? this.#registry.createConfig(wish) : this.#registry.create(wish);
    this.#publish('create', network);
    return network;
  }

  /** @throws EngineError NOT_FOUND, FORBIDDEN for predefined networks and those in use */
  remove(ref: string): void | Promise<void> {
    const network = this.#registry.resolve(ref);
    if (network.driver === 'config-only') {
      this.#registry.removeConfig(network);
      this.#publish('destroy', network);
      return;
    }
    if (network.name === 'bridge' || !isAddressed(network)) {
      throw forbidden(`${network.name} is a pre-defined network and cannot be removed`);
    }
    const active = this.#table.endpointsOf(network.id);
    if (active.length > 0) {
      const users = active.map(({ containerName, id }) => `name:"${containerName}" id:"${id.slice(0, 12)}"`);
      throw errors.networkInUse(network.name, users);
    }
    if (network.driver === 'overlay') {
      return this.#cluster.remove(network).then(() => this.#publish('destroy', network));
    }
    for (const failure of this.#registry.remove(network)) {
      this.#log.error({ err: failure, network: network.name }, 'network not wholly removed');
    }
    this.#publish('destroy', network);
  }

  #publish(action: 'create' | 'destroy', { id, name, driver }: Network): void {
    this.#events.publish('network', action, id, { name, type: driver === 'config-only' ? 'null' : driver });
  }

  publishPrune(): void {
    this.#events.publish('network', 'prune', '', { reclaimed: '0' });
  }
}
