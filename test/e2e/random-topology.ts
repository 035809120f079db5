import type { Chance } from './chance.ts';
import { HOST, HOST_SECOND, HOST6, OUTSIDE, OUTSIDE6 } from './namespaces.ts';

/** Random networks and containers, the same ones for the same seed. */

export interface RandomNetwork {
  readonly name: string;
  /** Body of `POST /networks/create`. */
  readonly body: Readonly<Record<string, unknown>>;
  /** Of a macvlan network: the interface that it is on. */
  readonly parent?: string;
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

/**
 * Of the second macvlan network, on the same wire: the host outside has them too, and is its gateway. Reserved for tests
 * (RFC 2544, RFC 3849).
 */
export const LAN_ROUTER = '198.18.70.1';
export const LAN_ROUTER6 = '2001:db8:70::1';
/** Addresses by which the host outside is the gateway of containers on a macvlan. It hands nothing on. */
export const ROUTERS: readonly string[] = [OUTSIDE, OUTSIDE6, LAN_ROUTER, LAN_ROUTER6];

const MODES = ['nat', 'nat', 'nat', 'routed', 'nat-unprotected'];
const PORTS = [80, 81, 82];

export function randomTopology(chance: Chance, tag: string): Topology {
  const bridges = Array.from({ length: 4 }, (_, i) => randomNetwork(chance, `n${tag}${i}`));
  const macvlans = [randomLan(chance, `l${tag}0`, NEAR), randomLan(chance, `l${tag}1`, APART)] as const;
  const networks = [...bridges, ...macvlans];
  // Whatever else there is: neighbours on a macvlan, and one that is on a bridge too.
  const given = [[macvlans[0]], [macvlans[0], chance.pick(bridges)], [macvlans[1]]];
  const containers: RandomContainer[] = [];
  for (let i = 0; i < 10; i++) {
    const name = `c${tag}${i}`;
    containers.push(
      randomContainer(chance, name, {
        networks,
        given: given[i],
        before: containers,
        firstPort: 8000 + 20 * i,
      }),
    );
  }
  return { networks, containers };
}

/** Subnets with the gateway and the range of what containers get. */
interface LanAddresses {
  readonly ipv4: readonly [subnet: string, gateway: string, range: string];
  readonly ipv6: readonly [subnet: string, gateway: string, range: string];
}
/** That of the uplink's network. */
const NEAR: LanAddresses = {
  ipv4: ['198.51.100.0/24', OUTSIDE, '198.51.100.128/28'],
  ipv6: ['2001:db8:7::/64', OUTSIDE6, '2001:db8:7::100/120'],
};
const APART: LanAddresses = {
  ipv4: ['198.18.70.0/24', LAN_ROUTER, '198.18.70.128/28'],
  ipv6: ['2001:db8:70::/64', LAN_ROUTER6, '2001:db8:70::100/120'],
};

function randomLan(chance: Chance, name: string, { ipv4, ipv6 }: LanAddresses): RandomNetwork {
  const dual = chance.whether(0.6);
  const config = [ipv4, ...(dual ? [ipv6] : [])].map(([Subnet, Gateway, IPRange]) => ({
    Subnet,
    Gateway,
    IPRange,
  }));
  return {
    name,
    parent: 'up0',
    body: {
      Name: name,
      Driver: 'macvlan',
      Internal: chance.whether(0.2),
      EnableIPv4: true,
      EnableIPv6: dual,
      IPAM: { Config: config },
      Options: {
        parent: 'up0',
        macvlan_mode: chance.pick(['bridge', 'bridge', 'bridge', 'private', 'vepa']),
      },
    },
  };
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

interface Surroundings {
  readonly networks: readonly RandomNetwork[];
  /** Those that it is to be on. */
  readonly given: readonly RandomNetwork[] | undefined;
  readonly before: readonly RandomContainer[];
  readonly firstPort: number;
}

function randomContainer(
  chance: Chance,
  name: string,
  { networks, given, before, firstPort }: Surroundings,
): RandomContainer {
  const hosts = before.filter(({ mode, state }) => mode === 'networks' && state === 'running');
  const mode = given === undefined ? randomMode(chance, hosts) : 'networks';
  const still = mode === 'networks' && chance.whether(given === undefined ? 0.2 : 0.1);
  const state = still ? chance.pick(['paused', 'stopped'] as const) : 'running';
  const chosen = given ?? (chance.whether(0.2) ? [] : chance.some(networks, 1 + chance.below(3)));
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

function randomMode(chance: Chance, hosts: readonly RandomContainer[]): RandomContainer['mode'] {
  const roll = chance.next();
  if (roll < 0.06) return 'none';
  if (roll < 0.12) return 'host';
  return roll < 0.2 && hosts.length > 0 ? `container:${chance.pick(hosts).name}` : 'networks';
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
