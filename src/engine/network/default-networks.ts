import { randomBytes } from 'node:crypto';
import type { Kernel } from '../../kernel/kernel.ts';
import {
  ANY_IPV4,
  ANY_IPV6,
  contains,
  type Family,
  familyOf,
  formatPrefix,
  type IfName,
  type InterfaceAddress,
  type Ip,
  type Ipv4,
  type Ipv6,
  type Mac,
  type Prefix,
  parseIfName,
  prefixOf,
} from '../../model/address.ts';
import { system } from '../../model/errors.ts';
import type { Addressing, BridgeNetwork, HostNetwork, Network, NullNetwork } from '../../model/network.ts';
import { chooseSubnet, firstAddress } from '../../plan/subnet-pool.ts';
import type { NetworkConfig } from '../config.ts';

const DEFAULT_BRIDGE = 'docker0' as IfName;

export const newId = (): string => randomBytes(32).toString('hex');

/** Locally administered, unicast (IEEE 802c): random, as Docker's since 28. */
export function randomMac(): Mac {
  const bytes = randomBytes(6);
  bytes[0] = ((bytes[0] ?? 0) & 0xfe) | 0x02;
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':') as Mac;
}

/**
 * An endpoint's MAC follows from its IPv4 address, as Docker's did before 28: the next container with that address answers
 * at once, because no ARP entry of the host or of a neighbour is stale.
 */
export function endpointMac(address: Ipv4 | undefined): Mac {
  if (address === undefined) return randomMac();
  const octets = address.split('.').map((octet) => Number(octet).toString(16).padStart(2, '0'));
  return ['02', '42', ...octets].join(':') as Mac;
}

type Sources = Parameters<typeof chooseSubnet>[0];

/**
 * The network `bridge` as the daemon's options want it now; identity, MAC and subnets chosen before stay.
 * @throws EngineError when `-b` names no bridge, or the options contradict each other
 */
export function defaultBridge(
  config: NetworkConfig,
  kernel: Kernel,
  sources: Sources,
  before: BridgeNetwork | undefined,
  inUse: readonly Prefix[],
): BridgeNetwork | undefined {
  if (config.bridge === 'none') return undefined;
  if (config.bridge !== undefined && config.bip !== undefined) {
    throw system('You specified -b & --bip, mutually exclusive options. Please specify only one');
  }
  const foreign = config.bridge === undefined ? undefined : foreignBridge(config.bridge, kernel);
  const ours = before?.bridge.owned && before.bridge.ifName === DEFAULT_BRIDGE ? before : undefined;
  const automatic = <A extends Ip>(any: A, known: Prefix<A> | undefined): Prefix<A> => {
    if (known !== undefined) return known;
    const subnet = chooseSubnet(sources, [...inUse, ...kernel.host().usedPrefixes], any);
    if (subnet === undefined) throw system('all predefined address pools have been fully subnetted');
    return subnet;
  };
  const ipv4 = addressing(foreign?.ipv4 ?? config.bip ?? gatewayOf(automatic(ANY_IPV4, ours?.ipv4?.subnet)), {
    range: config.fixedCidr,
    gateway: config.defaultGateway,
    ipMasq: config.ipMasq,
    suffix: '',
  });
  const ipv6 = config.ipv6
    ? addressing(
        foreign?.ipv6 ??
          config.bip6 ??
          gatewayOf(config.fixedCidrV6 ?? automatic(ANY_IPV6, ours?.ipv6?.subnet)),
        { range: config.fixedCidrV6, gateway: config.defaultGatewayV6, ipMasq: config.ipMasq, suffix: '-v6' },
      )
    : undefined;
  const ifName = config.bridge ?? DEFAULT_BRIDGE;
  const mtu = config.mtu ?? foreign?.mtu ?? kernel.host().uplinkMtu;
  return {
    id: before?.id ?? newId(),
    name: 'bridge',
    created: before?.created ?? new Date().toISOString(),
    labels: {},
    options: {
      'com.docker.network.bridge.default_bridge': 'true',
      'com.docker.network.bridge.enable_icc': String(config.icc),
      'com.docker.network.bridge.enable_ip_masquerade': String(config.ipMasq),
      'com.docker.network.bridge.host_binding_ipv4': config.ip,
      'com.docker.network.bridge.name': ifName,
      'com.docker.network.driver.mtu': String(mtu),
    },
    driver: 'bridge',
    internal: false,
    attachable: false,
    ipv4,
    ...(ipv6 && { ipv6 }),
    bridge: {
      ifName,
      owned: foreign === undefined,
      mac: before?.bridge.mac ?? randomMac(),
      mtu,
      mtuOfUplink: config.mtu === undefined && foreign === undefined,
      icc: config.icc,
      hostBinding: config.ip,
      trustedInterfaces: [],
      ifPrefix: 'eth',
    },
  };
}

/** @throws EngineError SYSTEM when range or gateway are not of the subnet */
function addressing<A extends Ip>(
  gateway: InterfaceAddress<A>,
  given: {
    readonly range: Prefix<A> | undefined;
    readonly gateway: A | undefined;
    readonly ipMasq: boolean;
    readonly suffix: '' | '-v6';
  },
): Addressing<A> {
  const subnet = prefixOf(gateway);
  const { range, gateway: defaultGateway, ipMasq, suffix } = given;
  if (range !== undefined && !(range.length >= subnet.length && contains(subnet, range.address))) {
    throw system(
      `failed to create network bridge: fixed-cidr${suffix} ${formatPrefix(range)} is not in ${formatPrefix(subnet)}`,
    );
  }
  if (defaultGateway !== undefined && !contains(subnet, defaultGateway)) {
    throw system(`default gateway ${defaultGateway} must be part of the network ${formatPrefix(subnet)}`);
  }
  return {
    subnet,
    gateway,
    onBridge: true,
    ...(defaultGateway && { defaultGateway }),
    ...(range && range.length > subnet.length && { ipRange: range }),
    auxAddresses: {},
    gatewayMode: 'nat',
    egress: ipMasq ? { mode: 'masquerade' } : { mode: 'none' },
  };
}

const gatewayOf = <A extends Ip>(subnet: Prefix<A>): InterfaceAddress<A> => ({
  address: firstAddress(subnet),
  length: subnet.length,
});

interface ForeignBridge {
  readonly ipv4: InterfaceAddress<Ipv4>;
  readonly ipv6: InterfaceAddress<Ipv6> | undefined;
  readonly mtu: number;
}

function foreignBridge(name: IfName, kernel: Kernel): ForeignBridge {
  const found = kernel.foreignBridge(name);
  if (found === undefined)
    throw system(
      `failed to create network bridge: bridge device ${name} not found: make it first, or leave out --bridge`,
    );
  const of = (family: Family): InterfaceAddress | undefined =>
    found.addresses.find(({ address }) => familyOf(address) === family);
  const ipv4 = of('ipv4') as InterfaceAddress<Ipv4> | undefined;
  if (ipv4 === undefined)
    throw system(`failed to create network bridge: bridge device ${name} has no IPv4 address`);
  return { ipv4, ipv6: of('ipv6') as InterfaceAddress<Ipv6> | undefined, mtu: found.mtu };
}

/** `host` and `none`, made once. */
export function fixedNetworks(before: readonly Network[]): readonly (HostNetwork | NullNetwork)[] {
  const make = <D extends 'host' | 'null'>(driver: D, name: string) => ({
    id: newId(),
    name,
    created: new Date().toISOString(),
    labels: {},
    options: {},
    driver,
  });
  const known = new Set(before.map((network) => network.driver));
  return [
    ...(known.has('host') ? [] : [make('host', 'host')]),
    ...(known.has('null') ? [] : [make('null', 'none')]),
  ];
}

/** `br-` and the first 12 digits of the network's id, as Docker names it. */
export function bridgeName(networkId: string): IfName {
  return parseIfName(`br-${networkId.slice(0, 12)}`);
}
