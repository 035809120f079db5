import { createHash } from 'node:crypto';
import { formatPrefix } from '../model/address.ts';
import { addressesOf, type Endpoint, familiesOf, isAddressed, type Network } from '../model/network.ts';
import type { RemoteEndpoint } from '../model/overlay.ts';
import type {
  Topology,
  TopologyContainer,
  TopologyEndpoint,
  TopologyFamily,
  TopologyHost,
  TopologyNetwork,
  TopologyPort,
} from '../model/topology.ts';

/** What a topology is made from, as the engine has it. */
export interface TopologySources {
  readonly hosts: readonly TopologyHost[];
  readonly networks: readonly Network[];
  readonly containers: readonly ContainerFacts[];
  readonly endpoints: readonly Endpoint[];
  /** Of other hosts, on overlay networks that this host has a part in. */
  readonly remotes: readonly RemoteEndpoint[];
}

export interface ContainerFacts {
  readonly id: string;
  readonly name: string;
  readonly image: string;
  readonly state: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly mode: TopologyContainer['mode'];
  readonly of?: string;
  readonly exposed: readonly string[];
  readonly networks: readonly string[];
}

const PROJECT = 'com.docker.compose.project';
const SERVICE = 'com.docker.compose.service';

export function describeTopology(sources: TopologySources): Topology {
  const own = sources.hosts.find((host) => host.own)?.id ?? '';
  const names = new Map(sources.networks.map(({ id, name }) => [id, name]));
  const structure = {
    hosts: [...sources.hosts].sort((a, b) => Number(b.own) - Number(a.own) || a.name.localeCompare(b.name)),
    networks: sources.networks.flatMap(networkOf).sort((a, b) => a.name.localeCompare(b.name)),
    containers: [
      ...sources.containers.map((container) => containerOf(container, own)),
      ...remoteContainers(sources.remotes, names),
    ],
    endpoints: [...sources.endpoints.map(endpointOf), ...sources.remotes.map(remoteEndpointOf)],
    ports: sources.endpoints.flatMap(portsOf),
  };
  const revision = createHash('sha1').update(JSON.stringify(structure)).digest('hex').slice(0, 16);
  return { revision, ...structure };
}

function networkOf(network: Network): readonly TopologyNetwork[] {
  if (!isAddressed(network)) return [];
  const project = network.labels[PROJECT];
  return [
    {
      id: network.id,
      name: network.name,
      driver: network.driver,
      ...(project !== undefined && { project }),
      internal: network.internal,
      ...deviceOf(network),
      families: familiesOf(network).map((family): TopologyFamily => {
        const { egress } = family;
        return {
          subnet: formatPrefix(family.subnet),
          gateway: family.defaultGateway ?? family.gateway.address,
          onBridge: family.onBridge && network.driver === 'bridge',
          gatewayMode: family.gatewayMode,
          egress: network.driver === 'bridge' && !network.internal ? egress.mode : 'none',
          ...(egress.mode === 'snat' && { to: egress.to }),
        };
      }),
      options: network.options,
    },
  ];
}

function deviceOf(
  network: Extract<Network, { ipv4?: unknown }>,
): Pick<TopologyNetwork, 'device' | 'mtu' | 'icc' | 'tunnel'> {
  switch (network.driver) {
    case 'bridge': {
      const { ifName, mtu, icc } = network.bridge;
      return { device: ifName, mtu, icc };
    }
    case 'macvlan': {
      const { parent, mtu, mode } = network.macvlan;
      return { device: parent, ...(mtu !== undefined && { mtu }), icc: mode !== 'private' };
    }
    case 'overlay': {
      const { bridge, vxlan, vni, mtu } = network.overlay;
      return {
        device: bridge,
        ...(mtu !== undefined && { mtu }),
        icc: true,
        tunnel: { ifName: vxlan, vni },
      };
    }
  }
}

function containerOf(facts: ContainerFacts, host: string): TopologyContainer {
  const { labels, ...rest } = facts;
  const project = labels[PROJECT];
  const service = labels[SERVICE];
  return {
    ...rest,
    host,
    ...(project !== undefined && { project }),
    ...(service !== undefined && { service }),
  };
}

function remoteContainers(
  remotes: readonly RemoteEndpoint[],
  names: ReadonlyMap<string, string>,
): readonly TopologyContainer[] {
  const byId = new Map<string, TopologyContainer>();
  for (const { containerId, containerName, nodeId, networkId } of remotes) {
    byId.set(containerId, {
      id: containerId,
      name: containerName,
      image: '',
      state: 'running',
      host: nodeId,
      mode: 'own',
      exposed: [],
      networks: [...(byId.get(containerId)?.networks ?? []), names.get(networkId) ?? networkId],
    });
  }
  return [...byId.values()];
}

function endpointOf(endpoint: Endpoint): TopologyEndpoint {
  return {
    id: endpoint.id,
    network: endpoint.networkId,
    container: endpoint.containerId,
    ...(endpoint.hostIfName !== undefined && { hostIfName: endpoint.hostIfName }),
    ifName: endpoint.ifName,
    addresses: addressesOf(endpoint).map(formatPrefix),
    mac: endpoint.mac,
    gateway: addressesOf(endpoint).some(({ gateway }) => gateway !== undefined),
  };
}

function remoteEndpointOf({ id, networkId, containerId, mac, ipv4, ipv6 }: RemoteEndpoint): TopologyEndpoint {
  return {
    id,
    network: networkId,
    container: containerId,
    addresses: [ipv4, ipv6].filter((address) => address !== undefined),
    mac,
    gateway: false,
  };
}

function portsOf(endpoint: Endpoint): readonly TopologyPort[] {
  return endpoint.published.flatMap(({ hostIp, protocol, hostPorts, containerPorts }): TopologyPort[] => {
    const target = hostIp.includes(':') ? endpoint.ipv6 : endpoint.ipv4;
    if (target === undefined) return [];
    return [
      {
        id: portId(protocol, hostIp, hostPorts.first),
        protocol,
        hostIp,
        first: hostPorts.first,
        last: hostPorts.last,
        container: endpoint.containerId,
        endpoint: endpoint.id,
        address: target.address,
        containerPort: containerPorts.first,
      },
    ];
  });
}

export const portId = (protocol: string, hostIp: string, port: number): string =>
  `${protocol} ${hostIp} ${port}`;
