import { join } from 'node:path';
import type { EndpointSettings, NetworkSettings } from '@docker/node-sdk';
import type { Logger } from 'pino';
import type { Cluster } from '../../cluster/cluster.ts';
import { type Kernel, KernelError } from '../../kernel/kernel.ts';
import { FAMILIES, formatPrefix, type NetnsPath, parseIp } from '../../model/address.ts';
import { errors, forbidden, system, unavailable } from '../../model/errors.ts';
import {
  type AddressedNetwork,
  type ConfigNetwork,
  familiesOf,
  GATEWAY_NETWORK,
  isAddressed,
  type Network,
  type OverlayNetwork,
  type Sandbox,
} from '../../model/network.ts';
import type { ClusterReport } from '../../model/overlay.ts';
import { creations, diff } from '../../plan/diff.ts';
import { type PlanFacts, plan, planSandbox } from '../../plan/plan.ts';
import { type Resource, resourceKey } from '../../plan/resource.ts';
import type { TableFamily } from '../../plan/rule.ts';
import type { DaemonConfig, NetworkConfig } from '../config.ts';
import type { EventBus } from '../events.ts';
import type { AttachRequest, NetworkFiles, NetworkFilesRequest, Networking } from '../networking.ts';
import type { Store } from '../store.ts';
import { ContainerNames } from './container-names.ts';
import { newId } from './default-networks.ts';
import { Endpoints } from './endpoints.ts';
import { Healer } from './healer.ts';
import { writeNetworkFiles } from './network-files.ts';
import { NetworkRegistry } from './network-registry.ts';
import { type OverlayNetworkWish, parseNetworkRequest } from './network-request.ts';
import { Overlays } from './overlays.ts';
import { SandboxTable } from './sandbox-table.ts';
import { type EndpointRecord, networkSettings } from './settings.ts';

export interface NetworksOptions {
  readonly config: DaemonConfig;
  readonly log: Logger;
  readonly store: Store;
  readonly events: EventBus;
  readonly kernel: Kernel;
  /** Of a host with `--cluster-store`. */
  readonly cluster?: Cluster;
}

/**
 * Networks, sandboxes and endpoints of this host. Every change goes the same way: into the model, from there by the
 * plan into kernel resources, into the store, then into the kernel; when the kernel refuses, store and model are as before.
 */
export class Networks implements Networking {
  readonly #config: DaemonConfig;
  readonly #log: Logger;
  readonly #events: EventBus;
  readonly #kernel: Kernel;
  readonly #facts: PlanFacts;
  readonly #registry: NetworkRegistry;
  readonly #table: SandboxTable;
  readonly #names: ContainerNames;
  readonly #endpoints: Endpoints;
  readonly #cluster: Cluster | undefined;
  readonly #overlays: Overlays | undefined;
  #healer: Healer | undefined;

  constructor(options: NetworksOptions) {
    const { config, log, store, events, kernel } = options;
    this.#config = config;
    this.#log = log;
    this.#events = events;
    this.#kernel = kernel;
    const { cluster } = options;
    this.#cluster = cluster;
    this.#facts = planFacts(config.network, kernel, cluster);
    this.#registry = new NetworkRegistry(config.network, store, kernel, this.#facts, (id) =>
      cluster === undefined ? [] : cluster.blocks.own(id),
    );
    this.#table = new SandboxTable(store);
    this.#names = new ContainerNames(kernel, this.#registry, this.#table, log);
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
    if (cluster !== undefined && this.#facts.overlay !== undefined) {
      this.#overlays = new Overlays({
        cluster,
        facts: this.#facts.overlay,
        kernel,
        log,
        registry: this.#registry,
        table: this.#table,
        names: this.#names,
      });
    }
  }

  resolve(ref: string): Network {
    return this.#registry.resolve(ref);
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
    if (wish.kind === 'overlay') return this.#createOverlay(wish);
    const network =
      wish.kind === 'config-only' ? this.#registry.createConfig(wish) : this.#registry.create(wish);
    this.#publish('create', network);
    return network;
  }

  /** On all hosts, or on none. */
  async #createOverlay(wish: OverlayNetworkWish): Promise<Network> {
    if (this.#cluster === undefined) {
      throw unavailable(
        'an overlay network needs a store that all hosts share: start gangwayd with --cluster-store etcd://HOST:2379 and --cluster-advertise INTERFACE',
      );
    }
    if (this.list().some((network) => network.name === wish.name)) throw errors.networkExists(wish.name);
    const spec = await this.#cluster.createNetwork(wish.name, (others, vni) =>
      this.#registry.overlaySpec(wish, others, vni),
    );
    const network = this.resolve(spec.id);
    this.#publish('create', network);
    return network;
  }

  async #removeOverlay(network: OverlayNetwork): Promise<void> {
    const spec = this.#cluster?.networks().find(({ id }) => id === network.id);
    if (this.#cluster === undefined || spec === undefined) {
      throw unavailable(
        `the cluster store that has network ${network.name} is not configured (--cluster-store)`,
      );
    }
    await this.#cluster.removeNetwork(spec);
    this.#publish('destroy', network);
  }

  /** For `gangway cluster`. @throws EngineError UNAVAILABLE without a store */
  clusterReport(): ClusterReport {
    const cluster = this.#cluster;
    if (cluster === undefined) throw unavailable('this host is in no cluster (gangwayd --cluster-store)');
    const { state, since, waiting, nodes } = cluster.status();
    const count = (id: string): number =>
      this.#table.allEndpoints().filter(({ networkId }) => networkId === id).length;
    return {
      state,
      since,
      waiting,
      nodes: nodes.map(({ id, name, address }) => ({ id, name, address, own: id === cluster.node.id })),
      networks: cluster.networks().map(({ id, name, vni, ipv4 }) => ({
        name,
        subnet: ipv4 === undefined ? '' : formatPrefix(ipv4.subnet),
        vni,
        here: count(id),
        elsewhere: cluster.remotes(id).length,
        blocks: cluster.blocks.own(id).map(formatPrefix),
      })),
    };
  }

  /** What a start of this container may have to ask the cluster for: a block of addresses, once in a while. */
  async prepare(networkNames: Readonly<Record<string, EndpointSettings>>): Promise<void> {
    for (const [name, settings] of Object.entries(networkNames)) {
      const network = this.list().find((each) => each.name === name || each.id === name);
      const spec = this.#cluster?.networks().find(({ id }) => id === network?.id);
      if (this.#cluster === undefined || spec === undefined) continue;
      const wanted = settings.IPAMConfig?.IPv4Address;
      if (wanted) await this.#cluster.blocks.claimFor(spec, parseIp(wanted));
      else if (!this.#registry.hasFreeAddress(spec.id)) await this.#cluster.blocks.claim(spec);
      for (const block of this.#cluster.blocks.own(spec.id)) this.#registry.addBlock(spec.id, block);
    }
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
      throw forbidden(
        `error while removing network: network ${network.name} has active endpoints (${users.join(', ')})`,
      );
    }
    if (network.driver === 'overlay') return this.#removeOverlay(network);
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

  /** By another network of this host it reaches the outside, and is published. */
  #attachOverlay(request: AttachRequest, network: OverlayNetwork, sandbox: Sandbox): EndpointRecord {
    const overlays = this.#overlays;
    if (overlays === undefined) throw unavailable('the daemon has no --cluster-store any more');
    overlays.carry(network);
    try {
      const endpoint = this.#endpoints.attach(request, network, sandbox);
      const hasWayOut = this.endpoints(request.containerId).some(({ ipv4 }) => ipv4?.gateway !== undefined);
      if (!network.internal && !hasWayOut) {
        this.#endpoints.attach({ ...request, settings: {} }, this.#gatewayNetwork(), sandbox);
      }
      overlays.publish(endpoint);
      return endpoint;
    } catch (error) {
      const made = this.endpoints(request.containerId).find(({ networkId }) => networkId === network.id);
      if (made === undefined) overlays.release(network);
      else this.#endpoints.detach(sandbox, made);
      throw error;
    }
  }

  #gatewayNetwork(): AddressedNetwork {
    const known = this.list().find(({ name }) => name === GATEWAY_NETWORK);
    if (isAddressed(known)) return known;
    const made = this.create({
      Name: GATEWAY_NETWORK,
      Options: {
        'com.docker.network.bridge.name': GATEWAY_NETWORK,
        'com.docker.network.bridge.enable_icc': 'false',
      },
    });
    if (made instanceof Promise || !isAddressed(made)) throw new Error('the gateway network is a bridge');
    return made;
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
    this.#leaveGateway(containerId, sandbox);
  }

  /** The gateway network is for containers on an overlay network, and nobody's choice. */
  #leaveGateway(containerId: string, sandbox: Sandbox): void {
    const networks = this.endpoints(containerId).map((endpoint) => ({
      endpoint,
      network: this.#registry.get(endpoint.networkId),
    }));
    if (networks.some(({ network }) => network?.driver === 'overlay')) return;
    const gateway = networks.find(({ network }) => network?.name === GATEWAY_NETWORK);
    if (gateway !== undefined) this.#endpoints.detach(sandbox, gateway.endpoint);
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
    if (this.#config.network.ipForward) this.#enableForwarding();
    for (const network of this.#registry.bridges()) {
      if (!network.bridge.owned) this.#kernel.routeLocalnet(network.bridge.ifName);
    }
    const wanted = this.#wanted();
    const changes = diff(wanted, this.#kernel.observe());
    // A host port that somebody took meanwhile must not undo anything else.
    const holds = changes.filter((change) => change.resource.kind === 'host-port');
    this.#kernel.apply(changes.filter((change) => change.resource.kind !== 'host-port'));
    for (const failure of this.#kernel.tearDown(holds)) {
      this.#log.warn(
        { err: failure },
        'published port is held by another program; what comes from outside still goes to the container',
      );
    }
    if (changes.length > 0) this.#log.info({ changes: changes.length }, 'network reconciled');
  }

  #wanted(): readonly Resource[] {
    return [
      ...(this.#overlays?.planned() ?? []),
      ...plan(
        {
          networks: this.list(),
          sandboxes: this.#table.sandboxes(),
          endpoints: this.#table.allEndpoints(),
        },
        this.#facts,
      ),
    ];
  }

  #enableForwarding(): void {
    for (const family of FAMILIES) {
      const used = this.#registry.bridges().some((network) => network[family] !== undefined);
      if (family === 'ipv4' || used) this.#kernel.enableForwarding(family);
    }
  }

  /** From now on, what others change is put right as soon as the kernel tells of it. */
  watch(): void {
    this.#overlays?.start();
    this.#healer ??= new Healer(this.#kernel, this.#log, {
      wantedLink: (name) => this.#wantedLink(name),
      wantsAddress: (address) =>
        this.#registry
          .bridges()
          .flatMap(familiesOf)
          .some(({ gateway, onBridge }) => onBridge && gateway.address === address),
      heal: () => this.#heal('the network was changed by another program and is put right'),
      followUplink: () => {
        if (this.#registry.followUplink()) this.#heal('the MTU follows the uplink');
      },
    });
  }

  /** What stands in the way of packets, for `docker info`. */
  warnings(): readonly string[] {
    return this.#healer?.warnings() ?? [];
  }

  #wantedLink(name: string): 'bridge' | 'port' | undefined {
    const tunnels = this.#overlays?.planned() ?? [];
    const own = tunnels.find(
      (each) => (each.kind === 'bridge' || each.kind === 'vxlan') && each.ifName === name,
    );
    if (own !== undefined) return own.kind === 'bridge' ? 'bridge' : 'port';
    if (this.#registry.bridges().some(({ bridge }) => bridge.owned && bridge.ifName === name))
      return 'bridge';
    return this.#table.allEndpoints().some(({ hostIfName }) => hostIfName === name) ? 'port' : undefined;
  }

  #heal(words: string): void {
    if (this.#config.network.ipForward) this.#enableForwarding();
    const changes = diff(this.#wanted(), this.#kernel.observe());
    if (changes.length === 0) return;
    const failures = this.#kernel.tearDown(changes);
    const what = changes.slice(0, 5).map(({ op, resource }) => `${op} ${resourceKey(resource)}`);
    this.#log.warn({ changes: changes.length, first: what }, words);
    for (const failure of failures) this.#log.error({ err: failure }, 'this could not be put right');
  }

  /** Ends the name service; everything in the kernel stays. */
  close(): void {
    this.#healer?.close();
    this.#cluster?.close();
    this.#names.closeAll();
  }
}

function planFacts(config: NetworkConfig, kernel: Kernel, cluster: Cluster | undefined): PlanFacts {
  const { bridgeFirewall, uplinkMtu } = kernel.host();
  const tables: readonly TableFamily[] = [
    ...(config.iptables ? (['ip', 'bridge'] as const) : []),
    ...(config.ip6tables ? (['ip6'] as const) : []),
  ];
  return {
    tables: new Set(tables),
    bridgeFirewall,
    ...(cluster && { overlay: { address: cluster.node.address, uplinkMtu } }),
    directRouting: config.allowDirectRouting,
    ...(config.bridgeAcceptFwmark && { acceptMark: config.bridgeAcceptFwmark }),
  };
}
