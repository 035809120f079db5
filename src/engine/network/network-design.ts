import type { HostFacts, Kernel } from '../../kernel/kernel.ts';
import {
  ANY_IPV4,
  ANY_IPV6,
  FAMILIES,
  familyOf,
  type IfName,
  IPV6_LEAST_MTU,
  type Ip,
  overlaps,
  type Prefix,
  parsePrefix,
} from '../../model/address.ts';
import { errors, forbidden, invalid, notFound } from '../../model/errors.ts';
import {
  type AddressedNetwork,
  type Addressing,
  type BridgeNetwork,
  familiesOf,
  type MacvlanNetwork,
  type OverlayNetwork,
} from '../../model/network.ts';
import type { OverlaySpec, OverlaySubnet } from '../../model/overlay.ts';
import {
  chooseSubnet,
  DEFAULT_SOURCES,
  firstAddress,
  type SubnetSource,
  uniqueLocalSource,
} from '../../plan/subnet-pool.ts';
import type { NetworkConfig } from '../config.ts';
import type { BridgeWish } from './bridge-options.ts';
import { bridgeName, newId, randomMac } from './default-networks.ts';
import { hostId } from './host-id.ts';
import { type AddressingWish, checkReserved } from './ipam-request.ts';
import type { BridgeNetworkWish, MacvlanNetworkWish, OverlayNetworkWish } from './network-request.ts';

/** Chooses what a user left open in a new network, beside those there are. Nothing is made here. */
export class NetworkDesign {
  readonly #kernel: Kernel;
  readonly #sources: readonly SubnetSource[];
  readonly #existing: () => readonly AddressedNetwork[];

  constructor(kernel: Kernel, sources: readonly SubnetSource[], existing: () => readonly AddressedNetwork[]) {
    this.#kernel = kernel;
    this.#sources = sources;
    this.#existing = existing;
  }

  /** @throws EngineError in Docker's words */
  macvlan(wish: MacvlanNetworkWish): MacvlanNetwork {
    const { parent, mode, mtu, ifPrefix = 'eth' } = wish.macvlan;
    if (this.#kernel.link(parent) === undefined) {
      throw notFound(
        `the parent interface ${parent} is not on this host: make it first (a VLAN: ip link add link eth0 name eth0.10 type vlan id 10)`,
      );
    }
    const user = this.#existing().find(
      (network) =>
        network.driver === 'macvlan' &&
        network.macvlan.parent === parent &&
        (mode === 'passthru' || network.macvlan.mode === 'passthru'),
    );
    if (user !== undefined)
      throw forbidden(`network ${user.name} is already using parent interface ${parent}`);
    return {
      ...this.#common(wish, newId(), this.#kernel.host(), {}),
      driver: 'macvlan',
      macvlan: { parent, mode, ifPrefix, ...(mtu !== undefined && { mtu }) },
    };
  }

  /** What networks of every driver have. */
  #common(
    wish: BridgeNetworkWish | MacvlanNetworkWish,
    id: string,
    host: HostFacts,
    given: AddressingOptions,
  ) {
    const address = <A extends Ip>(any: A): Addressing<A> | undefined => {
      const family = wish.families[familyOf(any)];
      return family === undefined
        ? undefined
        : addressingOf(given, family, any, this.#subnetFor(family, any, host, this.#sources));
    };
    const ipv4 = address(ANY_IPV4);
    const ipv6 = address(ANY_IPV6);
    return {
      id,
      ...asWished(wish),
      ...(ipv4 && { ipv4 }),
      ...(ipv6 && { ipv6 }),
      ...(wish.configFrom && { configFrom: wish.configFrom }),
    };
  }

  /** @throws EngineError in Docker's words */
  bridge(wish: BridgeNetworkWish): BridgeNetwork {
    const id = newId();
    const host = this.#kernel.host();
    const { bridge } = wish;
    const mtu = bridge.mtu ?? host.uplinkMtu;
    checkMtu(wish, mtu);
    const ifName = bridge.ifName ?? bridgeName(id);
    this.#checkBridgeName(id, ifName);
    if (this.#kernel.link(ifName) !== undefined && this.#kernel.foreignBridge(ifName) === undefined) {
      throw forbidden(`existing interface ${ifName} is not a bridge`);
    }
    return {
      ...this.#common(wish, id, host, bridge),
      driver: 'bridge',
      bridge: {
        ifName,
        owned: this.#kernel.foreignBridge(ifName) === undefined,
        mac: randomMac(),
        mtu,
        mtuOfUplink: bridge.mtu === undefined,
        icc: bridge.icc ?? true,
        ...(bridge.hostBinding && { hostBinding: bridge.hostBinding }),
        trustedInterfaces: bridge.trustedInterfaces,
        ifPrefix: bridge.ifPrefix ?? 'eth',
      },
    };
  }

  #checkBridgeName(id: string, ifName: IfName): void {
    const taken = this.#existing().find(
      (network) => network.driver === 'bridge' && network.bridge.ifName === ifName,
    );
    if (taken === undefined) return;
    throw forbidden(
      `cannot create network ${id} (${ifName}): conflicts with network ${taken.id} (${ifName}): networks have same bridge name`,
    );
  }

  /** The wanted subnet, or one of the sources'. @param elsewhere subnets of networks that this host may not know yet */
  #subnetFor<A extends Ip>(
    wish: AddressingWish,
    any: A,
    host: HostFacts,
    sources: readonly SubnetSource[],
    elsewhere: readonly Prefix[] = [],
  ): Prefix<A> {
    const ours = [...this.#existing().flatMap(subnetsOf), ...elsewhere];
    if (wish.subnet === undefined) {
      const chosen = chooseSubnet(sources, [...ours, ...host.usedPrefixes], any, wish.size);
      if (chosen === undefined) throw invalid('all predefined address pools have been fully subnetted');
      return chosen;
    }
    const { subnet } = wish;
    if (ours.some((other) => overlaps(other, subnet))) throw errors.poolOverlaps();
    return subnet as Prefix<A>;
  }

  /** What an overlay network is to be, beside those there are. @throws EngineError in Docker's words */
  overlaySpec(wish: OverlayNetworkWish, others: readonly OverlaySpec[], vni: number): OverlaySpec {
    if (wish.mtu !== undefined) checkMtu(wish, wish.mtu);
    const host = this.#kernel.host();
    const taken = others.flatMap((other) => FAMILIES.flatMap((family) => other[family]?.subnet ?? []));
    const subnet = <A extends Ip>(any: A): OverlaySubnet<A> | undefined => {
      const given = wish.families[familyOf(any)];
      return given && overlaySubnet(given, this.#subnetFor(given, any, host, overlaySources(), taken));
    };
    const ipv4 = subnet(ANY_IPV4);
    const ipv6 = subnet(ANY_IPV6);
    return {
      id: newId(),
      ...asWished(wish),
      vni,
      ...(ipv4 && { ipv4 }),
      ...(ipv6 && { ipv6 }),
      ...(wish.mtu !== undefined && { mtu: wish.mtu }),
    };
  }
}

/** @throws EngineError INVALID_PARAMETER for IPv6 on a link that cannot have it */
function checkMtu({ families }: Pick<BridgeNetworkWish, 'families'>, mtu: number): void {
  if (families.ipv6 === undefined || mtu >= IPV6_LEAST_MTU) return;
  throw invalid(`invalid MTU number: ${mtu}: IPv6 needs at least ${IPV6_LEAST_MTU} (RFC 8200)`);
}

/** Of IPv4 Docker's (libnetwork ipamutils); of IPv6 a /48 of this host beside the one of its own networks. */
const overlaySources = (): readonly SubnetSource[] => [
  { base: parsePrefix('10.0.0.0/8'), size: 24 },
  uniqueLocalSource(`overlay ${hostId()}`),
];

/** @throws EngineError SYSTEM for a gateway or reserved address that no host can have */
function overlaySubnet<A extends Ip>(given: AddressingWish, subnet: Prefix<A>): OverlaySubnet<A> {
  const gateway = (given.gateway ?? firstAddress(subnet)) as A;
  checkReserved(subnet, gateway, given.auxAddresses);
  return {
    subnet,
    gateway,
    ...(given.ipRange && { ipRange: given.ipRange as Prefix<A> }),
    auxAddresses: given.auxAddresses as Readonly<Record<string, A>>,
  };
}

/** An overlay network as this host has it. */
export function overlayNetwork(spec: OverlaySpec): OverlayNetwork {
  const short = spec.id.slice(0, 12);
  const ipv4 = spec.ipv4 && overlayAddressing(spec.ipv4);
  const ipv6 = spec.ipv6 && overlayAddressing(spec.ipv6);
  return {
    id: spec.id,
    name: spec.name,
    created: spec.created,
    labels: spec.labels,
    options: spec.options,
    driver: 'overlay',
    internal: spec.internal,
    attachable: spec.attachable,
    ...(ipv4 && { ipv4 }),
    ...(ipv6 && { ipv6 }),
    overlay: {
      vni: spec.vni,
      bridge: `ov-${short}` as IfName,
      vxlan: `vx-${short}` as IfName,
      ...(spec.mtu !== undefined && { mtu: spec.mtu }),
    },
  };
}

/** No bridge has the gateway's address: the way out is the host's own. */
const overlayAddressing = <A extends Ip>(of: OverlaySubnet<A>): Addressing<A> => ({
  subnet: of.subnet,
  gateway: { address: of.gateway, length: of.subnet.length },
  onBridge: false,
  ...(of.ipRange && { ipRange: of.ipRange }),
  auxAddresses: of.auxAddresses,
  gatewayMode: 'nat',
  egress: { mode: 'none' },
});

/** What a network has of its request as it is, whatever its driver. */
const asWished = (wish: BridgeNetworkWish | MacvlanNetworkWish | OverlayNetworkWish) => ({
  name: wish.name,
  created: new Date().toISOString(),
  labels: wish.labels,
  options: wish.options,
  internal: wish.internal,
  attachable: wish.attachable,
});

/** Of a family that has no pool of the user's, the built-in ones. */
export function sourcesOf(config: NetworkConfig): readonly SubnetSource[] {
  const given = config.defaultAddressPools;
  const has = (any: Ip): boolean => given.some(({ base }) => familyOf(base.address) === familyOf(any));
  return [
    ...given,
    ...(has(ANY_IPV4) ? [] : DEFAULT_SOURCES),
    ...(has(ANY_IPV6) ? [] : [uniqueLocalSource(hostId())]),
  ];
}

export const subnetsOf = (network: AddressedNetwork): readonly Prefix[] =>
  familiesOf(network).map(({ subnet }) => subnet);

/** Of the bridge driver, what decides about addresses. */
type AddressingOptions = Partial<
  Pick<BridgeWish, 'gatewayModes' | 'hostIpv4' | 'hostIpv6' | 'masquerade' | 'inhibitIpv4'>
>;

/** @throws EngineError SYSTEM for a gateway or reserved address that no host can have */
function addressingOf<A extends Ip>(
  bridge: AddressingOptions,
  given: AddressingWish,
  any: A,
  subnet: Prefix<A>,
): Addressing<A> {
  const family = familyOf(any);
  const gateway = (given.gateway ?? firstAddress(subnet)) as A;
  checkReserved(subnet, gateway, given.auxAddresses);
  const gatewayMode = bridge.gatewayModes?.[family] ?? 'nat';
  const chosen = family === 'ipv4' ? bridge.hostIpv4 : bridge.hostIpv6;
  const translated =
    bridge.masquerade !== false && (gatewayMode === 'nat' || gatewayMode === 'nat-unprotected');
  return {
    subnet,
    gateway: { address: gateway, length: subnet.length },
    onBridge: gatewayMode !== 'isolated' && !(family === 'ipv4' && bridge.inhibitIpv4 === true),
    ...(given.ipRange && { ipRange: given.ipRange as Prefix<A> }),
    auxAddresses: given.auxAddresses as Readonly<Record<string, A>>,
    gatewayMode,
    egress: !translated
      ? { mode: 'none' }
      : chosen === undefined
        ? { mode: 'masquerade' }
        : { mode: 'snat', to: chosen as A },
  };
}
