import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { NetworkSettings } from '@docker/node-sdk';
import type { Logger } from 'pino';
import { HostPortTaken, type Kernel, KernelError } from '../../kernel/kernel.ts';
import {
  type IfName,
  type Ipv4,
  type NetnsPath,
  overlaps,
  type Prefix,
  parseIpv4,
  parseMac,
} from '../../model/address.ts';
import { EngineError, errors, forbidden, invalid, system } from '../../model/errors.ts';
import type { BridgeNetwork, Network, Sandbox } from '../../model/network.ts';
import type { PublishedPort } from '../../model/port.ts';
import { creations, deletions, diff } from '../../plan/diff.ts';
import { AddressPool } from '../../plan/ipam.ts';
import { plan, planEndpoint, planNetwork, planSandbox } from '../../plan/plan.ts';
import { PortAllocator } from '../../plan/port-allocator.ts';
import { parsePortWishes } from '../../plan/port-spec.ts';
import type { HostPortResource, Resource } from '../../plan/resource.ts';
import { chooseSubnet, DEFAULT_SOURCES, type SubnetSource } from '../../plan/subnet-pool.ts';
import type { DaemonConfig } from '../config.ts';
import type { EventBus } from '../events.ts';
import type { AttachRequest, NetworkFiles, NetworkFilesRequest, Networking } from '../networking.ts';
import type { Collection, Store } from '../store.ts';
import {
  bridgeName,
  defaultBridge,
  endpointMac,
  fixedNetworks,
  newId,
  randomMac,
} from './default-networks.ts';
import { bestGateway } from './gateway-order.ts';
import { writeNetworkFiles } from './network-files.ts';
import { checkReserved, gatewayOf, type NetworkWish } from './network-request.ts';
import { type EndpointRecord, networkSettings } from './settings.ts';

export interface NetworksOptions {
  readonly config: DaemonConfig;
  readonly log: Logger;
  readonly store: Store;
  readonly events: EventBus;
  readonly kernel: Kernel;
}

/** dockerd gives up after as many host ports that others hold (libnetwork portmapper). */
const EPHEMERAL_TRIES = 10;

/**
 * Networks, sandboxes and endpoints of this host. Every change goes the same way: into the model, from there by the
 * plan into kernel resources, into the store, then into the kernel; when the kernel refuses, store and model are as before.
 */
export class Networks implements Networking {
  readonly #config: DaemonConfig;
  readonly #log: Logger;
  readonly #store: Store;
  readonly #events: EventBus;
  readonly #kernel: Kernel;
  readonly #networkRecords: Collection<Network>;
  readonly #sandboxRecords: Collection<Sandbox>;
  readonly #endpointRecords: Collection<EndpointRecord>;
  readonly #networks = new Map<string, Network>();
  readonly #sandboxes = new Map<string, Sandbox>();
  /** By sandbox id, in the order of attachment. */
  readonly #endpoints = new Map<string, EndpointRecord[]>();
  readonly #pools = new Map<string, AddressPool>();
  readonly #ports: PortAllocator;
  readonly #bridgeFirewall: boolean;
  readonly #sources: readonly SubnetSource[];

  constructor(options: NetworksOptions) {
    this.#config = options.config;
    this.#log = options.log;
    this.#store = options.store;
    this.#events = options.events;
    this.#kernel = options.kernel;
    this.#networkRecords = options.store.collection('networks');
    this.#sandboxRecords = options.store.collection('sandboxes');
    this.#endpointRecords = options.store.collection('endpoints');
    const pools = options.config.network.defaultAddressPools;
    this.#sources = pools.length > 0 ? pools : DEFAULT_SOURCES;
    const host = options.kernel.host();
    this.#ports = new PortAllocator(host.ephemeralPorts);
    this.#bridgeFirewall = host.bridgeFirewall;
    this.#load();
  }

  #load(): void {
    const stored = this.#networkRecords.all();
    const before = stored.find((network) => network.name === 'bridge');
    for (const network of stored) if (network.name !== 'bridge') this.#remember(network);
    const users = this.#bridgeNetworks();
    const bridge = defaultBridge(
      this.#config.network,
      this.#kernel,
      this.#sources,
      before?.driver === 'bridge' ? before : undefined,
      users.map((network) => network.subnet),
    );
    const clash = users.find((network) => bridge !== undefined && overlaps(network.subnet, bridge.subnet));
    if (clash !== undefined) {
      throw system(
        `failed to create network bridge: its subnet overlaps that of the network ${clash.name}; choose another --bip`,
      );
    }
    this.#store.transaction(() => {
      for (const network of [...(bridge ? [bridge] : []), ...fixedNetworks(stored)]) {
        this.#networkRecords.put(network.id, network);
        this.#remember(network);
      }
      if (bridge === undefined && before !== undefined) this.#networkRecords.delete(before.id);
    });
    for (const sandbox of this.#sandboxRecords.all()) this.#sandboxes.set(sandbox.containerId, sandbox);
    for (const endpoint of this.#endpointRecords.all()) {
      this.#append(endpoint);
      this.#pools.get(endpoint.networkId)?.take(endpoint.address.address);
      this.#ports.adopt(endpoint.published);
    }
  }

  resolve(ref: string): Network {
    const byId = this.#networks.get(ref);
    if (byId !== undefined) return byId;
    const all = this.list();
    const byName = all.find((network) => network.name === (ref === 'default' ? 'bridge' : ref));
    if (byName !== undefined) return byName;
    const found =
      ref !== '' && /^[0-9a-f]+$/.test(ref) ? all.filter((network) => network.id.startsWith(ref)) : [];
    if (found.length > 1)
      throw invalid(`network ${ref} is ambiguous (${found.length} matches found based on ID prefix)`);
    if (found[0] === undefined) throw errors.noSuchNetwork(ref);
    return found[0];
  }

  list(): readonly Network[] {
    return [...this.#networks.values()];
  }

  /** @throws EngineError in Docker's words */
  create(wish: NetworkWish): Network {
    if (this.list().some((network) => network.name === wish.name)) throw errors.networkExists(wish.name);
    const id = newId();
    const subnet = this.#subnetFor(wish);
    const gateway = gatewayOf(subnet, wish.gateway);
    checkReserved(subnet, gateway.address, wish.auxAddresses);
    const ifName = wish.bridge.ifName ?? bridgeName(id);
    const taken = this.#bridgeNetworks().find((network) => network.bridge.ifName === ifName);
    if (taken !== undefined) {
      throw forbidden(
        `cannot create network ${id} (${ifName}): conflicts with network ${taken.id} (${ifName}): networks have same bridge name`,
      );
    }
    const network: BridgeNetwork = {
      id,
      name: wish.name,
      created: new Date().toISOString(),
      labels: wish.labels,
      options: wish.options,
      driver: 'bridge',
      internal: wish.internal,
      attachable: wish.attachable,
      subnet,
      gateway,
      ...(wish.ipRange && { ipRange: wish.ipRange }),
      auxAddresses: wish.auxAddresses,
      bridge: {
        ifName,
        owned: this.#kernel.foreignBridge(ifName) === undefined,
        mac: randomMac(),
        mtu: wish.bridge.mtu ?? this.#kernel.host().uplinkMtu,
        icc: wish.bridge.icc ?? true,
        egress: wish.bridge.egress ?? { mode: 'masquerade' },
        hostBinding: wish.bridge.hostBinding ?? ('0.0.0.0' as Ipv4),
      },
    };
    this.#networkRecords.put(id, network);
    this.#remember(network);
    try {
      this.#kernel.apply(creations(planNetwork(network)));
    } catch (error) {
      this.#forget(network);
      throw error instanceof KernelError
        ? system(`failed to create network ${wish.name}: ${error.message}`, error)
        : error;
    }
    this.#events.publish('network', 'create', id, { name: network.name, type: 'bridge' });
    return network;
  }

  /** @throws EngineError NOT_FOUND, FORBIDDEN for predefined networks and those in use */
  remove(ref: string): void {
    const network = this.resolve(ref);
    if (['bridge', 'host', 'none'].includes(network.name) || network.driver !== 'bridge') {
      throw forbidden(`${network.name} is a pre-defined network and cannot be removed`);
    }
    const active = this.endpointsOf(network.id);
    if (active.length > 0) {
      const users = active.map(
        (endpoint) => `name:"${endpoint.containerName}" id:"${endpoint.id.slice(0, 12)}"`,
      );
      throw forbidden(
        `error while removing network: network ${network.name} has active endpoints (${users.join(', ')})`,
      );
    }
    const failures = this.#kernel.tearDown(deletions(planNetwork(network)));
    for (const failure of failures)
      this.#log.error({ err: failure, network: network.name }, 'network not wholly removed');
    this.#forget(network);
    this.#events.publish('network', 'destroy', network.id, { name: network.name, type: 'bridge' });
  }

  publishPrune(): void {
    this.#events.publish('network', 'prune', '', { reclaimed: '0' });
  }

  endpointsOf(networkId: string): readonly EndpointRecord[] {
    return [...this.#endpoints.values()].flat().filter((endpoint) => endpoint.networkId === networkId);
  }

  openSandbox(containerId: string): Sandbox {
    const known = this.#sandboxes.get(containerId);
    if (known !== undefined) return known;
    const id = newId();
    const path = join(this.#config.execRoot, 'netns', id.slice(0, 12)) as NetnsPath;
    const sandbox: Sandbox = { id, containerId, path };
    this.#sandboxRecords.put(id, sandbox);
    this.#sandboxes.set(containerId, sandbox);
    try {
      this.#kernel.apply(creations([planSandbox(sandbox)]));
    } catch (error) {
      this.#sandboxRecords.delete(id);
      this.#sandboxes.delete(containerId);
      throw error instanceof KernelError
        ? system(`failed to create the network namespace: ${error.message}`, error)
        : error;
    }
    return sandbox;
  }

  sandboxPath(containerId: string): NetnsPath | undefined {
    return this.#sandboxes.get(containerId)?.path;
  }

  attach(request: AttachRequest): EndpointRecord {
    const { network } = request;
    if (network.driver !== 'bridge') {
      throw forbidden(
        network.driver === 'host'
          ? 'cannot connect container to host network - container must be created in host network mode'
          : 'container cannot be connected to multiple networks with one of the networks in private (none) mode',
      );
    }
    const sandbox = this.#sandboxes.get(request.containerId);
    if (sandbox === undefined) throw new Error(`container ${request.containerId} has no sandbox`);
    const siblings = this.#endpoints.get(sandbox.id) ?? [];
    if (siblings.some((endpoint) => endpoint.networkId === network.id)) {
      throw forbidden(
        `endpoint with name ${request.containerName} already exists in network ${network.name}`,
      );
    }
    const foreign = new Set<string>();
    for (let attempt = 1; ; attempt++) {
      try {
        return this.#attachOnce(request, network, sandbox, siblings, foreign);
      } catch (error) {
        const { resource } = error instanceof HostPortTaken ? error : { resource: undefined };
        if (resource?.kind !== 'host-port') throw error;
        const key = `${resource.address} ${resource.protocol} ${resource.port}`;
        const fixed =
          attempt >= EPHEMERAL_TRIES || foreign.has(key) || !this.#isChoice(request, network, resource.port);
        if (!fixed) {
          foreign.add(key);
          continue;
        }
        throw error instanceof HostPortTaken ? error.cause : error;
      }
    }
  }

  /** Whether another host port than this would do as well. */
  #isChoice(request: AttachRequest, network: BridgeNetwork, port: number): boolean {
    const wishes = parsePortWishes(
      request.portBindings,
      request.exposedPorts,
      request.publishAll,
      network.bridge.hostBinding,
    );
    return !wishes.some(({ hostPorts }) => hostPorts?.first === port && hostPorts.last === port);
  }

  #external(request: AttachRequest, endpointId: string, reason: string): EngineError {
    return system(
      `failed to set up container networking: driver failed programming external connectivity on endpoint ${request.containerName} (${endpointId}): ${reason}`,
    );
  }

  #attachOnce(
    request: AttachRequest,
    network: BridgeNetwork,
    sandbox: Sandbox,
    siblings: readonly EndpointRecord[],
    foreign: ReadonlySet<string>,
  ): EndpointRecord {
    const id = newId();
    const holder = siblings.find((endpoint) => endpoint.gateway !== undefined);
    const carriesDefault =
      bestGateway([...this.#candidates(siblings), { network, endpoint: request }])?.endpoint === request;
    // What is published already moves over as it is.
    const moved = carriesDefault ? (holder?.published ?? []) : [];
    const wishes =
      carriesDefault && holder === undefined
        ? parsePortWishes(
            request.portBindings,
            request.exposedPorts,
            request.publishAll,
            network.bridge.hostBinding,
          )
        : [];
    const address = this.#addressFor(request, network);
    let published: readonly PublishedPort[] = [];
    try {
      published = this.#ports.allocate(wishes, (ip, protocol, port) =>
        foreign.has(`${ip} ${protocol} ${port}`),
      );
      const endpoint: EndpointRecord = {
        id,
        networkId: network.id,
        sandboxId: sandbox.id,
        containerId: request.containerId,
        containerName: request.containerName,
        hostname: request.hostname,
        mac: request.settings.MacAddress ? parseMac(request.settings.MacAddress) : endpointMac(address),
        address: { address, length: network.subnet.length },
        hostIfName: `veth${randomBytes(4).toString('hex').slice(0, 7)}` as IfName,
        ifName: freeIfName(siblings),
        ...(carriesDefault && { gateway: network.defaultGateway ?? network.gateway.address }),
        aliases: request.settings.Aliases ?? [],
        published: [...moved, ...published],
        exposed: request.exposedPorts,
        settings: request.settings,
      };
      const before = carriesDefault && holder !== undefined ? [holder] : [];
      const after = [...before.map(withoutGateway), endpoint];
      this.#putAll(after);
      this.#kernel.apply(diff(this.#planned(sandbox, after), this.#planned(sandbox, before)));
      this.#replaceOrAppend(after);
      this.#forgetOldWays(endpoint);
      this.#events.publish('network', 'connect', network.id, {
        container: request.containerId,
        name: network.name,
        type: 'bridge',
      });
      return endpoint;
    } catch (error) {
      this.#store.transaction(() => {
        this.#endpointRecords.delete(id);
        if (holder !== undefined) this.#endpointRecords.put(holder.id, holder);
      });
      this.#ports.release(published);
      this.#pools.get(network.id)?.release(address);
      if (error instanceof KernelError && error.resource?.kind === 'host-port') {
        const refused = this.#external(
          request,
          id,
          bindWords(error.resource, published, address, error.errno),
        );
        throw error instanceof HostPortTaken
          ? new HostPortTaken(error.message, error.errno, error.resource, { cause: refused })
          : refused;
      }
      if (error instanceof EngineError && error.code === 'SYSTEM')
        throw this.#external(request, id, error.message);
      throw error instanceof KernelError
        ? system(`failed to set up container networking: ${error.message}`, error)
        : error;
    }
  }

  detach(containerId: string, networkId: string): void {
    const network = this.#networks.get(networkId);
    const sandbox = this.#sandboxes.get(containerId);
    const endpoint = this.#endpoints
      .get(sandbox?.id ?? '')
      ?.find((candidate) => candidate.networkId === networkId);
    if (network === undefined || sandbox === undefined || endpoint === undefined) {
      throw forbidden(`container ${containerId} is not connected to network ${network?.name ?? networkId}`);
    }
    const rest = this.endpoints(containerId).filter((other) => other !== endpoint);
    const heir = endpoint.gateway === undefined ? undefined : bestGateway(this.#candidates(rest));
    if (heir?.network.driver !== 'bridge') {
      this.#tearDown(sandbox, [endpoint], false);
      return;
    }
    const { network: to, endpoint: before } = heir;
    const after: EndpointRecord = {
      ...before,
      gateway: to.defaultGateway ?? to.gateway.address,
      published: endpoint.published,
    };
    this.#tearDown(sandbox, [endpoint], false, { before, after });
    this.#forgetOldWays(after);
  }

  closeSandbox(containerId: string): void {
    const sandbox = this.#sandboxes.get(containerId);
    if (sandbox === undefined) return;
    this.#tearDown(sandbox, [...(this.#endpoints.get(sandbox.id) ?? [])], true);
  }

  /** @param heir takes over the default route and the published ports of what goes */
  #tearDown(
    sandbox: Sandbox,
    endpoints: readonly EndpointRecord[],
    whole: boolean,
    heir?: { readonly before: EndpointRecord; readonly after: EndpointRecord },
  ): void {
    const before = this.#planned(sandbox, heir === undefined ? endpoints : [...endpoints, heir.before]);
    const after = this.#planned(sandbox, heir === undefined ? [] : [heir.after]);
    const failures = this.#kernel.tearDown(diff(after, whole ? [planSandbox(sandbox), ...before] : before));
    for (const failure of failures) {
      this.#log.error(
        { err: failure, container: sandbox.containerId },
        'part of the network not removed; the next reconciliation will',
      );
    }
    this.#store.transaction(() => {
      for (const endpoint of endpoints) this.#endpointRecords.delete(endpoint.id);
      if (heir !== undefined) this.#endpointRecords.put(heir.after.id, heir.after);
      if (whole) this.#sandboxRecords.delete(sandbox.id);
    });
    if (heir !== undefined) this.#replaceOrAppend([heir.after]);
    const gone = new Set(endpoints.map((endpoint) => endpoint.id));
    const rest = (this.#endpoints.get(sandbox.id) ?? []).filter((endpoint) => !gone.has(endpoint.id));
    if (rest.length > 0) this.#endpoints.set(sandbox.id, rest);
    else this.#endpoints.delete(sandbox.id);
    if (whole) this.#sandboxes.delete(sandbox.containerId);
    for (const endpoint of endpoints)
      this.#released(heir === undefined ? endpoint : withoutGateway(endpoint));
  }

  #planned(sandbox: Sandbox, endpoints: readonly EndpointRecord[]): readonly Resource[] {
    return endpoints.flatMap((endpoint) => {
      const network = this.#networks.get(endpoint.networkId);
      return network?.driver === 'bridge'
        ? planEndpoint(network, endpoint, sandbox.path, this.#bridgeFirewall)
        : [];
    });
  }

  #candidates(
    endpoints: readonly EndpointRecord[],
  ): { readonly network: Network; readonly endpoint: EndpointRecord }[] {
    return endpoints.flatMap((endpoint) => {
      const network = this.#networks.get(endpoint.networkId);
      return network === undefined ? [] : [{ network, endpoint }];
    });
  }

  #putAll(endpoints: readonly EndpointRecord[]): void {
    this.#store.transaction(() => {
      for (const endpoint of endpoints) this.#endpointRecords.put(endpoint.id, endpoint);
    });
  }

  #replaceOrAppend(endpoints: readonly EndpointRecord[]): void {
    for (const endpoint of endpoints) {
      const list = this.#endpoints.get(endpoint.sandboxId) ?? [];
      const at = list.findIndex((known) => known.id === endpoint.id);
      if (at === -1) this.#append(endpoint);
      else list[at] = endpoint;
    }
  }

  /** Datagrams of a flow that is known go on to where it led; TCP ends by itself. */
  #forgetOldWays({ published, address }: EndpointRecord): void {
    for (const { protocol, hostPorts } of published) {
      if (protocol === 'udp') this.#kernel.forgetPublished(protocol, hostPorts, address.address);
    }
  }

  #released(endpoint: EndpointRecord): void {
    this.#ports.release(endpoint.published);
    this.#pools.get(endpoint.networkId)?.release(endpoint.address.address);
    this.#kernel.forgetConnections(endpoint.address.address);
    const network = this.#networks.get(endpoint.networkId);
    this.#events.publish('network', 'disconnect', endpoint.networkId, {
      container: endpoint.containerId,
      name: network?.name ?? '',
      type: 'bridge',
    });
  }

  endpoints(containerId: string): readonly EndpointRecord[] {
    return this.#endpoints.get(this.#sandboxes.get(containerId)?.id ?? '') ?? [];
  }

  settings(containerId: string): NetworkSettings {
    const sandbox = this.#sandboxes.get(containerId);
    return networkSettings(sandbox, this.endpoints(containerId), (id) => this.#networks.get(id));
  }

  writeFiles(request: NetworkFilesRequest): NetworkFiles {
    const bridge = this.#bridgeNetworks().find((network) => network.name === 'bridge');
    const hostGateway = this.#config.network.hostGatewayIp ?? bridge?.gateway.address ?? '';
    return writeNetworkFiles(request, this.endpoints(request.containerId), this.#config.network, hostGateway);
  }

  reconcile(isAlive: (containerId: string) => boolean): void {
    for (const sandbox of [...this.#sandboxes.values()]) {
      if (!isAlive(sandbox.containerId)) this.#dropRecords(sandbox);
    }
    if (this.#config.network.ipForward) this.#kernel.enableForwarding();
    for (const network of this.#bridgeNetworks()) {
      if (!network.bridge.owned) this.#kernel.routeLocalnet(network.bridge.ifName);
    }
    const wanted = plan({
      networks: this.list(),
      sandboxes: [...this.#sandboxes.values()],
      endpoints: [...this.#endpoints.values()].flat(),
      bridgeFirewall: this.#bridgeFirewall,
    });
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

  #dropRecords(sandbox: Sandbox): void {
    const endpoints = this.#endpoints.get(sandbox.id) ?? [];
    this.#store.transaction(() => {
      for (const endpoint of endpoints) this.#endpointRecords.delete(endpoint.id);
      this.#sandboxRecords.delete(sandbox.id);
    });
    this.#sandboxes.delete(sandbox.containerId);
    this.#endpoints.delete(sandbox.id);
    for (const endpoint of endpoints) this.#released(endpoint);
  }

  #bridgeNetworks(): readonly BridgeNetwork[] {
    return this.list().filter((network) => network.driver === 'bridge');
  }

  #remember(network: Network): void {
    this.#networks.set(network.id, network);
    if (network.driver !== 'bridge') return;
    const reserved = [
      network.gateway.address,
      ...Object.values(network.auxAddresses),
      ...(network.defaultGateway ? [network.defaultGateway] : []),
    ];
    this.#pools.set(network.id, new AddressPool(network.subnet, network.ipRange, reserved));
  }

  #forget(network: Network): void {
    this.#networkRecords.delete(network.id);
    this.#networks.delete(network.id);
    this.#pools.delete(network.id);
  }

  #append(endpoint: EndpointRecord): void {
    const list = this.#endpoints.get(endpoint.sandboxId);
    if (list === undefined) this.#endpoints.set(endpoint.sandboxId, [endpoint]);
    else list.push(endpoint);
  }

  #subnetFor(wish: NetworkWish): Prefix {
    const ours = this.#bridgeNetworks().map((network) => network.subnet);
    if (wish.subnet === undefined) {
      const chosen = chooseSubnet(this.#sources, [...ours, ...this.#kernel.host().usedPrefixes]);
      if (chosen === undefined) throw system('all predefined address pools have been fully subnetted');
      return chosen;
    }
    const { subnet } = wish;
    if (ours.some((other) => overlaps(other, subnet))) {
      throw forbidden('invalid pool request: Pool overlaps with other one on this address space');
    }
    return subnet;
  }

  #addressFor(request: AttachRequest, network: BridgeNetwork): Ipv4 {
    const pool = this.#pools.get(network.id);
    if (pool === undefined) throw new Error(`network ${network.id} has no address pool`);
    const wanted = request.settings.IPAMConfig?.IPv4Address;
    if (!wanted) {
      const address = pool.allocate();
      if (address === undefined) {
        throw system(
          `failed to set up container networking: no available IPv4 addresses on this network's address pools: ${network.name} (${network.id})`,
        );
      }
      return address;
    }
    const address = parseIpv4(wanted);
    const outcome = pool.take(address);
    if (outcome === 'outside') {
      throw invalid(
        `invalid config for network ${network.name}: invalid endpoint settings:\nno configured subnet or ip-range contain the IP address ${address}`,
      );
    }
    if (outcome === 'in-use')
      throw forbidden('failed to set up container networking: Address already in use');
    return address;
  }
}

function withoutGateway({ gateway: _none, ...endpoint }: EndpointRecord): EndpointRecord {
  return { ...endpoint, published: [] };
}

function freeIfName(siblings: readonly EndpointRecord[]): IfName {
  const taken = new Set(siblings.map((endpoint) => endpoint.ifName as string));
  for (let i = 0; ; i++) if (!taken.has(`eth${i}`)) return `eth${i}` as IfName;
}

/** Docker's words: `failed to bind host port for 0.0.0.0:8080:172.17.0.2:80/tcp: address already in use`. */
function bindWords(
  held: HostPortResource,
  published: readonly PublishedPort[],
  address: Ipv4,
  errno: string,
): string {
  const { port, protocol } = held;
  const ports = published.find(
    (each) =>
      each.protocol === protocol &&
      each.hostIp === held.address &&
      each.hostPorts.first <= port &&
      port <= each.hostPorts.last,
  );
  const inside = ports === undefined ? port : ports.containerPorts.first + port - ports.hostPorts.first;
  return `failed to bind host port for ${held.address}:${port}:${address}:${inside}/${protocol}: ${errnoWords(errno)}`;
}

function errnoWords(errno: string): string {
  if (errno === 'EADDRINUSE') return 'address already in use';
  if (errno === 'EADDRNOTAVAIL') return 'cannot assign requested address';
  if (errno === 'EACCES') return 'permission denied';
  return errno;
}
