import type { Logger } from 'pino';
import { HostPortTaken, type Kernel } from '../../kernel/kernel.ts';
import { type Family, familyOf, parseIp } from '../../model/address.ts';
import { forbidden } from '../../model/errors.ts';
import { type AddressedNetwork, addressesOf, isAddressed, type Sandbox } from '../../model/network.ts';
import type { PublishedPort } from '../../model/port.ts';
import { diff } from '../../plan/diff.ts';
import { type PlanFacts, planEndpoints, planSandbox } from '../../plan/plan.ts';
import { PortAllocator } from '../../plan/port-allocator.ts';
import type { Resource } from '../../plan/resource.ts';
import type { EventBus } from '../events.ts';
import type { AttachRequest } from '../networking.ts';
import { announce } from './announcements.ts';
import { attachError } from './bind-error.ts';
import type { ContainerNames } from './container-names.ts';
import { newId } from './default-networks.ts';
import { distribute } from './gateway-order.ts';
import type { NetworkRegistry } from './network-registry.ts';
import { newEndpoint } from './new-endpoint.ts';
import { newPorts, portWishes } from './port-wishes.ts';
import type { SandboxTable } from './sandbox-table.ts';
import type { EndpointRecord } from './settings.ts';

export interface EndpointsOptions {
  readonly log: Logger;
  readonly events: EventBus;
  readonly kernel: Kernel;
  readonly registry: NetworkRegistry;
  readonly table: SandboxTable;
  readonly names: ContainerNames;
  readonly facts: PlanFacts;
  /** An endpoint is gone. */
  readonly onGone: (endpoint: EndpointRecord) => void;
}

/** dockerd gives up after as many host ports that others hold (libnetwork portmapper). */
const EPHEMERAL_TRIES = 10;

/** Making and removing endpoints, and handing default routes and published ports from one to another. */
export class Endpoints {
  readonly #log: Logger;
  readonly #events: EventBus;
  readonly #kernel: Kernel;
  readonly #registry: NetworkRegistry;
  readonly #table: SandboxTable;
  readonly #names: ContainerNames;
  readonly #facts: PlanFacts;
  readonly #onGone: EndpointsOptions['onGone'];
  readonly #ports: PortAllocator;

  constructor(options: EndpointsOptions) {
    this.#log = options.log;
    this.#events = options.events;
    this.#kernel = options.kernel;
    this.#registry = options.registry;
    this.#table = options.table;
    this.#names = options.names;
    this.#facts = options.facts;
    this.#onGone = options.onGone;
    this.#ports = new PortAllocator(options.kernel.host().ephemeralPorts);
    for (const endpoint of this.#table.allEndpoints()) {
      this.#registry.adoptAddresses(endpoint);
      this.#ports.adopt(endpoint.published);
    }
  }

  /** @throws EngineError in Docker's words; nothing of it is left then */
  attach(request: AttachRequest, network: AddressedNetwork, sandbox: Sandbox): EndpointRecord {
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
        const fixed = portWishes(request, network, siblings).some(
          ({ hostPorts }) => hostPorts?.first === port && hostPorts.last === port,
        );
        if (fixed || attempt >= EPHEMERAL_TRIES || foreign.has(key)) throw error.cause;
        foreign.add(key);
      }
    }
  }

  #attachOnce(
    request: AttachRequest,
    network: AddressedNetwork,
    sandbox: Sandbox,
    siblings: readonly EndpointRecord[],
    foreign: ReadonlySet<string>,
  ): EndpointRecord {
    const id = newId();
    const addresses = this.#takeAddresses(request, network);
    let published: readonly PublishedPort[] = [];
    try {
      const bare = newEndpoint({ id, request, network, sandbox, siblings, addresses });
      const candidates = [...this.#candidates(siblings), { network, endpoint: bare }];
      const wishes = newPorts(request, network, siblings, candidates);
      published = this.#ports.allocate(wishes.translated, (ip, protocol, port) =>
        foreign.has(`${ip} ${protocol} ${port}`),
      );
      const after = distribute(candidates, {
        published: [...siblings.flatMap((endpoint) => endpoint.published), ...published],
        opened: [...siblings.flatMap((endpoint) => endpoint.opened), ...wishes.opened],
      });
      this.#table.setEndpoints(sandbox.id, after);
      this.#kernel.apply(diff(this.#planned(sandbox, after), this.#planned(sandbox, siblings)));
      // The new way out may be one that publishes nothing (a macvlan): the ports of the old one are free then.
      this.#releasePorts(siblings, after);
      return this.#attached(after.at(-1) ?? bare, network);
    } catch (error) {
      this.#table.setEndpoints(sandbox.id, siblings);
      this.#ports.release(published);
      this.#registry.releaseAddresses(network.id, addresses);
      throw attachError(error, request, id, published, addresses);
    }
  }

  #takeAddresses(request: AttachRequest, network: AddressedNetwork): Pick<EndpointRecord, Family> {
    const wanted = {
      ipv4: request.settings.IPAMConfig?.IPv4Address,
      ipv6: request.settings.IPAMConfig?.IPv6Address,
    };
    return this.#registry.takeAddresses(network, request.containerId, {
      ...(wanted.ipv4 && { ipv4: parseIp(wanted.ipv4) }),
      ...(wanted.ipv6 && { ipv6: parseIp(wanted.ipv6) }),
    });
  }

  #attached(endpoint: EndpointRecord, network: AddressedNetwork): EndpointRecord {
    this.#forgetOldWays(endpoint);
    this.#announce(endpoint);
    this.#names.add(endpoint, network);
    this.#events.publish('network', 'connect', network.id, {
      container: endpoint.containerId,
      name: network.name,
      type: network.driver,
    });
    return endpoint;
  }

  #announce({ id, containerId }: EndpointRecord): void {
    announce({
      containerId,
      kernel: this.#kernel,
      log: this.#log,
      planned: () => {
        const sandbox = this.#table.sandbox(containerId);
        const now = this.#table.endpoints(sandbox?.id).find((endpoint) => endpoint.id === id);
        return sandbox === undefined || now === undefined ? undefined : this.#planned(sandbox, [now]);
      },
    });
  }

  /** The default routes and the published ports go to the best of the others. */
  detach(sandbox: Sandbox, endpoint: EndpointRecord): void {
    const before = this.#table.endpoints(sandbox.id);
    const rest = before.filter((other) => other !== endpoint);
    const after = distribute(this.#candidates(rest), {
      published: before.flatMap(({ published }) => published),
      opened: before.flatMap(({ opened }) => opened),
    });
    this.#tearDown(sandbox, after, false);
    for (const heir of after) if (!before.includes(heir)) this.#forgetOldWays(heir);
  }

  /** Every endpoint and the namespace; goes on after errors and logs them. */
  closeSandbox(sandbox: Sandbox): void {
    this.#tearDown(sandbox, [], true);
  }

  /** The records of a sandbox whose container is dead; the kernel follows by reconciliation. */
  dropSandbox(sandbox: Sandbox): void {
    const endpoints = this.#table.endpoints(sandbox.id);
    this.#table.remove(sandbox);
    this.#released(endpoints, []);
  }

  /** @param after the endpoints that stay. @param whole the namespace goes too */
  #tearDown(sandbox: Sandbox, after: readonly EndpointRecord[], whole: boolean): void {
    const before = this.#table.endpoints(sandbox.id);
    const planned = this.#planned(sandbox, before);
    if (whole) this.#names.close(sandbox);
    const failures = this.#kernel.tearDown(
      diff(this.#planned(sandbox, after), whole ? [planSandbox(sandbox), ...planned] : planned),
    );
    for (const failure of failures) {
      this.#log.error(
        { err: failure, container: sandbox.containerId },
        'part of the network not removed; the next reconciliation will',
      );
    }
    if (whole) this.#table.remove(sandbox);
    else this.#table.setEndpoints(sandbox.id, after);
    this.#released(before, after);
  }

  #planned(sandbox: Sandbox, endpoints: readonly EndpointRecord[]): readonly Resource[] {
    const networkOf = (id: string): AddressedNetwork | undefined => {
      const network = this.#registry.get(id);
      return isAddressed(network) ? network : undefined;
    };
    return planEndpoints(endpoints, networkOf, sandbox.path, this.#facts);
  }

  #candidates(
    endpoints: readonly EndpointRecord[],
  ): { readonly network: AddressedNetwork; readonly endpoint: EndpointRecord }[] {
    return endpoints.flatMap((endpoint) => {
      const network = this.#registry.get(endpoint.networkId);
      return isAddressed(network) ? [{ network, endpoint }] : [];
    });
  }

  /** Datagrams of a flow that is known go on to where it led; TCP ends by itself. */
  #forgetOldWays(endpoint: EndpointRecord): void {
    for (const { protocol, hostIp, hostPorts } of endpoint.published) {
      const address = endpoint[familyOf(hostIp)]?.address;
      if (protocol === 'udp' && address !== undefined)
        this.#kernel.forgetPublished(protocol, hostPorts, address);
    }
  }

  #releasePorts(before: readonly EndpointRecord[], after: readonly EndpointRecord[]): void {
    const kept = new Set(after.flatMap(({ published }) => published));
    this.#ports.release(before.flatMap(({ published }) => published).filter((port) => !kept.has(port)));
  }

  #released(before: readonly EndpointRecord[], after: readonly EndpointRecord[]): void {
    this.#releasePorts(before, after);
    for (const endpoint of before) {
      if (after.some(({ id }) => id === endpoint.id)) continue;
      const network = this.#registry.get(endpoint.networkId);
      this.#names.remove(endpoint);
      this.#registry.releaseAddresses(endpoint.networkId, endpoint);
      for (const { address } of addressesOf(endpoint)) this.#kernel.forgetConnections(address);
      this.#onGone(endpoint);
      this.#events.publish('network', 'disconnect', endpoint.networkId, {
        container: endpoint.containerId,
        name: network?.name ?? '',
        type: network?.driver ?? '',
      });
    }
  }
}
