import { join } from 'node:path';
import type { EndpointSettings, NetworkSettings } from '@docker/node-sdk';
import type { Logger } from 'pino';
import type { Cluster } from '../../cluster/cluster.ts';
import type { DnsObserver } from '../../dns/observer.ts';
import { type Kernel, KernelError } from '../../kernel/kernel.ts';
import type { NetnsPath } from '../../model/address.ts';
import { errors, forbidden, system, unavailable } from '../../model/errors.ts';
import {
  type ConfigNetwork,
  familiesOf,
  GATEWAY_NETWORK,
  isAddressed,
  type Network,
  type OverlayNetwork,
  type Sandbox,
} from '../../model/network.ts';
import { creations } from '../../plan/diff.ts';
import { type PlanFacts, planSandbox } from '../../plan/plan.ts';
import type { Change } from '../../plan/resource.ts';
import type { DaemonConfig } from '../config.ts';
import type { EventBus } from '../events.ts';
import type { AttachRequest, NetworkFiles, NetworkFilesRequest, Networking } from '../networking.ts';
import type { Store } from '../store.ts';
import { ClusterNetworks } from './cluster-networks.ts';
import { ContainerNames } from './container-names.ts';
import { newId } from './default-networks.ts';
import { Endpoints } from './endpoints.ts';
import { GatewayNetwork } from './gateway-network.ts';
import { Healer } from './healer.ts';
import { HealthTunnel } from './health-tunnel.ts';
import { writeNetworkFiles } from './network-files.ts';
import { NetworkRegistry } from './network-registry.ts';
import { parseNetworkRequest } from './network-request.ts';
import { Overlays } from './overlays.ts';
import { planFacts, tablesOf } from './plan-facts.ts';
import { Reconciliation } from './reconciliation.ts';
import { SandboxTable } from './sandbox-table.ts';
import { type EndpointRecord, networkSettings } from './settings.ts';
import { SituationReader } from './situation-reader.ts';
import { TunnelEnd } from './tunnel-end.ts';

export interface NetworksOptions {
  readonly config: DaemonConfig;
  readonly log: Logger;
  readonly store: Store;
  readonly events: EventBus;
  readonly kernel: Kernel;
  /** Of a host with `--cluster-store`. */
  readonly cluster?: Cluster;
  /** Counts what the name service does. */
  readonly dnsObserver?: DnsObserver;
}

/**
 * Networks, sandboxes and endpoints of this host. Every change goes the same way: into the model, from there by the
 * plan into kernel resources, into the store, then into the kernel; when the kernel refuses, store and model are as before.
 */
export class Networks implements Networking {
  /** What all hosts of a cluster share. */
  readonly cluster: ClusterNetworks;
  /** Of a host in a cluster. */
  readonly health: HealthTunnel | undefined;
  readonly #config: DaemonConfig;
  readonly #log: Logger;
  readonly #events: EventBus;
  readonly #kernel: Kernel;
  readonly #facts: PlanFacts;
  readonly #registry: NetworkRegistry;
  readonly #table: SandboxTable;
  readonly #names: ContainerNames;
  readonly #endpoints: Endpoints;
  readonly #gateway: GatewayNetwork;
  readonly #stop: () => void;
  readonly #overlays: Overlays | undefined;
  readonly #reconciliation: Reconciliation;
  /** For questions about who reaches whom. */
  readonly situations: SituationReader;
  #healer: Healer | undefined;

  constructor(options: NetworksOptions) {
    const { config, log, store, events, kernel } = options;
    this.#config = config;
    this.#log = log;
    this.#events = events;
    this.#kernel = kernel;
    const { cluster } = options;
    this.#stop = () => cluster?.close();
    const tunnelEnd = cluster && new TunnelEnd(cluster.node.address, tablesOf(config.network), kernel);
    this.#facts = planFacts(config.network, kernel, tunnelEnd);
    this.#registry = new NetworkRegistry(config.network, store, kernel, this.#facts, (id) =>
      cluster === undefined ? [] : cluster.blocks.own(id),
    );
    this.#table = new SandboxTable(store);
    this.#names = new ContainerNames(kernel, this.#registry, this.#table, log, options.dnsObserver);
    this.#endpoints = new Endpoints({
      log,
      events,
      kernel,
      registry: this.#registry,
      table: this.#table,
      names: this.#names,
      facts: this.#facts,
      onGone: (endpoint) => this.#overlays?.withdraw(endpoint),
    });
    this.cluster = new ClusterNetworks(cluster, this.#registry, this.#table);
    this.#gateway = new GatewayNetwork(this.#registry, this.#table, this.#endpoints, (request) =>
      this.create(request),
    );
    if (cluster !== undefined && tunnelEnd !== undefined) {
      this.health = new HealthTunnel({ cluster, facts: tunnelEnd, kernel, log, execRoot: config.execRoot });
      this.#overlays = new Overlays({
        cluster,
        facts: tunnelEnd,
        kernel,
        log,
        registry: this.#registry,
        table: this.#table,
        names: this.#names,
        health: this.health,
        evict: ({ containerId, networkId }) => this.detach(containerId, networkId),
      });
    }
    this.#reconciliation = new Reconciliation({
      kernel,
      log,
      ipForward: config.network.ipForward,
      facts: this.#facts,
      registry: this.#registry,
      table: this.#table,
      overlays: this.#overlays,
      tunnelEnd,
    });
    this.situations = new SituationReader({
      kernel,
      facts: this.#facts,
      registry: this.#registry,
      table: this.#table,
      names: this.#names,
      overlays: this.#overlays,
      hostsDirectory: (id) => join(config.dataRoot, 'containers', id),
    });
  }

  resolve(ref: string): Network {
    return this.#registry.resolve(ref);
  }

  /** By its full id. */
  find(id: string): Network | undefined {
    return this.#registry.get(id);
  }

  list(): readonly Network[] {
    return this.#registry.list();
  }

  /** @param request the body of `POST /networks/create`. @throws EngineError in Docker's words */
  create(request: unknown): Network | Promise<Network> {
    const wish = parseNetworkRequest(request, {
      configNetwork: (name) =>
        this.list().find((network) => network.driver === 'config-only' && network.name === name) as
          | ConfigNetwork
          | undefined,
      defaultOptions: this.#config.network.defaultNetworkOpts,
    });
    if (wish.kind === 'overlay') {
      return this.cluster.create(wish).then((made) => {
        this.#publish('create', made);
        return made;
      });
    }
    const network =
      wish.kind === 'config-only' ? this.#registry.createConfig(wish) : this.#registry.create(wish);
    this.#publish('create', network);
    return network;
  }

  prepare(networks: Readonly<Record<string, EndpointSettings>>): Promise<void> {
    return this.cluster.prepare(networks);
  }

  /** Of all containers of this host. */
  allEndpoints(): readonly EndpointRecord[] {
    return this.#table.allEndpoints();
  }

  /** @throws EngineError NOT_FOUND, FORBIDDEN for predefined networks and those in use */
  remove(ref: string): void | Promise<void> {
    const network = this.resolve(ref);
    if (network.driver === 'config-only') {
      this.#registry.removeConfig(network);
      this.#publish('destroy', network);
      return;
    }
    if (network.name === 'bridge' || !isAddressed(network)) {
      throw forbidden(`${network.name} is a pre-defined network and cannot be removed`);
    }
    const active = this.endpointsOf(network.id);
    if (active.length > 0) {
      const users = active.map(({ containerName, id }) => `name:"${containerName}" id:"${id.slice(0, 12)}"`);
      throw errors.networkInUse(network.name, users);
    }
    if (network.driver === 'overlay') {
      return this.cluster.remove(network).then(() => this.#publish('destroy', network));
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

  endpointsOf(networkId: string): readonly EndpointRecord[] {
    return this.#table.allEndpoints().filter((endpoint) => endpoint.networkId === networkId);
  }

  /** What was so when the daemon started, and the plan rests on. */
  get facts(): PlanFacts {
    return this.#facts;
  }

  /** What of the kernel is other than the model says, and was not put right yet. Costs listings. */
  drift(): readonly Change[] {
    return this.#reconciliation.drift();
  }

  openSandbox(containerId: string): Sandbox {
    const known = this.#table.sandbox(containerId);
    if (known !== undefined) return known;
    const id = newId();
    const path = join(this.#config.execRoot, 'netns', id.slice(0, 12)) as NetnsPath;
    const sandbox: Sandbox = { id, containerId, path };
    this.#table.addSandbox(sandbox);
    try {
      this.#kernel.apply(creations([planSandbox(sandbox)]));
    } catch (error) {
      this.#table.remove(sandbox);
      throw error instanceof KernelError
        ? system(`failed to create the network namespace: ${error.message}`, error)
        : error;
    }
    return sandbox;
  }

  sandboxPath(containerId: string): NetnsPath | undefined {
    return this.#table.sandbox(containerId)?.path;
  }

  attach(request: AttachRequest): EndpointRecord {
    const { network } = request;
    if (network.driver === 'config-only') {
      throw forbidden(`cannot create endpoint on configuration-only network`);
    }
    if (!isAddressed(network)) {
      throw forbidden(
        network.driver === 'host'
          ? 'cannot connect container to host network - container must be created in host network mode'
          : 'container cannot be connected to multiple networks with one of the networks in private (none) mode',
      );
    }
    const sandbox = this.#table.sandbox(request.containerId);
    if (sandbox === undefined) throw new Error(`container ${request.containerId} has no sandbox`);
    if (network.driver === 'overlay') return this.#attachOverlay(request, network, sandbox);
    return this.#endpoints.attach(request, network, sandbox);
  }

  /** The tunnel is there before its first container, and goes with the last. */
  #attachOverlay(request: AttachRequest, network: OverlayNetwork, sandbox: Sandbox): EndpointRecord {
    const overlays = this.#overlays;
    if (overlays === undefined) throw unavailable('the daemon has no --cluster-store any more');
    overlays.carry(network);
    try {
      const endpoint = this.#endpoints.attach(request, network, sandbox);
      if (!network.internal) this.#gateway.give(request, sandbox);
      overlays.publish(endpoint);
      return endpoint;
    } catch (error) {
      const made = this.endpoints(request.containerId).find(({ networkId }) => networkId === network.id);
      if (made === undefined) overlays.release(network);
      else this.#endpoints.detach(sandbox, made);
      throw error;
    }
  }

  detach(containerId: string, networkId: string): void {
    const sandbox = this.#table.sandbox(containerId);
    const endpoint = this.endpoints(containerId).find((candidate) => candidate.networkId === networkId);
    if (sandbox === undefined || endpoint === undefined) {
      const name = this.#registry.get(networkId)?.name ?? networkId;
      throw forbidden(`container ${containerId} is not connected to network ${name}`);
    }
    this.#endpoints.detach(sandbox, endpoint);
    this.#registry.forgetAddresses(containerId, networkId);
    this.#gateway.take(sandbox);
  }

  forget(containerId: string): void {
    this.#registry.forgetAddresses(containerId);
  }

  closeSandbox(containerId: string): void {
    const sandbox = this.#table.sandbox(containerId);
    if (sandbox !== undefined) this.#endpoints.closeSandbox(sandbox);
  }

  endpoints(containerId: string): readonly EndpointRecord[] {
    return this.#table.endpoints(this.#table.sandbox(containerId)?.id);
  }

  settings(containerId: string): NetworkSettings {
    const sandbox = this.#table.sandbox(containerId);
    return networkSettings(sandbox, this.endpoints(containerId), (id) => this.#registry.get(id));
  }

  writeFiles(request: NetworkFilesRequest): NetworkFiles {
    const { network: config } = this.#config;
    const bridge = this.#registry.bridges().find((network) => network.name === 'bridge');
    const own = bridge === undefined ? [] : familiesOf(bridge).map(({ gateway }) => gateway.address);
    const { containerId } = request;
    this.serveNames(containerId, request.dns);
    return writeNetworkFiles(request, {
      endpoints: this.endpoints(containerId).filter(
        ({ networkId }) => this.#registry.get(networkId)?.name !== GATEWAY_NETWORK,
      ),
      config,
      hostGateways: config.hostGatewayIps.length > 0 ? config.hostGatewayIps : own,
      ownNameServer: this.#names.serves(containerId),
    });
  }

  serveNames(containerId: string, dns: readonly string[]): void {
    this.#names.serve(containerId, dns.length > 0 ? dns : this.#config.network.dns);
  }

  reconcile(isAlive: (containerId: string) => boolean): void {
    for (const sandbox of this.#table.sandboxes()) {
      if (!isAlive(sandbox.containerId)) this.#endpoints.dropSandbox(sandbox);
    }
    this.#reconciliation.begin();
  }

  /** From now on, what others change is put right as soon as the kernel tells of it. */
  watch(): void {
    this.#overlays?.start();
    this.#healer ??= new Healer(this.#kernel, this.#log, this.#reconciliation);
  }

  /** What stands in the way of packets, for `docker info`. */
  warnings(): readonly string[] {
    return this.#healer?.warnings() ?? [];
  }

  /** Ends the name service; everything in the kernel stays. */
  close(): void {
    this.#healer?.close();
    this.#stop();
    this.health?.close();
    this.#names.closeAll();
  }
}
