import {
  type Family,
  familyOf,
  formatPrefix,
  type IfName,
  type Ip,
  ipBytes,
  isAny,
  type NetnsPath,
} from '../model/address.ts';
import {
  type AddressedNetwork,
  type Addressing,
  addressesOf,
  type BridgeNetwork,
  type Endpoint,
  familiesOf,
  isAddressed,
  type Network,
  type Sandbox,
} from '../model/network.ts';
import type { OpenPort, PortRange, PublishedPort } from '../model/port.ts';
import { rulesetResource } from './nft-text.ts';
import { type OverlayFacts, overlayMtu } from './overlay.ts';
import type {
  ElementResource,
  HostPortResource,
  InnerInterface,
  NetnsResource,
  Resource,
} from './resource.ts';
import type { FirewallMark, SetName, TableFamily } from './rule.ts';
import { ruleset } from './ruleset.ts';
import { SPOOF_GUARD } from './spoof-guard.ts';

/** What of the daemon and its host decides how the model is made into resources. */
export interface PlanFacts {
  /** Tables the engine may have (`--iptables`, `--ip6tables`). */
  readonly tables: ReadonlySet<TableFamily>;
  /**
   * The firewall sees traffic inside a bridge, and keeps endpoints apart (`icc=false`); where it does not, the bridge
   * does. Not always the bridge: with br_netfilter a translated packet to a neighbour is handed on between the ports
   * too, and would not reach a port that the neighbour publishes.
   */
  readonly bridgeFirewall: boolean;
  /** Published ports may be used by the container's own address from anywhere (`--allow-direct-routing`). */
  readonly directRouting: boolean;
  /** `--bridge-accept-fwmark` */
  readonly acceptMark?: FirewallMark;
  /** What is dropped can be told of (`Kernel.canLogDrops`). */
  readonly logDrops?: boolean;
  /** Of a host in a cluster. */
  readonly overlay?: OverlayFacts;
}

export const ALL_TABLES: ReadonlySet<TableFamily> = new Set(['ip', 'ip6', 'bridge']);

const tableOf = (family: Family): 'ip' | 'ip6' => (family === 'ipv4' ? 'ip' : 'ip6');

function element(table: TableFamily, set: SetName, key: string, value?: string): ElementResource {
  return { kind: 'element', table, set, key, ...(value === undefined ? {} : { value }) };
}

const permitted = (resources: readonly Resource[], { tables }: PlanFacts): readonly Resource[] =>
  resources.filter((resource) => !('table' in resource) || tables.has(resource.table));

/** What a bridge network is in the kernel. A bridge of the user's (`-b`) has elements, and no device of ours. */
export function planNetwork(network: BridgeNetwork, facts: PlanFacts): readonly Resource[] {
  const { bridge } = network;
  const families = familiesOf(network);
  const addresses = families.filter(({ onBridge }) => onBridge).map(({ gateway }) => gateway);
  return permitted(
    [
      ...(bridge.owned
        ? [
            {
              kind: 'bridge',
              ifName: bridge.ifName,
              mac: bridge.mac,
              mtu: bridge.mtu,
              addresses,
              ipv6: network.ipv6 !== undefined,
              routeLocalnet: true,
            } as const,
          ]
        : []),
      ...families.flatMap((addressing) => planAddressing(network, addressing)),
      ...(bridge.owned ? [taken('mac', bridge.mac)] : []),
      ...addresses.flatMap(({ address }) => guardKeys(address).map(([guarded, key]) => taken(guarded, key))),
    ],
    facts,
  );
}

function planAddressing(network: BridgeNetwork, addressing: Addressing): readonly ElementResource[] {
  const { bridge, internal } = network;
  const { subnet, gatewayMode, egress } = addressing;
  const table = tableOf(familyOf(subnet.address));
  const name = JSON.stringify(bridge.ifName);
  const prefix = formatPrefix(subnet);
  return [
    element(table, 'bridges', name),
    element(table, 'home', `${prefix} . ${name}`),
    ...(bridge.icc ? [element(table, 'icc', `${name} . ${name}`)] : []),
    ...(internal ? [element(table, 'internal', name)] : []),
    ...(!internal && egress.mode === 'masquerade' ? [element(table, 'egress_any', prefix)] : []),
    ...(!internal && egress.mode === 'snat' ? [element(table, 'egress_to', prefix, egress.to)] : []),
    ...(gatewayMode === 'routed' ? [element(table, 'routed', name)] : []),
    ...(gatewayMode === 'nat-unprotected' ? [element(table, 'unprotected', name)] : []),
    ...bridge.trustedInterfaces.map((trusted) =>
      element(table, 'trusted', `${prefix} . ${JSON.stringify(trusted)}`),
    ),
  ];
}

export function planSandbox(sandbox: Sandbox): NetnsResource {
  return { kind: 'netns', path: sandbox.path };
}

/**
 * An endpoint's interface; on a bridge network its published ports, the host ports they hold, and what it may send with.
 * @param siblings the other endpoints of the sandbox
 */
export function planEndpoint(
  network: AddressedNetwork,
  endpoint: Endpoint,
  netns: NetnsPath,
  facts: PlanFacts,
  siblings: readonly Endpoint[] = [],
): readonly Resource[] {
  const inner = planInner(endpoint, netns);
  if (network.driver === 'macvlan') {
    const { parent, mode, mtu } = network.macvlan;
    return [{ kind: 'macvlan', parent, mode, ...inner, ...(mtu !== undefined && { mtu }) }];
  }
  const { hostIfName } = endpoint;
  if (hostIfName === undefined) throw new Error(`endpoint ${endpoint.id} has no port of the bridge`);
  if (network.driver === 'overlay') {
    if (facts.overlay === undefined) return [];
    const { bridge } = network.overlay;
    const veth = {
      kind: 'veth',
      hostIfName,
      bridge,
      mtu: overlayMtu(network, facts.overlay),
      ...inner,
    } as const;
    return permitted([veth, ...planIdentity(hostIfName, endpoint, siblings)], facts);
  }
  const { bridge } = network;
  return permitted(
    [
      ...endpoint.published.flatMap(planHostPorts),
      {
        kind: 'veth',
        hostIfName,
        bridge: bridge.ifName,
        mtu: bridge.mtu,
        ...inner,
        ...(bridge.icc || facts.bridgeFirewall ? {} : { isolated: true }),
      },
      ...addressesOf(endpoint).flatMap(({ address }) => planAddress(network, endpoint, address, facts)),
      ...planIdentity(hostIfName, endpoint, siblings),
    ],
    facts,
  );
}

function planInner(endpoint: Endpoint, netns: NetnsPath): InnerInterface {
  const { ifName, mac, ipv4, ipv6, linkLocal, sysctls } = endpoint;
  return {
    netns,
    ifName,
    mac,
    addresses: [...addressesOf(endpoint), ...linkLocal].map(({ address, length }) => ({ address, length })),
    ipv6: ipv6 !== undefined || linkLocal.some(({ address }) => familyOf(address) === 'ipv6'),
    ...(ipv4?.gateway && { gateway: ipv4.gateway }),
    ...(ipv6?.gateway && { gateway6: ipv6.gateway }),
    ...(Object.keys(sysctls).length > 0 && { sysctls }),
  };
}

/** All endpoints of one sandbox. */
export function planEndpoints(
  endpoints: readonly Endpoint[],
  networkOf: (id: string) => AddressedNetwork | undefined,
  netns: NetnsPath,
  facts: PlanFacts,
): readonly Resource[] {
  return endpoints.flatMap((endpoint) => {
    const network = networkOf(endpoint.networkId);
    const siblings = endpoints.filter((other) => other !== endpoint);
    return network === undefined ? [] : planEndpoint(network, endpoint, netns, facts, siblings);
  });
}

function planAddress(
  network: BridgeNetwork,
  endpoint: Endpoint,
  address: Ip,
  facts: PlanFacts,
): readonly ElementResource[] {
  const family = familyOf(address);
  const table = tableOf(family);
  const mode = network[family]?.gatewayMode;
  const guarded = !facts.directRouting && (mode === 'nat' || mode === 'isolated');
  const published = endpoint.published.filter(({ hostIp }) => familyOf(hostIp) === family);
  const direct = facts.directRouting || network.bridge.trustedInterfaces.length > 0;
  const open = [
    ...endpoint.opened.filter((port) => port.family === family),
    ...(direct && mode === 'nat'
      ? published.map(({ protocol, containerPorts }) => ({ protocol, ports: containerPorts }))
      : []),
  ];
  return [
    ...(guarded ? [element(table, 'endpoints', address)] : []),
    ...published.flatMap((port) => planPublished(table, address, port)),
    ...openElements(table, address, open),
  ];
}

function openElements(
  table: TableFamily,
  address: Ip,
  open: readonly Pick<OpenPort, 'protocol' | 'ports'>[],
): readonly ElementResource[] {
  const keys = open.flatMap(({ protocol, ports }) =>
    numbers(ports).map((port) => `${address} . ${protocol} . ${port}`),
  );
  return [...new Set(keys)].map((key) => element(table, 'open', key));
}

/** A container may answer on one network with its address of another: that is where its default route leads. */
function planIdentity(
  hostIfName: IfName,
  endpoint: Endpoint,
  siblings: readonly Endpoint[],
): readonly ElementResource[] {
  const keysOf = (of: Endpoint) =>
    [...addressesOf(of), ...of.linkLocal].flatMap(({ address }) => guardKeys(address));
  const own = keysOf(endpoint);
  const port = JSON.stringify(hostIfName);
  const mac = ['mac', endpoint.mac] as const;
  return [
    ...[mac, ...own].map(([guarded, key]) => taken(guarded, key)),
    ...[mac, ...own, ...siblings.flatMap(keysOf)].map(([guarded, key]) =>
      element('bridge', `holds_${guarded}`, `${port} . ${key}`),
    ),
  ];
}

const taken = (guarded: 'mac' | 'ip' | 'ip6' | 'nd', key: string): ElementResource =>
  element('bridge', `taken_${guarded}`, key);

function guardKeys(address: Ip): readonly (readonly [guarded: 'ip' | 'ip6' | 'nd', key: string])[] {
  if (familyOf(address) === 'ipv4') return [['ip', address]];
  return [
    ['ip6', address],
    ['nd', `0x${ipBytes(address).toString('hex')}`],
  ];
}

/** Exact elements, one a port: nft maps a range only to the same ports, and an interval costs every later change. */
function planPublished(
  table: TableFamily,
  address: Ip,
  { hostIp, protocol, hostPorts, containerPorts }: PublishedPort,
): readonly ElementResource[] {
  return numbers(hostPorts).map((host, i) => {
    const to = `${address} . ${containerPorts.first + i}`;
    return isAny(hostIp)
      ? element(table, 'pub_any', `${protocol} . ${host}`, to)
      : element(table, 'pub_addr', `${hostIp} . ${protocol} . ${host}`, to);
  });
}

function planHostPorts({ protocol, hostIp, hostPorts }: PublishedPort): readonly HostPortResource[] {
  return numbers(hostPorts).map((port) => ({ kind: 'host-port', protocol, address: hostIp, port }));
}

const numbers = ({ first, last }: PortRange): readonly number[] =>
  Array.from({ length: last - first + 1 }, (_, i) => first + i);

export interface Model {
  readonly networks: readonly Network[];
  readonly sandboxes: readonly Sandbox[];
  readonly endpoints: readonly Endpoint[];
}

function rulesets({ acceptMark, logDrops = false }: PlanFacts): readonly Resource[] {
  return [ruleset('ip', acceptMark), ruleset('ip6', acceptMark), SPOOF_GUARD].map((each) =>
    rulesetResource(each, logDrops),
  );
}

/** Everything that must be in the kernel, in an order in which it can be made. */
export function plan(model: Model, facts: PlanFacts): readonly Resource[] {
  const networks = new Map(model.networks.filter(isAddressed).map((network) => [network.id, network]));
  const sandboxes = new Map<string, Endpoint[]>();
  for (const endpoint of model.endpoints) {
    const list = sandboxes.get(endpoint.sandboxId);
    if (list === undefined) sandboxes.set(endpoint.sandboxId, [endpoint]);
    else list.push(endpoint);
  }
  return [
    ...permitted(rulesets(facts), facts),
    ...[...networks.values()].flatMap((network) =>
      network.driver === 'bridge' ? planNetwork(network, facts) : [],
    ),
    ...model.sandboxes.map(planSandbox),
    ...model.sandboxes.flatMap(({ id, path }) =>
      planEndpoints(sandboxes.get(id) ?? [], (networkId) => networks.get(networkId), path, facts),
    ),
  ];
}
