import type { Chance } from './chance.ts';
import type { RandomContainer, RandomListener, RandomNetwork } from './random-topology.ts';

/** Random overlay networks over several hosts, local bridges beside them, and containers on both; the same for the same seed. */

export interface PlacedNetwork extends RandomNetwork {
  readonly overlay: boolean;
  /** Where a bridge is; an overlay network is on every host. */
  readonly host: number;
}

export interface PlacedContainer extends RandomContainer {
  readonly host: number;
}

export interface OverlayTopology {
  readonly networks: readonly PlacedNetwork[];
  readonly containers: readonly PlacedContainer[];
}

/** What listeners and questions go by. */
export const SERVICES = [
  { protocol: 'tcp', port: 80 },
  { protocol: 'tcp', port: 81 },
  { protocol: 'tcp', port: 82 },
  { protocol: 'udp', port: 5300 },
] as const;

export function overlayTopology(chance: Chance, hosts: number, count: number): OverlayTopology {
  const networks = randomNetworks(chance, hosts);
  const containers = Array.from({ length: count }, (_, i) => {
    const host = i % hosts;
    const near = networks.filter((each) => each.overlay || each.host === host);
    // No hexadecimal digits alone: they would be the beginning of somebody's id as well.
    return randomContainer(chance, `m${i}`, host, near, 8000 + 20 * i);
  });
  return {
    networks: [...networks, network(HIDDEN, 'overlay', false, 0, false)],
    containers: [...containers, ...ALWAYS],
  };
}

/** An overlay network that only the second host has a container on. */
const HIDDEN = 'hidden';

const always = (name: string, host: number, on: string): PlacedContainer => ({
  name,
  host,
  mode: 'networks',
  state: 'running',
  networks: [on],
  listeners: [{ protocol: 'tcp', port: 80, at: '::' }],
  published: [],
});

/** Two that reach each other whatever the seed, and one that the first host knows nothing of. */
const ALWAYS = [always('near', 0, 'o0'), always('far', 1, 'o0'), always('unknown', 1, HIDDEN)];

function randomNetworks(chance: Chance, hosts: number): readonly PlacedNetwork[] {
  // One of each kind is always there, a third one by chance.
  const overlays = [false, true, ...(chance.whether(0.7) ? [chance.whether(0.3)] : [])].map((internal, i) =>
    // The one that two are always on has IPv6.
    network(`o${i}`, 'overlay', internal, 0, i === 0 || chance.whether(0.5)),
  );
  const bridges = Array.from({ length: hosts }, (_, host) =>
    Array.from({ length: 1 + chance.below(2) }, (_, i) =>
      network(`b${host}${i}`, 'bridge', chance.whether(0.25), host, chance.whether(0.4)),
    ),
  ).flat();
  return [...overlays, ...bridges];
}

const network = (
  name: string,
  driver: string,
  internal: boolean,
  host: number,
  ipv6: boolean,
): PlacedNetwork => ({
  name,
  host,
  overlay: driver === 'overlay',
  body: { Name: name, Driver: driver, Internal: internal, EnableIPv6: ipv6 },
});

function randomContainer(
  chance: Chance,
  name: string,
  host: number,
  networks: readonly PlacedNetwork[],
  firstPort: number,
): PlacedContainer {
  const overlays = networks.filter(({ overlay }) => overlay);
  const first = chance.whether(0.8) ? chance.pick(overlays) : chance.pick(networks);
  const others = networks.filter((each) => each !== first);
  const chosen = chance.whether(0.45) ? [first, chance.pick(others)] : [first];
  const mode = chance.whether(0.06) ? 'none' : 'networks';
  const keys = SERVICES.filter(() => chance.whether(0.35)).map(({ port, protocol }) => `${port}/${protocol}`);
  return {
    name,
    host,
    mode,
    state: chance.whether(0.17) ? 'stopped' : 'running',
    networks: mode === 'none' ? [] : chosen.map((each) => each.name),
    listeners: SERVICES.filter(() => chance.whether(0.75)).map((service) => ({
      ...service,
      at: listensAt(chance, service.protocol),
    })),
    published:
      mode === 'none' ? [] : keys.map((key, i) => ({ key, HostIp: '', HostPort: String(firstPort + i) })),
  };
}

function listensAt(chance: Chance, protocol: 'tcp' | 'udp'): RandomListener['at'] {
  const at = chance.pick(['::', '::', '::', '0.0.0.0', '127.0.0.1', 'own'] as const);
  return protocol === 'udp' && at === '::' ? '0.0.0.0' : at;
}
