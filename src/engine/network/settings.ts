import type { EndpointSettings, NetworkSettings, PortBinding } from '@docker/node-sdk';
import { ANY_IPV4, ANY_IPV6, type Family, formatPrefix } from '../../model/address.ts';
import {
  type Addressing,
  type Endpoint,
  familiesOf,
  GATEWAY_NETWORK,
  isAddressed,
  type Network,
  type Sandbox,
} from '../../model/network.ts';
import type { ClusterNode } from '../../model/overlay.ts';
import { forEachPort } from '../../plan/port-allocator.ts';

/** An endpoint and what else inspect shows of it. */
export interface EndpointRecord extends Endpoint {
  /** `80/tcp`…, published or not. */
  readonly exposed: readonly string[];
  readonly settings: EndpointSettings;
  readonly hostname: string;
}

/** Docker's names of an endpoint on a network of the user's: container, aliases, short id, hostname (libnetwork). */
export function dnsNames(endpoint: EndpointRecord): readonly string[] {
  const names = [
    endpoint.containerName,
    ...endpoint.aliases,
    endpoint.containerId.slice(0, 12),
    endpoint.hostname,
  ];
  return [...new Set(names.filter((name) => name !== ''))];
}

/** `NetworkSettings` of `GET /containers/ID/json`; API 1.51 still has the default bridge's fields at the top. */
export function networkSettings(
  sandbox: Sandbox | undefined,
  endpoints: readonly EndpointRecord[],
  network: (id: string) => Network | undefined,
): NetworkSettings {
  const networks: Record<string, EndpointSettings> = {};
  let top: EndpointRecord | undefined;
  for (const endpoint of endpoints) {
    const of = network(endpoint.networkId);
    if (of === undefined || of.name === GATEWAY_NETWORK) continue;
    if (of.name === 'bridge') top = endpoint;
    networks[of.name] = endpointSettings(endpoint, of);
  }
  return {
    Bridge: '',
    SandboxID: sandbox?.id ?? '',
    SandboxKey: sandbox?.path ?? '',
    Ports: ports(endpoints),
    HairpinMode: false,
    LinkLocalIPv6Address: '',
    LinkLocalIPv6PrefixLen: 0,
    SecondaryIPAddresses: null,
    SecondaryIPv6Addresses: null,
    EndpointID: top?.id ?? '',
    Gateway: top?.ipv4?.gateway ?? '',
    GlobalIPv6Address: top?.ipv6?.address ?? '',
    GlobalIPv6PrefixLen: top?.ipv6?.length ?? 0,
    IPAddress: top?.ipv4?.address ?? '',
    IPPrefixLen: top?.ipv4?.length ?? 0,
    IPv6Gateway: top?.ipv6?.gateway ?? '',
    MacAddress: top?.mac ?? '',
    Networks: networks,
  } as unknown as NetworkSettings;
}

function endpointSettings(endpoint: EndpointRecord, network: Network): EndpointSettings {
  const gateway = (family: Family): string => {
    const addressing = isAddressed(network) && !network.internal ? network[family] : undefined;
    if (addressing === undefined || addressing.gatewayMode === 'isolated') return '';
    return addressing.defaultGateway ?? addressing.gateway.address;
  };
  return {
    IPAMConfig: endpoint.settings.IPAMConfig ?? null,
    Links: endpoint.settings.Links ?? null,
    Aliases: endpoint.aliases.length > 0 ? [...endpoint.aliases] : null,
    MacAddress: endpoint.mac,
    DriverOpts: endpoint.settings.DriverOpts ?? null,
    GwPriority: endpoint.settings.GwPriority ?? 0,
    NetworkID: endpoint.networkId,
    EndpointID: endpoint.id,
    Gateway: gateway('ipv4'),
    IPAddress: endpoint.ipv4?.address ?? '',
    IPPrefixLen: endpoint.ipv4?.length ?? 0,
    IPv6Gateway: gateway('ipv6'),
    GlobalIPv6Address: endpoint.ipv6?.address ?? '',
    GlobalIPv6PrefixLen: endpoint.ipv6?.length ?? 0,
    DNSNames: network.name === 'bridge' ? null : [...dnsNames(endpoint)],
  } as unknown as EndpointSettings;
}

function ports(endpoints: readonly EndpointRecord[]): Record<string, PortBinding[] | null> {
  const found: Record<string, PortBinding[] | null> = {};
  for (const endpoint of endpoints) {
    for (const key of endpoint.exposed) found[key.includes('/') ? key : `${key}/tcp`] ??= null;
    forEachPort(endpoint.published, (ip, protocol, hostPort, containerPort) => {
      const key = `${containerPort}/${protocol}`;
      const list = found[key] ?? [];
      list.push({ HostIp: ip, HostPort: String(hostPort) });
      found[key] = list;
    });
    for (const { family, protocol, ports: open } of endpoint.opened) {
      // moby's way to say that the port is open on the container's own address.
      const binding = { HostIp: family === 'ipv4' ? ANY_IPV4 : ANY_IPV6, HostPort: '0' };
      for (let port = open.first as number; port <= open.last; port++) {
        const key = `${port}/${protocol}`;
        found[key] = [...(found[key] ?? []), binding];
      }
    }
  }
  return found;
}

/** What is on all hosts of a cluster is `global`. */
export const scopeOf = (network: Network): 'local' | 'global' =>
  network.driver === 'overlay' ? 'global' : 'local';

/**
 * `GET /networks/ID` (docs.docker.com/reference/api/engine, NetworkInspect).
 * @param peers hosts with a container on an overlay network
 */
export function inspectNetwork(
  network: Network,
  endpoints: readonly EndpointRecord[] | undefined,
  peers?: readonly ClusterNode[],
): object {
  const addressed = isAddressed(network) ? network : undefined;
  const template = network.driver === 'config-only' ? network.template : undefined;
  return {
    Name: network.name,
    Id: network.id,
    Created: network.created,
    Scope: scopeOf(network),
    Driver: network.driver === 'config-only' ? 'null' : network.driver,
    EnableIPv4:
      addressed === undefined
        ? network.driver !== 'config-only' || template?.EnableIPv4 !== false
        : addressed.ipv4 !== undefined,
    EnableIPv6: addressed?.ipv6 !== undefined || template?.EnableIPv6 === true,
    IPAM: {
      Driver: 'default',
      Options: network.name === 'bridge' || addressed === undefined ? null : {},
      Config:
        addressed === undefined
          ? ((template?.IPAM as { readonly Config?: unknown } | undefined)?.Config ?? null)
          : familiesOf(addressed).map(ipamConfig),
    },
    Internal: addressed?.internal ?? false,
    Attachable: addressed?.attachable ?? false,
    Ingress: false,
    ConfigFrom: { Network: addressed?.configFrom ?? '' },
    ConfigOnly: network.driver === 'config-only',
    Containers: Object.fromEntries(
      (endpoints ?? []).map((endpoint) => [
        endpoint.containerId,
        {
          Name: endpoint.containerName,
          EndpointID: endpoint.id,
          MacAddress: endpoint.mac,
          IPv4Address: endpoint.ipv4 ? formatPrefix(endpoint.ipv4) : '',
          IPv6Address: endpoint.ipv6 ? formatPrefix(endpoint.ipv6) : '',
        },
      ]),
    ),
    Options: network.options,
    Labels: network.labels,
    ...(peers && { Peers: peers.map(({ name, address }) => ({ Name: name, IP: address })) }),
  };
}

function ipamConfig({ subnet, ipRange, gateway, defaultGateway, auxAddresses }: Addressing): object {
  return {
    Subnet: formatPrefix(subnet),
    ...(ipRange && { IPRange: formatPrefix(ipRange) }),
    Gateway: defaultGateway ?? gateway.address,
    ...(Object.keys(auxAddresses).length > 0 && { AuxiliaryAddresses: auxAddresses }),
  };
}
