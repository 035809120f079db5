import { createSocket } from 'node:dgram';
import type { Logger } from 'pino';
import { NAME_SERVER, NameService } from '../../dns/name-service.ts';
import type { DnsObserver } from '../../dns/observer.ts';
import type { View } from '../../dns/resolver.ts';
import { exchangeBy, hostExchange, Upstreams } from '../../dns/upstream.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { type Ip, parseIpv4 } from '../../model/address.ts';
import { parseLink } from '../../model/link.ts';
import {
  type AddressedNetwork,
  addressesOf,
  familiesOf,
  GATEWAY_NETWORK,
  isAddressed,
  type Network,
  type OverlayNetwork,
  type Sandbox,
} from '../../model/network.ts';
import type { RemoteEndpoint } from '../../model/overlay.ts';
import { hostResolvConf } from './host-resolv-conf.ts';
import type { NetworkRegistry } from './network-registry.ts';
import type { SandboxTable } from './sandbox-table.ts';
import { dnsNames, type EndpointRecord } from './settings.ts';

const PORT = 53;

/** Names are found on networks of the user's; the default bridge has none, as in Docker. */
function hasNames(network: Network | undefined): network is AddressedNetwork {
  return isAddressed(network) && network.name !== 'bridge' && network.name !== GATEWAY_NETWORK;
}

/** What a sandbox may know, but for who is asked outside. */
interface Seen {
  readonly wayOut: boolean;
  readonly view: Omit<View, 'upstreams'>;
}

/** Which names each container of this host knows, and the name service in its sandbox. */
export class ContainerNames {
  readonly #kernel: Kernel;
  readonly #registry: NetworkRegistry;
  readonly #table: SandboxTable;
  readonly #service: NameService;
  readonly #host: HostUpstreams;
  readonly #observer: DnsObserver | undefined;
  /** By container: `--dns` servers, asked from its own namespace. */
  readonly #given = new Map<string, readonly string[]>();
  readonly #own = new Map<string, Upstreams>();
  /** By a sandbox's endpoints: any change of them is another list (SandboxTable). */
  readonly #seen = new WeakMap<readonly EndpointRecord[], Seen>();

  constructor(
    kernel: Kernel,
    registry: NetworkRegistry,
    table: SandboxTable,
    log: Logger,
    observer?: DnsObserver,
  ) {
    this.#observer = observer;
    this.#host = new HostUpstreams(observer);
    this.#kernel = kernel;
    this.#registry = registry;
    this.#table = table;
    const address = parseIpv4(NAME_SERVER);
    this.#service = new NameService((netns) => kernel.bindInside(netns, address, PORT), log, observer);
    for (const endpoint of table.allEndpoints()) this.#addName(endpoint, registry.get(endpoint.networkId));
  }

  add(endpoint: EndpointRecord, network: AddressedNetwork): void {
    this.#addName(endpoint, network);
    // A running container is connected to its first network with names: its resolv.conf changes, and this must answer.
    const sandbox = this.#table.sandbox(endpoint.containerId);
    if (sandbox !== undefined && this.#given.has(endpoint.containerId)) this.#open(sandbox);
  }

  remove(endpoint: EndpointRecord): void {
    this.#service.names.remove(endpoint.id);
  }

  /** A container of another host is called by its names, as one of ours. */
  addRemote(remote: RemoteEndpoint, network: OverlayNetwork): void {
    this.#service.names.add({
      endpointId: remote.id,
      networkId: network.id,
      networkName: network.name,
      addresses: [remote.ipv4, remote.ipv6].filter((address) => address !== undefined),
      names: remote.names,
    });
  }

  removeRemote(endpointId: string): void {
    this.#service.names.remove(endpointId);
  }

  /** Whether the container's resolv.conf names our name server. */
  serves(containerId: string): boolean {
    const endpoints = this.#table.endpoints(this.#table.sandbox(containerId)?.id);
    return endpoints.some((endpoint) => hasNames(this.#registry.get(endpoint.networkId)));
  }

  /** Serves a container on a network with names. @param dns its `--dns` servers, or the daemon's */
  serve(containerId: string, dns: readonly string[]): void {
    const sandbox = this.#table.sandbox(containerId);
    if (sandbox === undefined) return;
    this.#given.set(containerId, dns);
    this.#own.delete(containerId);
    this.#open(sandbox);
  }

  /** What a name stands for among the containers that a sandbox may know. */
  known(sandbox: Sandbox, name: string): readonly Ip[] {
    return this.#service.known(name, this.#view(sandbox));
  }

  /** What a program in the sandbox is told of a name that is no container's. */
  askOutside(sandbox: Sandbox, name: string): Promise<readonly Ip[]> {
    return this.#service.askOutside(name, this.#view(sandbox));
  }

  close(sandbox: Sandbox): void {
    this.#service.close(sandbox.id);
    this.#given.delete(sandbox.containerId);
    this.#own.delete(sandbox.containerId);
  }

  closeAll(): void {
    this.#service.closeAll();
  }

  #open(sandbox: Sandbox): void {
    if (this.serves(sandbox.containerId)) {
      this.#service.open(sandbox.id, sandbox.path, () => this.#view(sandbox));
    }
  }

  #addName(endpoint: EndpointRecord, network: Network | undefined): void {
    if (!hasNames(network)) return;
    this.#service.names.add({
      endpointId: endpoint.id,
      networkId: network.id,
      networkName: network.name,
      addresses: addressesOf(endpoint).map(({ address }) => address),
      names: dnsNames(endpoint),
    });
  }

  #view(sandbox: Sandbox): View {
    const endpoints = this.#table.endpoints(sandbox.id);
    let seen = this.#seen.get(endpoints);
    if (seen === undefined) {
      seen = this.#look(endpoints);
      this.#seen.set(endpoints, seen);
    }
    return { ...seen.view, upstreams: seen.wayOut ? this.#upstreams(sandbox) : undefined };
  }

  #look(endpoints: readonly EndpointRecord[]): Seen {
    const networks = endpoints.map((endpoint) => this.#registry.get(endpoint.networkId)).filter(hasNames);
    const [first] = networks;
    return {
      wayOut: endpoints.some((endpoint) =>
        addressesOf(endpoint).some(({ gateway }) => gateway !== undefined),
      ),
      view: {
        networkIds: networks.map((network) => network.id),
        links: linksOf(endpoints),
        gateways: first === undefined ? [] : familiesOf(first).map(({ gateway }) => gateway.address),
      },
    };
  }

  #upstreams(sandbox: Sandbox): Upstreams {
    const given = this.#given.get(sandbox.containerId) ?? [];
    if (given.length === 0) return this.#host.current();
    let own = this.#own.get(sandbox.containerId);
    if (own === undefined) {
      own = new Upstreams(
        given,
        exchangeBy((family) => {
          const socket = createSocket(family === 'ipv4' ? 'udp4' : 'udp6');
          socket.bind({ fd: this.#kernel.datagramInside(sandbox.path, family) });
          return socket;
        }),
        this.#observer,
      );
      this.#own.set(sandbox.containerId, own);
    }
    return own;
  }
}

/** Aliases of `--link` on networks with names, lower-case, to the names of containers. */
function linksOf(endpoints: readonly EndpointRecord[]): ReadonlyMap<string, string> {
  const links = endpoints.flatMap(({ settings }) => settings.Links ?? []).map(parseLink);
  return new Map(links.map(({ alias, container }) => [alias.toLowerCase(), container]));
}

/** How old our view of the host's resolv.conf may be: it is asked for with every question. */
const LOOK_EVERY_MS = 1000;

/** The host's name servers, as its resolv.conf has them now. */
class HostUpstreams {
  #lookedAt = Number.NEGATIVE_INFINITY;
  readonly #observer: DnsObserver | undefined;
  #upstreams = new Upstreams([], hostExchange);

  constructor(observer: DnsObserver | undefined) {
    this.#observer = observer;
  }

  current(): Upstreams {
    const now = performance.now();
    if (now - this.#lookedAt < LOOK_EVERY_MS) return this.#upstreams;
    this.#lookedAt = now;
    const servers = hostResolvConf().conf.nameservers;
    // The same servers keep what is known of their health.
    const made = new Upstreams(servers, hostExchange, this.#observer);
    if (made.servers.join() !== this.#upstreams.servers.join()) this.#upstreams = made;
    return this.#upstreams;
  }
}
