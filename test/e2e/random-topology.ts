import { HOST, HOST_SECOND, HOST6 } from './namespaces.ts';

/** Random networks and containers, the same ones for the same seed. */

export interface RandomNetwork {
  readonly name: string;
  /** Body of `POST /networks/create`. */
  readonly body: Readonly<Record<string, unknown>>;
}

export interface RandomListener {
  readonly protocol: 'tcp' | 'udp';
  readonly port: number;
  /** `own`: the container's first address. */
  readonly at: '::' | '0.0.0.0' | '127.0.0.1' | 'own';
}

export interface RandomContainer {
  readonly name: string;
  readonly networks: readonly string[];
  readonly mode: 'networks' | 'none' | 'host' | `container:${string}`;
  readonly state: 'running' | 'paused' | 'stopped';
  readonly listeners: readonly RandomListener[];
  readonly published: readonly { readonly key: string; readonly HostIp: string; readonly HostPort: string }[];
}

export interface Topology {
  readonly networks: readonly RandomNetwork[];
  readonly containers: readonly RandomContainer[];
}

/** Mulberry32: small, and good enough to choose by. */
export class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** 0 to 1, without 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  whether(probability: number): boolean {
    return this.next() < probability;
  }

  below(n: number): number {
    return Math.floor(this.next() * n);
  }

  pick<T>(list: readonly T[]): T {
    const chosen = list[this.below(list.length)];
    if (chosen === undefined) throw new RangeError('nothing to pick from');
    return chosen;
  }

  some<T>(list: readonly T[], count: number): readonly T[] {
    const rest = [...list];
    const taken: T[] = [];
    while (taken.length < count && rest.length > 0) taken.push(...rest.splice(this.below(rest.length), 1));
    return taken;
  }
}

const MODES = ['nat', 'nat', 'nat', 'routed', 'nat-unprotected'];
const PORTS = [80, 81, 82];

export function randomTopology(chance: Chance, tag: string): Topology {
  const networks = Array.from({ length: 5 }, (_, i) => randomNetwork(chance, `n${tag}${i}`));
  const containers: RandomContainer[] = [];
  for (let i = 0; i < 9; i++) {
    const name = `c${tag}${i}`;
    containers.push(randomContainer(chance, name, networks, containers, 8000 + 20 * i));
  }
  return { networks, containers };
}

function randomNetwork(chance: Chance, name: string): RandomNetwork {
  const internal = chance.whether(0.25);
  const ipv6 = chance.whether(0.6);
  const ipv4 = !ipv6 || chance.whether(0.9);
  const mode = (): string => (internal ? chance.pick(['nat', 'isolated']) : chance.pick(MODES));
  const options: Record<string, string> = {
    ...(ipv4 && { 'com.docker.network.bridge.gateway_mode_ipv4': mode() }),
    ...(ipv6 && { 'com.docker.network.bridge.gateway_mode_ipv6': mode() }),
    ...(chance.whether(0.2) && { 'com.docker.network.bridge.enable_icc': 'false' }),
    ...(chance.whether(0.1) && { 'com.docker.network.bridge.trusted_host_interfaces': 'up0' }),
  };
  return {
    name,
    body: {
      Name: name,
      Driver: 'bridge',
      Internal: internal,
      EnableIPv4: ipv4,
      EnableIPv6: ipv6,
      Options: options,
    },
  };
}

function randomContainer(
  chance: Chance,
  name: string,
  networks: readonly RandomNetwork[],
  before: readonly RandomContainer[],
  firstPort: number,
): RandomContainer {
  const hosts = before.filter(({ mode, state }) => mode === 'networks' && state === 'running');
  const roll = chance.next();
  const mode =
    roll < 0.06
      ? 'none'
      : roll < 0.12
        ? 'host'
        : roll < 0.2 && hosts.length > 0
          ? (`container:${chance.pick(hosts).name}` as const)
          : 'networks';
  const state =
    mode === 'networks' && chance.whether(0.2) ? chance.pick(['paused', 'stopped'] as const) : 'running';
  const chosen = chance.whether(0.2) ? [] : chance.some(networks, 1 + chance.below(3));
  const wanted = chosen.length === 0 ? ['bridge'] : chosen.map((network) => network.name);
  const has = (family: 'EnableIPv4' | 'EnableIPv6'): boolean =>
    chosen.every(({ body }) => body[family] === true) && (family === 'EnableIPv4' || chosen.length > 0);
  // An address of the host is published to only where the network has its family.
  const addresses = [
    ...['', '', ''],
    ...(has('EnableIPv4') ? ['127.0.0.1', HOST, HOST_SECOND] : []),
    ...(has('EnableIPv6') ? ['::1', HOST6] : []),
  ];
  return {
    name,
    mode,
    state,
    networks: mode === 'networks' ? wanted : [],
    // In a namespace that is another's the ports are that one's.
    listeners: mode === 'networks' || mode === 'none' ? randomListeners(chance) : [],
    published: mode === 'networks' ? randomPublished(chance, firstPort, addresses) : [],
  };
}

function randomListeners(chance: Chance): readonly RandomListener[] {
  const at = (): RandomListener['at'] => chance.pick(['::', '::', '::', '0.0.0.0', '127.0.0.1', 'own']);
  return [
    ...PORTS.filter(() => chance.whether(0.75)).map((port) => ({ protocol: 'tcp', port, at: at() }) as const),
    ...(chance.whether(0.6)
      ? [{ protocol: 'udp', port: 5300, at: at() === 'own' ? 'own' : '0.0.0.0' } as const]
      : []),
  ];
}

function randomPublished(
  chance: Chance,
  first: number,
  addresses: readonly string[],
): RandomContainer['published'] {
  const keys = ['80/tcp', '81/tcp', '82/tcp', '5300/udp'].filter(() => chance.whether(0.45));
  return keys.map((key, i) => ({
    key,
    HostIp: chance.pick(addresses),
    HostPort: String(first + i),
  }));
}
