import { randomBytes } from 'node:crypto';
import type { Kernel } from '../../kernel/kernel.ts';
import {
  formatPrefix,
  type IfName,
  type InterfaceAddress,
  type Ipv4,
  type Mac,
  type Prefix,
  parseIfName,
  prefixOf,
} from '../../model/address.ts';
import { system } from '../../model/errors.ts';
import type { BridgeNetwork, HostNetwork, Network, NullNetwork } from '../../model/network.ts';
import { chooseSubnet } from '../../plan/subnet-pool.ts';
import type { NetworkConfig } from '../config.ts';
import { gatewayOf } from './network-request.ts';

const DEFAULT_BRIDGE = 'docker0' as IfName;

export const newId = (): string => randomBytes(32).toString('hex');

/** Locally administered, unicast (IEEE 802c): random, as Docker's since 28. */
export function randomMac(): Mac {
  const bytes = randomBytes(6);
  bytes[0] = ((bytes[0] ?? 0) & 0xfe) | 0x02;
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':') as Mac;
}

/**
 * An endpoint's MAC follows from its address, as Docker's did before 28: the next container with that address answers
 * at once, because no ARP entry of the host or of a neighbour is stale.
 */
export function endpointMac(address: Ipv4): Mac {
  const octets = address.split('.').map((octet) => Number(octet).toString(16).padStart(2, '0'));
  return ['02', '42', ...octets].join(':') as Mac;
}

/**
 * The network `bridge` as the daemon's options want it now; identity, MAC and a subnet chosen before stay.
 * @throws EngineError when `-b` names no bridge, or the options contradict each other
 */
export function defaultBridge(
  config: NetworkConfig,
  kernel: Kernel,
  sources: Parameters<typeof chooseSubnet>[0],
  before: BridgeNetwork | undefined,
  inUse: readonly Prefix[],
): BridgeNetwork | undefined {
  if (config.bridge === 'none') return undefined;
  if (config.bridge !== undefined && config.bip !== undefined) {
    throw system('You specified -b & --bip, mutually exclusive options. Please specify only one');
  }
  const foreign = config.bridge === undefined ? undefined : foreignBridge(config.bridge, kernel);
  const gateway =
    foreign?.gateway ?? config.bip ?? gatewayOf(automaticSubnet(kernel, sources, before, inUse), undefined);
  const subnet = prefixOf(gateway);
  if (config.fixedCidr !== undefined && !within(subnet, config.fixedCidr)) {
    throw system(
      `failed to create network bridge: fixed-cidr ${formatPrefix(config.fixedCidr)} is not in ${formatPrefix(subnet)}`,
    );
  }
  if (
    config.defaultGateway !== undefined &&
    !within(subnet, { address: config.defaultGateway, length: 32 })
  ) {
    throw system(
      `default gateway ${config.defaultGateway} must be part of the network ${formatPrefix(subnet)}`,
    );
  }
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
    subnet,
    gateway,
    ...(config.defaultGateway && { defaultGateway: config.defaultGateway }),
    ...(config.fixedCidr && { ipRange: config.fixedCidr }),
    auxAddresses: {},
    bridge: {
      ifName,
      owned: foreign === undefined,
      mac: before?.bridge.mac ?? randomMac(),
      mtu,
      icc: config.icc,
      egress: config.ipMasq ? { mode: 'masquerade' } : { mode: 'none' },
      hostBinding: config.ip,
    },
  };
}

function foreignBridge(
  name: IfName,
  kernel: Kernel,
): { readonly gateway: InterfaceAddress; readonly mtu: number } {
  const found = kernel.foreignBridge(name);
  if (found === undefined)
    throw system(
      `failed to create network bridge: bridge device ${name} not found: make it first, or leave out --bridge`,
    );
  const [gateway] = found.addresses;
  if (gateway === undefined)
    throw system(`failed to create network bridge: bridge device ${name} has no IPv4 address`);
  return { gateway, mtu: found.mtu };
}

function automaticSubnet(
  kernel: Kernel,
  sources: Parameters<typeof chooseSubnet>[0],
  before: BridgeNetwork | undefined,
  inUse: readonly Prefix[],
): Prefix {
  if (before?.bridge.owned && before.bridge.ifName === DEFAULT_BRIDGE) return before.subnet;
  const subnet = chooseSubnet(sources, [...inUse, ...kernel.host().usedPrefixes]);
  if (subnet === undefined) throw system('all predefined address pools have been fully subnetted');
  return subnet;
}

function within(outer: Prefix, inner: Prefix): boolean {
  return (
    inner.length >= outer.length &&
    prefixOf({ address: inner.address, length: outer.length }).address === outer.address
  );
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
