import type { IfName, InterfaceAddress, Ip, NetnsPath } from '../model/address.ts';
import { FAMILIES, familyOf, prefixOf } from '../model/address.ts';
import {
  type LinkFacts,
  type ListenerFacts,
  LOCAL_TABLE,
  MAIN_TABLE,
  type NamespaceFacts,
  type PolicyRule,
  type RouteFacts,
} from '../model/kernel-facts.ts';
import { addressesOf, type BridgeNetwork, type Endpoint, familiesOf } from '../model/network.ts';
import type { Protocol } from '../model/port.ts';
import { ALL_TABLES, type PlanFacts, planEndpoint, planNetwork } from '../plan/plan.ts';
import { IPV4_RULESET, IPV6_RULESET } from '../plan/ruleset.ts';
import { SPOOF_GUARD } from '../plan/spoof-guard.ts';
import { foreignTables } from './foreign/listing.ts';
import { Elements } from './packet.ts';
import type { Space, Where, World } from './world.ts';

/** Small worlds for tests: a host with an uplink, bridges as the plan makes them, sandboxes behind. */

export interface ExampleEndpoint {
  readonly network: BridgeNetwork;
  readonly endpoint: Endpoint;
  readonly listeners?: readonly ListenerFacts[];
  /** Tables of nft in the sandbox. */
  readonly firewall?: readonly string[];
}

export interface ExampleOptions {
  readonly firewall?: readonly string[];
  readonly legacy?: NamespaceFacts['legacy'];
  /** Policy rules and routes that the host has besides. */
  readonly rules?: readonly PolicyRule[];
  readonly routes?: readonly RouteFacts[];
  readonly bridgeFirewall?: boolean;
  readonly settings?: Partial<NamespaceFacts['settings']>;
  readonly listeners?: readonly ListenerFacts[];
}

export const listener = (
  protocol: Protocol,
  address: string,
  port: number,
  v6only = false,
): ListenerFacts => ({
  protocol,
  address: address as Ip,
  port,
  v6only,
  link: 0,
  program: { name: 'server', pid: 1 },
});

export const link = (index: number, name: string, more: Partial<LinkFacts> = {}): LinkFacts => ({
  index,
  name,
  kind: '',
  up: true,
  carrier: true,
  mac: '02:42:00:00:00:02',
  mtu: 1500,
  master: 0,
  peer: 0,
  isolated: false,
  ...more,
});

export const UPLINK = 2;
const HOST_ADDRESSES = ['198.51.100.1/24', '198.51.100.3/24', '2001:db8:7::1/64'].map(
  (text): InterfaceAddress => {
    const [address = '', length] = text.split('/');
    return { address: address as Ip, length: Number(length) };
  },
);

type At = InterfaceAddress & { readonly link: number };

function routesOf(
  addresses: readonly At[],
  defaults: readonly { readonly gateway: Ip; readonly link: number }[],
): readonly RouteFacts[] {
  const route = (to: InterfaceAddress | undefined, at: number, more: Partial<RouteFacts>): RouteFacts => ({
    family: 'ipv4',
    to,
    gateway: undefined,
    link: at,
    kind: 'unicast',
    source: undefined,
    metric: 0,
    table: MAIN_TABLE,
    ...more,
  });
  return [
    ...addresses.flatMap((each) => {
      const family = familyOf(each.address);
      const source = family === 'ipv4' ? each.address : undefined;
      const local = each.address.startsWith('127.')
        ? prefixOf(each)
        : { address: each.address, length: family === 'ipv4' ? 32 : 128 };
      return [
        route(local, each.link, { family, kind: 'local', source, table: LOCAL_TABLE }),
        ...(each.link === 1 ? [] : [route(prefixOf(each), each.link, { family, source })]),
      ];
    }),
    ...defaults.map(({ gateway, link: at }) => route(undefined, at, { family: familyOf(gateway), gateway })),
  ];
}

const LOOPBACK: readonly At[] = [
  { address: '127.0.0.1' as Ip, length: 8, link: 1 },
  { address: '::1' as Ip, length: 128, link: 1 },
];

const USUAL_RULES: readonly PolicyRule[] = FAMILIES.flatMap((family) =>
  [LOCAL_TABLE, MAIN_TABLE].map((table) => ({
    ...{ family, priority: table === LOCAL_TABLE ? 0 : 32766, not: false, others: [] },
    action: { kind: 'lookup', table } as const,
  })),
);

function facts(
  links: readonly LinkFacts[],
  addresses: readonly At[],
  routes: readonly RouteFacts[],
  more: Partial<NamespaceFacts>,
): NamespaceFacts {
  return {
    links: [link(1, 'lo', { mtu: 65536 }), ...links],
    addresses: [...LOOPBACK, ...addresses],
    routes,
    rules: USUAL_RULES,
    settings: {
      forwarding: { ipv4: false, ipv6: false },
      rpFilter: {},
      routeLocalnet: {},
      bridgeFirewall: { ipv4: false, ipv6: false },
      connections: { count: 0, most: 1000 },
    },
    listeners: [],
    firewall: [],
    legacy: [],
    ...more,
  };
}

const space = (where: Where, of: NamespaceFacts): Space => ({
  where,
  facts: of,
  foreign: foreignTables(of),
});

export function exampleWorld(members: readonly ExampleEndpoint[], options: ExampleOptions = {}): World {
  const { bridgeFirewall = true } = options;
  const plan: PlanFacts = { tables: ALL_TABLES, bridgeFirewall, directRouting: false };
  const networks = [...new Set(members.map(({ network }) => network))];
  const bridges = networks.map(({ bridge }, i) => link(10 + i, bridge.ifName, { kind: 'bridge' }));
  const portOf = (i: number): number => 100 + i;
  const ports = members.map(({ network, endpoint }, i) =>
    link(portOf(i), endpoint.hostIfName ?? '', {
      kind: 'veth',
      peer: portOf(i) + 100,
      master: 10 + networks.indexOf(network),
      isolated: !network.bridge.icc && !bridgeFirewall,
    }),
  );
  const addresses: readonly At[] = [
    ...HOST_ADDRESSES.map((each) => ({ ...each, link: UPLINK })),
    ...networks.flatMap((network, i) =>
      familiesOf(network).flatMap(({ gateway, onBridge }) =>
        onBridge ? [{ ...gateway, link: 10 + i }] : [],
      ),
    ),
  ];
  const names: readonly IfName[] = networks.map(({ bridge }) => bridge.ifName);
  const host = facts(
    [link(UPLINK, 'up0'), ...bridges, ...ports],
    addresses,
    [
      ...routesOf(
        [...LOOPBACK, ...addresses],
        [
          { gateway: '198.51.100.2' as Ip, link: UPLINK },
          { gateway: '2001:db8:7::2' as Ip, link: UPLINK },
        ],
      ),
      ...(options.routes ?? []),
    ],
    {
      listeners: options.listeners ?? [],
      firewall: options.firewall ?? [],
      legacy: options.legacy ?? [],
      rules: [...USUAL_RULES, ...(options.rules ?? [])].toSorted((a, b) => a.priority - b.priority),
      settings: {
        forwarding: { ipv4: true, ipv6: true },
        rpFilter: {},
        routeLocalnet: Object.fromEntries(names.map((name) => [name, true])),
        bridgeFirewall: { ipv4: bridgeFirewall, ipv6: bridgeFirewall },
        connections: { count: 0, most: 1000 },
        ...options.settings,
      },
    },
  );
  const resources = [
    ...networks.flatMap((network) => planNetwork(network, plan)),
    ...members.flatMap(({ network, endpoint }) => planEndpoint(network, endpoint, '/n' as NetnsPath, plan)),
  ].filter((resource) => resource.kind === 'element');
  return {
    host: space({ kind: 'host' }, host),
    sandboxes: members.map((member, i) => sandbox(member, portOf(i))),
    own: {
      ip: { ruleset: IPV4_RULESET, elements: new Elements('ip', resources) },
      ip6: { ruleset: IPV6_RULESET, elements: new Elements('ip6', resources) },
      bridge: { ruleset: SPOOF_GUARD, elements: new Elements('bridge', resources) },
    },
    held: new Set(),
    tunnels: [],
  };
}

function sandbox({ network, endpoint, listeners = [], firewall = [] }: ExampleEndpoint, port: number): Space {
  const own = addressesOf(endpoint).map(({ address, length }) => ({ address, length, link: port + 100 }));
  const gateways = network.internal
    ? []
    : addressesOf(endpoint).flatMap(({ gateway }) =>
        gateway === undefined ? [] : [{ gateway, link: port + 100 }],
      );
  const inner = link(port + 100, endpoint.ifName, { kind: 'veth', peer: port, mac: endpoint.mac });
  const where: Where = { kind: 'container', id: endpoint.containerId, name: endpoint.containerName };
  return exampleSpace(where, { links: [inner], addresses: own, gateways, listeners, firewall });
}

/** A container's namespace. */
export function exampleSpace(
  where: Where,
  {
    links,
    addresses,
    gateways,
    listeners,
    firewall,
  }: {
    readonly links: readonly LinkFacts[];
    readonly addresses: readonly At[];
    readonly gateways: Parameters<typeof routesOf>[1];
    readonly listeners: readonly ListenerFacts[];
    readonly firewall: readonly string[];
  },
): Space {
  const routes = routesOf([...LOOPBACK, ...addresses], gateways);
  return space(where, facts(links, addresses, routes, { listeners, firewall }));
}
