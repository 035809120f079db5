import { join } from 'node:path';
import type { EndpointSettings, NetworkSettings } from '@docker/node-sdk';
import type { Logger } from 'pino';
import type { Cluster } from '../../cluster/cluster.ts';
import type { DnsObserver } from '../../dns/observer.ts';
import { type Kernel, KernelError } from '../../kernel/kernel.ts';
import type { NetnsPath } from '../../model/address.ts';
import { system } from '../../model/errors.ts';
import { familiesOf, GATEWAY_NETWORK, type Network, type Sandbox } from '../../model/network.ts';
import { creations } from '../../plan/diff.ts';
import { type PlanFacts, planSandbox } from '../../plan/plan.ts';
import type { Change } from '../../plan/resource.ts';
import type { DaemonConfig } from '../config.ts';
import type { EventBus } from '../events.ts';
import type { AttachRequest, NetworkFiles, NetworkFilesRequest, Networking } from '../networking.ts';
import type { Store } from '../store.ts';
import { Attachments } from './attachments.ts';
import { ClusterNetworks } from './cluster-networks.ts';
import { ContainerNames } from './container-names.ts';
import { newId } from './default-networks.ts';
import { Endpoints } from './endpoints.ts';
import { GatewayNetwork } from './gateway-network.ts';
import { Healer } from './healer.ts';
import { HealthTunnel } from './health-tunnel.ts';
import { writeNetworkFiles } from './network-files.ts';
import { NetworkLifecycle } from './network-lifecycle.ts';
import { NetworkRegistry } from './network-registry.ts';
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
  readonly #kernel: Kernel;
  readonly #facts: PlanFacts;
  readonly #registry: NetworkRegistry;
  readonly #table: SandboxTable;
  readonly #names: ContainerNames;
  readonly #endpoints: Endpoints;
  readonly #lifecycle: NetworkLifecycle;
  readonly #attachments: Attachments;
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
    this.#kernel = kernel;
    const { cluster } = options;
    this.#stop = () => cluster?.close();
    const tunnelEnd = cluster && new TunnelEnd(cluster.node.address, tablesOf(config.network), kernel);
    this.#facts = planFacts(config.network, kernel, tunnelEnd);
    this.#registry = new NetworkRegistry(config.network, store, kernel, this.#facts, (id) =>
      cluster === undefined ? [] : cluster.blocks.own(id),
    );
    // What the cluster says of a network may be more than the version that stored it knew.
    for (const spec of cluster?.networks() ?? []) this.#registry.putOverlay(spec);
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
    this.#lifecycle = new NetworkLifecycle({
      log,
      events,
      registry: this.#registry,
      cluster: this.cluster,
      table: this.#table,
      defaultOptions: config.network.defaultNetworkOpts,
    });
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
    this.#attachments = new Attachments({
      registry: this.#registry,
      table: this.#table,
      endpoints: this.#endpoints,
      gateway: new GatewayNetwork(this.#registry, this.#table, this.#endpoints, (request) =>
        this.create(request),
      ),
      overlays: this.#overlays,
    });
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
    return this.#lifecycle.create(request);
  }

  /** @throws EngineError NOT_FOUND, FORBIDDEN for predefined networks and those in use */
  remove(ref: string): void | Promise<void> {
    return this.#lifecycle.remove(ref);
  }

  publishPrune(): void {
    this.#lifecycle.publishPrune();
  }

  prepare(networks: Readonly<Record<string, EndpointSettings>>): Promise<void> {
    return this.cluster.prepare(networks);
  }

  /** Of all containers of this host. */
  allEndpoints(): readonly EndpointRecord[] {
    return this.#table.allEndpoints();
  }

  endpointsOf(networkId: string): readonly EndpointRecord[] {
    return this.#table.endpointsOf(networkId);
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
    return this.#attachments.attach(request);
  }

  detach(containerId: string, networkId: string): void {
    this.#attachments.detach(containerId, networkId);
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
