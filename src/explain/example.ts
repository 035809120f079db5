import { type IfName, type Ipv4, ipv4ToNumber, type Mac, numberToIpv4 } from '../model/address.ts';
import type { BridgeNetwork, BridgeSettings, Endpoint } from '../model/network.ts';
import type { Port, PortRange, PublishedPort } from '../model/port.ts';

/** Small models for tests and goldens. */
export function network(given: {
  readonly name: string;
  readonly subnet: string;
  readonly bridge: string;
  readonly icc?: boolean;
  readonly internal?: boolean;
  readonly egress?: BridgeSettings['egress'];
  readonly owned?: boolean;
}): BridgeNetwork {
  const subnet = given.subnet as Ipv4;
  return {
    id: given.name,
    name: given.name,
    created: '2026-01-01T00:00:00Z',
    labels: {},
    options: {},
    driver: 'bridge',
    internal: given.internal ?? false,
    attachable: false,
    subnet: { address: subnet, length: 16 },
    gateway: { address: numberToIpv4(ipv4ToNumber(subnet) + 1), length: 16 },
    auxAddresses: {},
    bridge: {
      ifName: given.bridge as IfName,
      owned: given.owned ?? true,
      mac: '02:42:00:00:00:01' as Mac,
      mtu: 1500,
      icc: given.icc ?? true,
      egress: given.egress ?? { mode: 'masquerade' },
      hostBinding: '0.0.0.0' as Ipv4,
    },
  };
}

export function endpoint(
  of: BridgeNetwork,
  name: string,
  address: string,
  published: readonly PublishedPort[],
): Endpoint {
  return {
    id: `endpoint-of-${name}`,
    networkId: of.id,
    sandboxId: `sandbox-of-${name}`,
    containerId: `container-${name}`,
    containerName: name,
    mac: '02:42:00:00:00:02' as Mac,
    address: { address: address as Ipv4, length: of.subnet.length },
    hostIfName: `veth-${name}` as IfName,
    ifName: 'eth0' as IfName,
    gateway: of.gateway.address,
    aliases: [],
    published,
  };
}

export const ports = (first: number, last = first): PortRange => ({
  first: first as Port,
  last: last as Port,
});

export const port = (hostIp: string, host: number, container: number, count = 1): PublishedPort => ({
  hostIp: hostIp as Ipv4,
  protocol: 'tcp',
  hostPorts: ports(host, host + count - 1),
  containerPorts: ports(container, container + count - 1),
});
