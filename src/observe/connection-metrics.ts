import { Gauge, type Registry } from 'prom-client';
import type { Kernel } from '../kernel/kernel.ts';
import type { OpenConnections } from '../kernel/open-connections.ts';
import type { Ip } from '../model/address.ts';
import { addressesOf, type Endpoint, type Network } from '../model/network.ts';

/** Tracked connections above which none are counted: reading as many takes the daemon's time, some 2 µs each. */
const MOST = 50_000;

/** Undefined: too many to be counted. */
export type Counted = ReadonlyMap<Ip, OpenConnections> | undefined;

/** Connections of containers that are open now, and what the kernel's table of all of them holds. */
export class ConnectionMetrics {
  readonly #kernel: Pick<Kernel, 'openConnections' | 'sysctl'>;
  readonly #tracked: Gauge;
  readonly #most: Gauge;
  readonly #open: Gauge<'container' | 'network' | 'direction'>;
  readonly #counted: Gauge;

  constructor(registry: Registry, kernel: Pick<Kernel, 'openConnections' | 'sysctl'>) {
    this.#kernel = kernel;
    const registers = [registry];
    this.#tracked = new Gauge({
      name: 'gangway_conntrack_entries',
      help: 'Connections that the kernel tracks.',
      registers,
    });
    this.#most = new Gauge({
      name: 'gangway_conntrack_entries_limit',
      help: 'Connections that the kernel can track.',
      registers,
    });
    this.#open = new Gauge({
      name: 'gangway_connections',
      help: 'Tracked connections that are open now, from a container (out) and to it (in), on a network.',
      labelNames: ['container', 'network', 'direction'],
      registers,
    });
    this.#counted = new Gauge({
      name: 'gangway_connections_counted',
      help: `Whether gangway_connections is told: not above ${MOST} tracked connections.`,
      registers,
    });
  }

  /** @throws KernelError */
  async count(endpoints: readonly Endpoint[]): Promise<Counted> {
    const tracked = this.#setting('count');
    if (tracked > MOST) return undefined;
    const addresses = endpoints.flatMap((endpoint) => addressesOf(endpoint).map(({ address }) => address));
    // Without a connection, or without nf_conntrack, there is nothing to be read.
    return tracked === 0 || addresses.length === 0 ? new Map() : this.#kernel.openConnections(addresses);
  }

  set(counted: Counted, endpoints: readonly Endpoint[], networks: ReadonlyMap<string, Network>): void {
    this.#tracked.set(this.#setting('count'));
    this.#most.set(this.#setting('max'));
    this.#counted.set(counted === undefined ? 0 : 1);
    this.#open.reset();
    if (counted === undefined) return;
    for (const endpoint of endpoints) {
      const network = networks.get(endpoint.networkId);
      // The host sees nothing of what goes by such an interface.
      if (network === undefined || network.driver === 'macvlan') continue;
      const labels = { container: endpoint.containerName, network: network.name };
      for (const direction of ['in', 'out'] as const) {
        const of = addressesOf(endpoint).map(({ address }) => counted.get(address)?.[direction] ?? 0);
        this.#open.inc(
          { ...labels, direction },
          of.reduce((sum, count) => sum + count, 0),
        );
      }
    }
  }

  #setting(name: 'count' | 'max'): number {
    return Number(this.#kernel.sysctl(`net/netfilter/nf_conntrack_${name}`) ?? 0);
  }
}
