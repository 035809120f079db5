import { hostname } from 'node:os';
import type { Kernel } from '../kernel/kernel.ts';
import type { LinkCounters, Topology, TopologyCounters, TopologyUplink } from '../model/topology.ts';
import { type ContainerFacts, describeTopology, portId } from '../observe/topology.ts';
import { type Container, isOnNone, networkMode } from './container/container.ts';
import type { Containers } from './container/containers.ts';
import type { Networks } from './network/networks.ts';

/** The listing of a port costs 3 to 5 µs. */
const MOST_COUNTED_PORTS = 500;
/** A listing of links, addresses and routes; nobody looks at uplinks more often. */
const UPLINKS_FOR_MS = 5000;

/** The topology of this host as it is now; made anew at every question, from the model. */
export class TopologyReader {
  readonly #networks: Networks;
  readonly #containers: Containers;
  readonly #kernel: Kernel;
  #uplinks: { readonly at: number; readonly found: readonly TopologyUplink[] } | undefined;

  constructor(parts: { networking: Networks; containers: Containers; kernel: Kernel }) {
    this.#networks = parts.networking;
    this.#containers = parts.containers;
    this.#kernel = parts.kernel;
  }

  /** @throws KernelError */
  read(): Topology {
    const cluster = this.#networks.cluster.hosts();
    const uplinks = this.#readUplinks();
    return describeTopology({
      hosts:
        cluster.length === 0
          ? [{ id: '', name: hostname(), own: true, alive: true, uplinks }]
          : cluster.map((host) => ({ ...host, uplinks: host.own ? uplinks : [] })),
      networks: this.#networks.list(),
      containers: this.#containers.all().map(factsOf),
      endpoints: this.#networks.allEndpoints(),
      remotes: this.#networks.cluster.remotes(),
    });
  }

  /** @throws KernelError */
  counters(): TopologyCounters {
    const topology = this.read();
    const all = this.#kernel.linkCounters();
    const links: Record<string, LinkCounters> = {};
    const take = (name: string | undefined): void => {
      const found = name === undefined ? undefined : all.get(name);
      if (name !== undefined && found !== undefined) links[name] = found;
    };
    for (const { uplinks } of topology.hosts) for (const { ifName } of uplinks) take(ifName);
    for (const { device, tunnel } of topology.networks) {
      take(device);
      take(tunnel?.ifName);
    }
    for (const { hostIfName } of topology.endpoints) take(hostIfName);
    const ports = this.#connections(topology);
    return { time: Date.now(), revision: topology.revision, links, ...(ports && { ports }) };
  }

  #connections({ ports }: Topology): Record<string, number> | undefined {
    const wanted = ports.reduce((sum, { first, last }) => sum + last - first + 1, 0);
    if (wanted > MOST_COUNTED_PORTS) return undefined;
    if (wanted === 0) return {};
    const counted = this.#kernel.publishedConnections();
    return Object.fromEntries(
      ports.map(({ id, protocol, hostIp, first, last }) => {
        let sum = 0;
        for (let port = first; port <= last; port++) sum += counted.get(portId(protocol, hostIp, port)) ?? 0;
        return [id, sum];
      }),
    );
  }

  #readUplinks(): readonly TopologyUplink[] {
    const now = Date.now();
    if (this.#uplinks === undefined || now - this.#uplinks.at > UPLINKS_FOR_MS) {
      this.#uplinks = { at: now, found: this.#kernel.uplinks() };
    }
    return this.#uplinks.found;
  }
}

function factsOf(container: Container): ContainerFacts {
  const mode = networkMode(container.hostConfig);
  const shape: Pick<ContainerFacts, 'mode' | 'of'> =
    mode.kind === 'container'
      ? { mode: 'shared', of: mode.ref }
      : { mode: isOnNone(container) ? 'none' : mode.kind === 'host' ? 'host' : 'own' };
  return {
    id: container.id,
    name: container.name,
    image: container.image,
    state: container.state.status,
    labels: container.config.Labels ?? {},
    ...shape,
    exposed: Object.keys(container.config.ExposedPorts ?? {}),
    networks: Object.keys(container.networks).filter((name) => name !== 'host' && name !== 'none'),
  };
}
