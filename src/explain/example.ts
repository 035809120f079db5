import {
  type IfName,
  type Ip,
  type Ipv4,
  type Ipv6,
  type Mac,
  type Prefix,
  parsePrefix,
} from '../model/address.ts';
import type { Addressing, BridgeNetwork, BridgeSettings, Endpoint } from '../model/network.ts';
import type { Port, PortRange, PublishedPort } from '../model/port.ts';
import { firstAddress } from '../plan/subnet-pool.ts';

/** Small models for tests and goldens. */
export function network(given: {
  readonly name: string;
  readonly subnet: string;
  /** With it the network has both families. */
  readonly subnet6?: string;
  readonly bridge: string;
  readonly icc?: boolean;
  readonly internal?: boolean;
  readonly egress?: Addressing<Ipv4>['egress'];
  readonly owned?: boolean;
  readonly gatewayMode?: Addressing['gatewayMode'];
  readonly settings?: Partial<BridgeSettings>;
}): BridgeNetwork {
  const addressing = <A extends Ip>(text: string): Addressing<A> => {
    const subnet = parsePrefix(text.includes('/') ? text : `${text}/16`) as Prefix<A>;
    const gatewayMode = given.gatewayMode ?? 'nat';
    const routed = gatewayMode === 'routed' || gatewayMode === 'isolated';
    return {
      subnet,
      gateway: { address: firstAddress(subnet), length: subnet.length },
      onBridge: gatewayMode !== 'isolated',
      auxAddresses: {},
      gatewayMode,
      egress: routed
        ? { mode: 'none' }
        : ((given.egress ?? { mode: 'masquerade' }) as Addressing<A>['egress']),
    };
  };
  return {
    id: given.name,
    name: given.name,
    created: '2026-01-01T00:00:00Z',
    labels: {},
    options: {},
    driver: 'bridge',
    internal: given.internal ?? false,
    attachable: false,
    ipv4: addressing<Ipv4>(given.subnet),
    ...(given.subnet6 && { ipv6: addressing<Ipv6>(given.subnet6) }),
    bridge: {
      ifName: given.bridge as IfName,
      owned: given.owned ?? true,
      mac: '02:42:00:00:00:01' as Mac,
      mtu: 1500,
      mtuOfUplink: false,
      icc: given.icc ?? true,
      trustedInterfaces: [],
      ifPrefix: 'eth',
      ...given.settings,
    },
  };
}

export function endpoint(
  of: BridgeNetwork,
  name: string,
  address: string,
  published: readonly PublishedPort[],
  address6?: string,
): Endpoint {
  const { ipv4, ipv6 } = of;
  return {
    id: `endpoint-of-${name}`,
    networkId: of.id,
    sandboxId: `sandbox-of-${name}`,
    containerId: `container-${name}`,
    containerName: name,
    mac: '02:42:00:00:00:02' as Mac,
    ...(ipv4 && {
      ipv4: { address: address as Ipv4, length: ipv4.subnet.length, gateway: ipv4.gateway.address },
    }),
    ...(ipv6 &&
      address6 && {
        ipv6: { address: address6 as Ipv6, length: ipv6.subnet.length, gateway: ipv6.gateway.address },
      }),
    linkLocal: [],
    sysctls: {},
    hostIfName: `veth-${name}` as IfName,
    ifName: 'eth0' as IfName,
    aliases: [],
    published,
    opened: [],
  };
}

export const ports = (first: number, last = first): PortRange => ({
  first: first as Port,
  last: last as Port,
});

export const port = (hostIp: string, host: number, container: number, count = 1): PublishedPort => ({
  hostIp: hostIp as Ip,
  protocol: 'tcp',
  hostPorts: ports(host, host + count - 1),
  containerPorts: ports(container, container + count - 1),
});
