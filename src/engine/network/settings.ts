import type { EndpointSettings, NetworkSettings, PortBinding } from '@docker/node-sdk';
import { formatPrefix } from '../../model/address.ts';
import type { Endpoint, Network, Sandbox } from '../../model/network.ts';
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
    if (of === undefined) continue;
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
    Gateway: top?.gateway ?? '',
    GlobalIPv6Address: '',
    GlobalIPv6PrefixLen: 0,
    IPAddress: top?.address.address ?? '',
    IPPrefixLen: top?.address.length ?? 0,
    IPv6Gateway: '',
    MacAddress: top?.mac ?? '',
    Networks: networks,
  } as unknown as NetworkSettings;
}

function endpointSettings(endpoint: EndpointRecord, network: Network): EndpointSettings {
  const gateway =
    network.driver === 'bridge' && !network.internal
      ? (network.defaultGateway ?? network.gateway.address)
      : '';
  return {
    IPAMConfig: endpoint.settings.IPAMConfig ?? null,
    Links: endpoint.settings.Links ?? null,
    Aliases: endpoint.aliases.length > 0 ? [...endpoint.aliases] : null,
    MacAddress: endpoint.mac,
    DriverOpts: endpoint.settings.DriverOpts ?? null,
    GwPriority: endpoint.settings.GwPriority ?? 0,
    NetworkID: endpoint.networkId,
    EndpointID: endpoint.id,
    Gateway: gateway,
    IPAddress: endpoint.address.address,
    IPPrefixLen: endpoint.address.length,
    IPv6Gateway: '',
    GlobalIPv6Address: '',
    GlobalIPv6PrefixLen: 0,
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
  }
  return found;
}

/** `GET /networks/ID` (docs.docker.com/reference/api/engine, NetworkInspect). */
export function inspectNetwork(network: Network, endpoints: readonly EndpointRecord[] | undefined): object {
  const bridge = network.driver === 'bridge' ? network : undefined;
  const aux = Object.entries(bridge?.auxAddresses ?? {});
  return {
    Name: network.name,
    Id: network.id,
    Created: network.created,
    Scope: 'local',
    Driver: network.driver,
    EnableIPv4: true,
    EnableIPv6: false,
    IPAM: {
      Driver: 'default',
      Options: network.name === 'bridge' || bridge === undefined ? null : {},
      Config:
        bridge === undefined
          ? null
          : [
              {
                Subnet: formatPrefix(bridge.subnet),
                ...(bridge.ipRange && { IPRange: formatPrefix(bridge.ipRange) }),
                Gateway: bridge.gateway.address,
                ...(aux.length > 0 && { AuxiliaryAddresses: Object.fromEntries(aux) }),
              },
            ],
    },
    Internal: bridge?.internal ?? false,
    Attachable: bridge?.attachable ?? false,
    Ingress: false,
    ConfigFrom: { Network: '' },
    ConfigOnly: false,
    Containers: Object.fromEntries(
      (endpoints ?? []).map((endpoint) => [
        endpoint.containerId,
        {
          Name: endpoint.containerName,
          EndpointID: endpoint.id,
          MacAddress: endpoint.mac,
          IPv4Address: formatPrefix(endpoint.address),
          IPv6Address: '',
        },
      ]),
    ),
    Options: network.options,
    Labels: network.labels,
  };
}
