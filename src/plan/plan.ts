import { formatPrefix, type NetnsPath } from '../model/address.ts';
import type { BridgeNetwork, Endpoint, Network, Sandbox } from '../model/network.ts';
import type { PublishedPort } from '../model/port.ts';
import { rulesetResource } from './nft-text.ts';
import type { ElementResource, HostPortResource, NetnsResource, Resource } from './resource.ts';
import type { SetName } from './rule.ts';
import { RULESET } from './ruleset.ts';

export const ruleset = rulesetResource(RULESET);

const element = (set: SetName, key: string, value?: string): ElementResource => ({
  kind: 'element',
  set,
  key,
  ...(value === undefined ? {} : { value }),
});

/** What a bridge network is in the kernel. A bridge of the user's (`-b`) has elements, and no device of ours. */
export function planNetwork(network: BridgeNetwork): readonly Resource[] {
  const { bridge, gateway, subnet, internal } = network;
  const name = JSON.stringify(bridge.ifName);
  const prefix = formatPrefix(subnet);
  return [
    ...(bridge.owned
      ? [
          {
            kind: 'bridge',
            ifName: bridge.ifName,
            mac: bridge.mac,
            mtu: bridge.mtu,
            addresses: [gateway],
            routeLocalnet: true,
          } as const,
        ]
      : []),
    element('bridges', name),
    element('home', `${prefix} . ${name}`),
    ...(bridge.icc ? [element('icc', `${name} . ${name}`)] : []),
    ...(internal ? [element('internal', name)] : []),
    ...(!internal && bridge.egress.mode === 'masquerade' ? [element('egress_any', prefix)] : []),
    ...(!internal && bridge.egress.mode === 'snat' ? [element('egress_to', prefix, bridge.egress.to)] : []),
  ];
}

export function planSandbox(sandbox: Sandbox): NetnsResource {
  return { kind: 'netns', path: sandbox.path };
}

/**
 * An endpoint's veth pair, its published ports and the host ports they hold.
 * @param bridgeFirewall the firewall sees traffic inside a bridge, and keeps endpoints apart (`icc=false`); where it
 * does not, the bridge does. Not always the bridge: with br_netfilter a translated packet to a neighbour is handed on
 * between the ports too, and would not reach a port that the neighbour publishes.
 */
export function planEndpoint(
  network: BridgeNetwork,
  endpoint: Endpoint,
  netns: NetnsPath,
  bridgeFirewall = true,
): readonly Resource[] {
  return [
    ...endpoint.published.flatMap(planHostPorts),
    {
      kind: 'veth',
      hostIfName: endpoint.hostIfName,
      bridge: network.bridge.ifName,
      netns,
      ifName: endpoint.ifName,
      mac: endpoint.mac,
      mtu: network.bridge.mtu,
      address: endpoint.address,
      ...(endpoint.gateway === undefined ? {} : { gateway: endpoint.gateway }),
      ...(network.bridge.icc || bridgeFirewall ? {} : { isolated: true }),
    },
    element('endpoints', endpoint.address.address),
    ...endpoint.published.flatMap((port) => planPublished(endpoint, port)),
  ];
}

/** Exact elements, one a port: nft maps a range only to the same ports, and an interval costs every later change. */
function planPublished(endpoint: Endpoint, published: PublishedPort): readonly ElementResource[] {
  return eachPort(published, (host, container) => {
    const to = `${endpoint.address.address} . ${container}`;
    return published.hostIp === '0.0.0.0'
      ? element('pub_any', `${published.protocol} . ${host}`, to)
      : element('pub_addr', `${published.hostIp} . ${published.protocol} . ${host}`, to);
  });
}

function planHostPorts(published: PublishedPort): readonly HostPortResource[] {
  return eachPort(published, (port) => ({
    kind: 'host-port',
    protocol: published.protocol,
    address: published.hostIp,
    port,
  }));
}

function eachPort<T>(published: PublishedPort, make: (hostPort: number, containerPort: number) => T): T[] {
  const { first, last } = published.hostPorts;
  return Array.from({ length: last - first + 1 }, (_, i) =>
    make(first + i, published.containerPorts.first + i),
  );
}

export interface Model {
  readonly networks: readonly Network[];
  readonly sandboxes: readonly Sandbox[];
  readonly endpoints: readonly Endpoint[];
  readonly bridgeFirewall: boolean;
}

/** Everything that must be in the kernel, in an order in which it can be made. */
export function plan(model: Model): readonly Resource[] {
  const bridges = new Map(
    model.networks.flatMap((network) =>
      network.driver === 'bridge' ? [[network.id, network] as const] : [],
    ),
  );
  const paths = new Map(model.sandboxes.map((sandbox) => [sandbox.id, sandbox.path]));
  return [
    ruleset,
    ...[...bridges.values()].flatMap(planNetwork),
    ...model.sandboxes.map(planSandbox),
    ...model.endpoints.flatMap((endpoint) => {
      const network = bridges.get(endpoint.networkId);
      const path = paths.get(endpoint.sandboxId);
      return network === undefined || path === undefined
        ? []
        : planEndpoint(network, endpoint, path, model.bridgeFirewall);
    }),
  ];
}
