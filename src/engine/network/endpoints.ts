import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import { HostPortTaken, type Kernel } from '../../kernel/kernel.ts';
import { type IfName, parseIpv4, parseMac } from '../../model/address.ts';
import { forbidden } from '../../model/errors.ts';
import type { BridgeNetwork, Network, Sandbox } from '../../model/network.ts';
import type { PublishedPort } from '../../model/port.ts';
import { diff } from '../../plan/diff.ts';
import { planEndpoint, planSandbox } from '../../plan/plan.ts';
import { PortAllocator } from '../../plan/port-allocator.ts';
import { type PortWish, parsePortWishes } from '../../plan/port-spec.ts';
import type { Resource } from '../../plan/resource.ts';
import type { EventBus } from '../events.ts';
import type { AttachRequest } from '../networking.ts';
import { attachError } from './bind-error.ts';
import type { ContainerNames } from './container-names.ts';
import { endpointMac, newId } from './default-networks.ts';
import { bestGateway } from './gateway-order.ts';
import type { NetworkRegistry } from './network-registry.ts';
import type { SandboxTable } from './sandbox-table.ts';
import type { EndpointRecord } from './settings.ts';

export interface EndpointsOptions {
  readonly log: Logger;
  readonly events: EventBus;
  readonly kernel: Kernel;
  readonly registry: NetworkRegistry;
  readonly table: SandboxTable;
  readonly names: ContainerNames;
}

/** dockerd gives up after as many host ports that others hold (libnetwork portmapper). */
const EPHEMERAL_TRIES = 10;

/** Making and removing endpoints, and handing the default route and the published ports from one to another. */
export class Endpoints {
  /** What planning needs to know of the host (HostFacts.bridgeFirewall). */
  readonly bridgeFirewall: boolean;
  readonly #log: Logger;
  readonly #events: EventBus;
  readonly #kernel: Kernel;
  readonly #registry: NetworkRegistry;
  readonly #table: SandboxTable;
  readonly #names: ContainerNames;
  readonly #ports: PortAllocator;

  constructor(options: EndpointsOptions) {
    this.#log = options.log;
    this.#events = options.events;
    this.#kernel = options.kernel;
    this.#registry = options.registry;
    this.#table = options.table;
    this.#names = options.names;
    const host = options.kernel.host();
    this.bridgeFirewall = host.bridgeFirewall;
    this.#ports = new PortAllocator(host.ephemeralPorts);
    for (const endpoint of this.#table.allEndpoints()) {
      this.#registry.adoptAddress(endpoint.networkId, endpoint.address.address);
      this.#ports.adopt(endpoint.published);
    }
  }

  /** @throws EngineError in Docker's words; nothing of it is left then */
  attach(request: AttachRequest, network: BridgeNetwork, sandbox: Sandbox): EndpointRecord {
    const siblings = this.#table.endpoints(sandbox.id);
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
        if (!(error instanceof HostPortTaken) || error.resource?.kind !== 'host-port') throw error;
        const { address, protocol, port } = error.resource;
        const key = `${address} ${protocol} ${port}`;
        const fixed = wishesOf(request, network).some(
          ({ hostPorts }) => hostPorts?.first === port && hostPorts.last === port,
        );
        if (fixed || attempt >= EPHEMERAL_TRIES || foreign.has(key)) throw error.cause;
        foreign.add(key);
      }
    }
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
    const wishes = carriesDefault && holder === undefined ? wishesOf(request, network) : [];
    const wanted = request.settings.IPAMConfig?.IPv4Address;
    const address = this.#registry.takeAddress(network, wanted ? parseIpv4(wanted) : undefined);
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
        ...(carriesDefault && { gateway: gatewayAddress(network) }),
        aliases: request.settings.Aliases ?? [],
        published: [...moved, ...published],
        exposed: request.exposedPorts,
        settings: request.settings,
      };
      const before = carriesDefault && holder !== undefined ? [holder] : [];
      const after = [...before.map(withoutGateway), endpoint];
      this.#table.putEndpoints(after);
      this.#kernel.apply(diff(this.#planned(sandbox, after), this.#planned(sandbox, before)));
      this.#attached(endpoint, network);
      return endpoint;
    } catch (error) {
      this.#undoAttach(sandbox, id, holder);
      this.#ports.release(published);
      this.#registry.releaseAddress(network.id, address);
      throw attachError(error, request, id, published, address);
    }
  }

  #undoAttach(sandbox: Sandbox, id: string, holder: EndpointRecord | undefined): void {
    const made = this.#table.endpoints(sandbox.id).filter((endpoint) => endpoint.id === id);
    if (made.length > 0) this.#table.remove(sandbox, made, false, holder);
  }

  #attached(endpoint: EndpointRecord, network: BridgeNetwork): void {
    this.#forgetOldWays(endpoint);
    this.#names.add(endpoint, network);
    this.#events.publish('network', 'connect', network.id, {
      container: endpoint.containerId,
      name: network.name,
      type: 'bridge',
    });
  }

  /** The default route and the published ports go to the best of the others. */
  detach(sandbox: Sandbox, endpoint: EndpointRecord): void {
    const rest = this.#table.endpoints(sandbox.id).filter((other) => other !== endpoint);
    const heir = endpoint.gateway === undefined ? undefined : bestGateway(this.#candidates(rest));
    if (heir?.network.driver !== 'bridge') {
      this.#tearDown(sandbox, [endpoint], false);
      return;
    }
    const after: EndpointRecord = {
      ...heir.endpoint,
      gateway: gatewayAddress(heir.network),
      published: endpoint.published,
    };
    this.#tearDown(sandbox, [endpoint], false, { before: heir.endpoint, after });
    this.#forgetOldWays(after);
  }

  /** Every endpoint and the namespace; goes on after errors and logs them. */
  closeSandbox(sandbox: Sandbox): void {
    this.#tearDown(sandbox, this.#table.endpoints(sandbox.id), true);
  }

  /** The records of a sandbox whose container is dead; the kernel follows by reconciliation. */
  dropSandbox(sandbox: Sandbox): void {
    const endpoints = this.#table.endpoints(sandbox.id);
    this.#table.remove(sandbox, endpoints, true);
    for (const endpoint of endpoints) this.#released(endpoint);
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
    if (whole) this.#names.close(sandbox);
    const failures = this.#kernel.tearDown(diff(after, whole ? [planSandbox(sandbox), ...before] : before));
    for (const failure of failures) {
      this.#log.error(
        { err: failure, container: sandbox.containerId },
        'part of the network not removed; the next reconciliation will',
      );
    }
    this.#table.remove(sandbox, endpoints, whole, heir?.after);
    for (const endpoint of endpoints) {
      this.#released(heir === undefined ? endpoint : withoutGateway(endpoint));
    }
  }

  #planned(sandbox: Sandbox, endpoints: readonly EndpointRecord[]): readonly Resource[] {
    return endpoints.flatMap((endpoint) => {
      const network = this.#registry.get(endpoint.networkId);
      return network?.driver === 'bridge'
        ? planEndpoint(network, endpoint, sandbox.path, this.bridgeFirewall)
        : [];
    });
  }

  #candidates(
    endpoints: readonly EndpointRecord[],
  ): { readonly network: Network; readonly endpoint: EndpointRecord }[] {
    return endpoints.flatMap((endpoint) => {
      const network = this.#registry.get(endpoint.networkId);
      return network === undefined ? [] : [{ network, endpoint }];
    });
  }

  /** Datagrams of a flow that is known go on to where it led; TCP ends by itself. */
  #forgetOldWays({ published, address }: EndpointRecord): void {
    for (const { protocol, hostPorts } of published) {
      if (protocol === 'udp') this.#kernel.forgetPublished(protocol, hostPorts, address.address);
    }
  }

  #released(endpoint: EndpointRecord): void {
    this.#names.remove(endpoint);
    this.#ports.release(endpoint.published);
    this.#registry.releaseAddress(endpoint.networkId, endpoint.address.address);
    this.#kernel.forgetConnections(endpoint.address.address);
    this.#events.publish('network', 'disconnect', endpoint.networkId, {
      container: endpoint.containerId,
      name: this.#registry.get(endpoint.networkId)?.name ?? '',
      type: 'bridge',
    });
  }
}

function wishesOf(request: AttachRequest, network: BridgeNetwork): readonly PortWish[] {
  const { portBindings, exposedPorts, publishAll } = request;
  return parsePortWishes(portBindings, exposedPorts, publishAll, network.bridge.hostBinding);
}

function gatewayAddress(network: BridgeNetwork): NonNullable<EndpointRecord['gateway']> {
  return network.defaultGateway ?? network.gateway.address;
}

function withoutGateway({ gateway: _none, ...endpoint }: EndpointRecord): EndpointRecord {
  return { ...endpoint, published: [] };
}

function freeIfName(siblings: readonly EndpointRecord[]): IfName {
  const taken = new Set(siblings.map((endpoint) => endpoint.ifName as string));
  for (let i = 0; ; i++) if (!taken.has(`eth${i}`)) return `eth${i}` as IfName;
}
