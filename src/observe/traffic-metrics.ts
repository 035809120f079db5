import { Counter, Gauge, type Registry } from 'prom-client';
import { type Kernel, KernelError } from '../kernel/kernel.ts';
import type { PublishedTraffic } from '../kernel/published-traffic.ts';
import type { NetnsPath } from '../model/address.ts';
import { type Endpoint, isAddressed, type Network } from '../model/network.ts';
import type { LinkCounters } from '../model/topology.ts';
import { ConnectionMetrics } from './connection-metrics.ts';
import { DropMetrics } from './drop-metrics.ts';
import { PublishedMetrics } from './published-metrics.ts';

export interface TrafficSources {
  readonly kernel: Pick<
    Kernel,
    | 'innerCounters'
    | 'linkCounters'
    | 'openConnections'
    | 'publishedConnections'
    | 'ruleCounters'
    | 'sysctl'
    | 'uplinks'
  >;
  readonly networking: {
    list(): readonly Network[];
    allEndpoints(): readonly Endpoint[];
    sandboxPath(containerId: string): NetnsPath | undefined;
  };
  /** Absent where nothing is published by a firewall, or the kernel cannot count it. */
  readonly portTraffic?: Pick<PublishedTraffic, 'read'>;
  readonly containers: () => Readonly<Record<'running' | 'paused' | 'stopped', number>>;
}

/** The counters of one kind of thing, in the order of `LinkCounters`. */
class LinkMetrics<L extends string> {
  readonly #counters: readonly Counter<L>[];

  constructor(registry: Registry, what: string, help: string, labelNames: readonly L[]) {
    this.#counters = ['receive_bytes', 'transmit_bytes', 'receive_packets', 'transmit_packets', 'drops'].map(
      (kind) =>
        new Counter({
          name: `gangway_${what}_${kind}_total`,
          help: `${help}: ${kind.replace('_', 'd ').replace('transmitd', 'transmitted')}.`,
          labelNames: [...labelNames],
          registers: [registry],
        }),
    );
  }

  reset(): void {
    for (const counter of this.#counters) counter.reset();
  }

  /** @param turned a host's end of a wire receives what the other end transmits */
  add(labels: Record<L, string>, counted: LinkCounters, turned: boolean): void {
    const [received, sent, receivedPackets, sentPackets, dropped] = counted;
    const values = turned
      ? [sent, received, sentPackets, receivedPackets, dropped]
      : [received, sent, receivedPackets, sentPackets, dropped];
    for (const [i, counter] of this.#counters.entries()) counter.inc(labels, values[i]);
  }
}

/**
 * What containers, networks and published ports carry. Read from one listing of the links, one of each map and set of
 * published ports, one of the rules and one of the tracked connections: what is not there any more is not told any more.
 */
export class TrafficMetrics {
  readonly #sources: TrafficSources;
  readonly #containers: LinkMetrics<'container' | 'network' | 'interface'>;
  readonly #networks: LinkMetrics<'network' | 'driver'>;
  readonly #edges: LinkMetrics<'edge' | 'network' | 'interface'>;
  readonly #published: PublishedMetrics;
  readonly #drops: DropMetrics;
  readonly #connections: ConnectionMetrics;
  readonly #count: Gauge<'state'>;

  constructor(registry: Registry, sources: TrafficSources) {
    this.#sources = sources;
    this.#containers = new LinkMetrics(registry, 'container', 'Of a container on a network', [
      'container',
      'network',
      'interface',
    ]);
    this.#networks = new LinkMetrics(
      registry,
      'network',
      'Between a network and its host, and by that the outside; what containers of it send each other is not in it',
      ['network', 'driver'],
    );
    this.#edges = new LinkMetrics(
      registry,
      'edge',
      "Of the host's uplinks, and of the tunnels of overlay networks to other hosts",
      ['edge', 'network', 'interface'],
    );
    const registers = [registry];
    this.#published = new PublishedMetrics(registry);
    this.#drops = new DropMetrics(registry);
    this.#connections = new ConnectionMetrics(registry, sources.kernel);
    this.#count = new Gauge({
      name: 'gangway_containers',
      help: 'Containers by state.',
      labelNames: ['state'],
      registers,
    });
  }

  /** @throws KernelError */
  async read(): Promise<void> {
    const { kernel, networking, containers } = this.#sources;
    const connections = await this.#connections.count(networking.allEndpoints());
    // From here on nothing waits: two that ask at the same time must not add up.
    const links = kernel.linkCounters();
    const networks = new Map(networking.list().map((network) => [network.id, network]));
    const endpoints = networking.allEndpoints();
    for (const each of [this.#containers, this.#networks, this.#edges]) each.reset();
    for (const endpoint of endpoints) {
      const { hostIfName, networkId, containerName, ifName } = endpoint;
      const link = hostIfName === undefined ? this.#readInside(endpoint) : links.get(hostIfName);
      if (link === undefined) continue;
      const network = networks.get(networkId)?.name ?? '';
      const labels = { container: containerName, network, interface: ifName };
      this.#containers.add(labels, link, hostIfName !== undefined);
    }
    for (const network of networks.values()) this.#readNetwork(network, links);
    for (const { ifName } of kernel.uplinks()) {
      const link = links.get(ifName);
      if (link !== undefined)
        this.#edges.add({ edge: 'uplink', network: '', interface: ifName }, link, false);
    }
    this.#published.set(kernel.publishedConnections(), endpoints, networks);
    this.#published.setTraffic(this.#sources.portTraffic?.read() ?? [], endpoints, networks);
    this.#drops.set(kernel.ruleCounters());
    this.#connections.set(connections, endpoints, networks);
    for (const [state, count] of Object.entries(containers())) this.#count.set({ state }, count);
  }

  /** Of an interface without an end on the host. */
  #readInside({ containerId, ifName }: Endpoint): LinkCounters | undefined {
    const { kernel, networking } = this.#sources;
    const path = networking.sandboxPath(containerId);
    try {
      return path && kernel.innerCounters(path).get(ifName);
    } catch (error) {
      // It is on its way out.
      if (error instanceof KernelError) return undefined;
      throw error;
    }
  }

  #readNetwork(network: Network, links: ReadonlyMap<string, LinkCounters>): void {
    if (!isAddressed(network) || network.driver === 'macvlan') return;
    const { driver, name } = network;
    const bridge = links.get(driver === 'bridge' ? network.bridge.ifName : network.overlay.bridge);
    if (bridge !== undefined) this.#networks.add({ network: name, driver }, bridge, true);
    if (driver !== 'overlay') return;
    const tunnel = links.get(network.overlay.vxlan);
    const labels = { edge: 'tunnel', network: name, interface: network.overlay.vxlan };
    if (tunnel !== undefined) this.#edges.add(labels, tunnel, false);
  }
}
