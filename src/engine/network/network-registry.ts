import { isDeepStrictEqual } from 'node:util';
import { type HostFacts, type Kernel, KernelError } from '../../kernel/kernel.ts';
import {
  ANY_IPV4,
  ANY_IPV6,
  familyOf,
  type IfName,
  type Ip,
  type Ipv4,
  overlaps,
  type Prefix,
  parsePrefix,
} from '../../model/address.ts';
import { errors, forbidden, invalid, notFound, system } from '../../model/errors.ts';
import {
  type AddressedNetwork,
  type Addressing,
  type BridgeNetwork,
  type ConfigNetwork,
  type Endpoint,
  familiesOf,
  isAddressed,
  type MacvlanNetwork,
  type Network,
  type OverlayNetwork,
} from '../../model/network.ts';
import type { OverlaySpec } from '../../model/overlay.ts';
import { creations, deletions } from '../../plan/diff.ts';
import { type PlanFacts, planNetwork } from '../../plan/plan.ts';
import {
  chooseSubnet,
  DEFAULT_SOURCES,
  firstAddress,
  type SubnetSource,
  uniqueLocalSource,
} from '../../plan/subnet-pool.ts';
import type { NetworkConfig } from '../config.ts';
import type { Collection, Store } from '../store.ts';
import { AddressBook, type Addresses } from './address-book.ts';
import type { BridgeWish } from './bridge-options.ts';
import { bridgeName, defaultBridge, fixedNetworks, newId, randomMac } from './default-networks.ts';
import { hostId } from './host-id.ts';
import { type AddressingWish, checkReserved } from './ipam-request.ts';
import type {
  BridgeNetworkWish,
  ConfigWish,
  MacvlanNetworkWish,
  OverlayNetworkWish,
} from './network-request.ts';
import { upgradeNetwork } from './upgrade.ts';

/** RFC 8200 §5: below it the kernel takes IPv6 off the link. */
const IPV6_LEAST_MTU = 1280;

/** The networks there are, by id, each bridge network with the pools of its addresses. */
export class NetworkRegistry {
  readonly #kernel: Kernel;
  readonly #records: Collection<Network>;
  readonly #networks = new Map<string, Network>();
  readonly #addresses: AddressBook;
  readonly #facts: PlanFacts;
  readonly #sources: readonly SubnetSource[];
  readonly #forward: boolean;
  readonly #blocks: (networkId: string) => readonly Prefix[];

  /** Reads what is stored and makes the predefined networks as the daemon's options want them. @throws EngineError */
  /** @param blocks of an overlay network: those that are this host's */
  constructor(
    config: NetworkConfig,
    store: Store,
    kernel: Kernel,
    facts: PlanFacts,
    blocks: (networkId: string) => readonly Prefix[] = () => [],
  ) {
    this.#blocks = blocks;
    this.#kernel = kernel;
    this.#facts = facts;
    this.#addresses = new AddressBook(store);
    this.#records = store.collection('networks');
    this.#sources = sourcesOf(config);
    this.#forward = config.ipForward;
    const stored = this.#records.all().map(upgradeNetwork);
    const before = stored.find((network) => network.name === 'bridge');
    for (const network of stored) if (network.name !== 'bridge') this.#remember(network);
    const users = this.#addressed();
    const bridge = defaultBridge(
      config,
      kernel,
      this.#sources,
      before?.driver === 'bridge' ? before : undefined,
      users.flatMap(subnetsOf),
    );
    const clash = users.find((network) =>
      subnetsOf(network).some(
        (subnet) => bridge !== undefined && subnetsOf(bridge).some((own) => overlaps(subnet, own)),
      ),
    );
    if (clash !== undefined) {
      throw system(
        `failed to create network bridge: its subnet overlaps that of the network ${clash.name}; choose another --bip`,
      );
    }
    store.transaction(() => {
      for (const network of [...(bridge ? [bridge] : []), ...fixedNetworks(stored)]) {
        this.#records.put(network.id, network);
        this.#remember(network);
      }
      if (bridge === undefined && before !== undefined) this.#records.delete(before.id);
    });
  }

  get(id: string): Network | undefined {
    return this.#networks.get(id);
  }

  list(): readonly Network[] {
    return [...this.#networks.values()];
  }

  bridges(): readonly BridgeNetwork[] {
    return this.list().filter((network) => network.driver === 'bridge');
  }

  /** Networks with addresses, whatever their driver. */
  #addressed(): readonly AddressedNetwork[] {
    return this.list().filter(isAddressed);
  }

  /** Full id, then name, then id prefix. @throws EngineError NOT_FOUND, INVALID_PARAMETER for an ambiguous prefix */
  resolve(ref: string): Network {
    const byId = this.#networks.get(ref);
    if (byId !== undefined) return byId;
    const all = this.list();
    const byName = all.find((network) => network.name === (ref === 'default' ? 'bridge' : ref));
    if (byName !== undefined) return byName;
    const found = /^[0-9a-f]+$/.test(ref) ? all.filter((network) => network.id.startsWith(ref)) : [];
    if (found.length > 1) {
      throw invalid(`network ${ref} is ambiguous (${found.length} matches found based on ID prefix)`);
    }
    if (found[0] === undefined) throw errors.noSuchNetwork(ref);
    return found[0];
  }

  /** Into the store, then into the kernel; neither has it after an error. @throws EngineError in Docker's words */
  create(wish: BridgeNetworkWish | MacvlanNetworkWish): AddressedNetwork {
    if (this.list().some((network) => network.name === wish.name)) throw errors.networkExists(wish.name);
    const network = wish.kind === 'bridge' ? this.#bridge(wish) : this.#macvlan(wish);
    this.#records.put(network.id, network);
    this.#remember(network);
    try {
      if (network.driver === 'bridge') this.#make(network);
    } catch (error) {
      this.#forget(network);
      throw error instanceof KernelError
        ? system(`failed to create network ${wish.name}: ${error.message}`, error)
        : error;
    }
    return network;
  }

  /** @throws EngineError CONFLICT */
  createConfig({ name, labels, options, template }: ConfigWish): ConfigNetwork {
    if (this.list().some((network) => network.name === name)) throw errors.networkExists(name);
    const id = newId();
    const created = new Date().toISOString();
    const network: ConfigNetwork = { id, name, created, labels, options, driver: 'config-only', template };
    this.#records.put(id, network);
    this.#remember(network);
    return network;
  }

  /** @throws EngineError FORBIDDEN when networks were made from it */
  removeConfig(network: ConfigNetwork): void {
    if (this.#addressed().some(({ configFrom }) => configFrom === network.name)) {
      throw forbidden(
        `error while removing network: configuration network ${JSON.stringify(network.name)} is in use`,
      );
    }
    this.#forget(network);
  }

  /** Networks that have the uplink's MTU, where it is another now. @returns whether there were any */
  followUplink(): boolean {
    const { uplinkMtu: mtu } = this.#kernel.host();
    const changed = this.bridges().filter(({ bridge }) => bridge.mtuOfUplink && bridge.mtu !== mtu);
    for (const network of changed) {
      const after = { ...network, bridge: { ...network.bridge, mtu } };
      this.#records.put(network.id, after);
      this.#networks.set(network.id, after);
    }
    return changed.length > 0;
  }

  /** @returns what could not be taken out of the kernel; the network is gone all the same */
  remove(network: AddressedNetwork): readonly KernelError[] {
    const failures =
      network.driver === 'bridge' ? this.#kernel.tearDown(deletions(planNetwork(network, this.#facts))) : [];
    this.#forget(network);
    return failures;
  }

  /** The cluster has this network. */
  putOverlay(spec: OverlaySpec): void {
    const known = this.#networks.get(spec.id);
    const network = overlayNetwork(spec);
    if (isDeepStrictEqual(known, network)) return;
    this.#records.put(network.id, network);
    if (known === undefined) this.#remember(network);
    else this.#networks.set(network.id, network);
  }

  /** It is gone from the cluster, where nobody could remove it with a container of ours on it. */
  dropOverlay(id: string): void {
    const network = this.#networks.get(id);
    if (network !== undefined) this.#forget(network);
  }

  /** What an overlay network is to be, beside those there are. @throws EngineError in Docker's words */
  overlaySpec(wish: OverlayNetworkWish, others: readonly OverlaySpec[], vni: number): OverlaySpec {
    const taken = others.flatMap(({ ipv4 }) => (ipv4 === undefined ? [] : [ipv4.subnet]));
    const family = wish.families.ipv4 ?? { auxAddresses: {} };
    const clash = family.subnet && taken.some((other) => overlaps(other, family.subnet as Prefix));
    if (clash) throw forbidden('invalid pool request: Pool overlaps with other one on this address space');
    const subnet = (family.subnet ??
      chooseSubnet(
        OVERLAY_SOURCES,
        [...taken, ...this.#kernel.host().usedPrefixes],
        ANY_IPV4,
        family.size,
      )) as Prefix<Ipv4> | undefined;
    if (subnet === undefined) throw invalid('all predefined address pools have been fully subnetted');
    // Other drivers' networks of this host would be in the way of its own containers.
    if (this.#addressed().some((network) => subnetsOf(network).some((own) => overlaps(own, subnet)))) {
      throw forbidden('invalid pool request: Pool overlaps with other one on this address space');
    }
    const gateway = (family.gateway ?? firstAddress(subnet)) as Ipv4;
    checkReserved(subnet, gateway, family.auxAddresses);
    return {
      id: newId(),
      name: wish.name,
      created: new Date().toISOString(),
      labels: wish.labels,
      options: wish.options,
      internal: wish.internal,
      attachable: wish.attachable,
      vni,
      ipv4: {
        subnet,
        gateway,
        ...(family.ipRange && { ipRange: family.ipRange as Prefix<Ipv4> }),
        auxAddresses: family.auxAddresses as Readonly<Record<string, Ipv4>>,
      },
      ...(wish.mtu !== undefined && { mtu: wish.mtu }),
    };
  }

  addBlock(networkId: string, block: Prefix): void {
    this.#addresses.addBlock(networkId, block);
  }

  hasFreeAddress(networkId: string): boolean {
    return this.#addresses.hasFree(networkId);
  }

  /** Addresses of an endpoint. @throws EngineError in Docker's words */
  takeAddresses(...given: Parameters<AddressBook['take']>): Addresses {
    return this.#addresses.take(...given);
  }

  /** Takes the addresses that an endpoint has from before. */
  adoptAddresses(endpoint: Endpoint): void {
    this.#addresses.adopt(endpoint.networkId, endpoint);
  }

  releaseAddresses(networkId: string, addresses: Addresses): void {
    this.#addresses.release(networkId, addresses);
  }

  /** A container that is removed, or disconnected, has no claim on its addresses any more. */
  forgetAddresses(containerId: string, networkId?: string): void {
    this.#addresses.forget(containerId, networkId);
  }

  #make(network: BridgeNetwork): void {
    if (network.ipv6 !== undefined && this.#forward) this.#kernel.enableForwarding('ipv6');
    this.#kernel.apply(creations(planNetwork(network, this.#facts)));
  }

  #macvlan(wish: MacvlanNetworkWish): MacvlanNetwork {
    const { parent, mode, mtu, ifPrefix = 'eth' } = wish.macvlan;
    if (this.#kernel.link(parent) === undefined) {
      throw notFound(
        `the parent interface ${parent} is not on this host: make it first (a VLAN: ip link add link eth0 name eth0.10 type vlan id 10)`,
      );
    }
    const user = this.#addressed().find(
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
        : addressingOf(given, family, any, this.#subnetFor(family, host.usedPrefixes, any));
    };
    const ipv4 = address(ANY_IPV4);
    const ipv6 = address(ANY_IPV6);
    return {
      id,
      name: wish.name,
      created: new Date().toISOString(),
      labels: wish.labels,
      options: wish.options,
      internal: wish.internal,
      attachable: wish.attachable,
      ...(ipv4 && { ipv4 }),
      ...(ipv6 && { ipv6 }),
      ...(wish.configFrom && { configFrom: wish.configFrom }),
    };
  }

  #bridge(wish: BridgeNetworkWish): BridgeNetwork {
    const id = newId();
    const host = this.#kernel.host();
    const { bridge } = wish;
    const mtu = bridge.mtu ?? host.uplinkMtu;
    if (wish.families.ipv6 !== undefined && mtu < IPV6_LEAST_MTU) {
      throw invalid(`invalid MTU number: ${mtu}: IPv6 needs at least ${IPV6_LEAST_MTU} (RFC 8200)`);
    }
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
    const taken = this.bridges().find((network) => network.bridge.ifName === ifName);
    if (taken === undefined) return;
    throw forbidden(
      `cannot create network ${id} (${ifName}): conflicts with network ${taken.id} (${ifName}): networks have same bridge name`,
    );
  }

  #subnetFor<A extends Ip>(wish: AddressingWish, onHost: HostFacts['usedPrefixes'], any: A): Prefix<A> {
    const ours = this.#addressed().flatMap(subnetsOf);
    if (wish.subnet === undefined) {
      const chosen = chooseSubnet(this.#sources, [...ours, ...onHost], any, wish.size);
      if (chosen === undefined) throw invalid('all predefined address pools have been fully subnetted');
      return chosen;
    }
    const { subnet } = wish;
    if (ours.some((other) => overlaps(other, subnet))) {
      throw forbidden('invalid pool request: Pool overlaps with other one on this address space');
    }
    return subnet as Prefix<A>;
  }

  #remember(network: Network): void {
    this.#networks.set(network.id, network);
    if (isAddressed(network))
      this.#addresses.open(network, network.driver === 'overlay' ? this.#blocks(network.id) : []);
  }

  #forget(network: Network): void {
    this.#records.delete(network.id);
    this.#networks.delete(network.id);
    this.#addresses.close(network.id);
  }
}

/** Docker's for overlay networks (libnetwork ipamutils). */
const OVERLAY_SOURCES: readonly SubnetSource[] = [{ base: parsePrefix('10.0.0.0/8'), size: 24 }];

function overlayNetwork(spec: OverlaySpec): OverlayNetwork {
  const short = spec.id.slice(0, 12);
  const { ipv4 } = spec;
  return {
    id: spec.id,
    name: spec.name,
    created: spec.created,
    labels: spec.labels,
    options: spec.options,
    driver: 'overlay',
    internal: spec.internal,
    attachable: spec.attachable,
    ...(ipv4 && {
      ipv4: {
        subnet: ipv4.subnet,
        gateway: { address: ipv4.gateway, length: ipv4.subnet.length },
        onBridge: false,
        ...(ipv4.ipRange && { ipRange: ipv4.ipRange }),
        auxAddresses: ipv4.auxAddresses,
        gatewayMode: 'nat',
        egress: { mode: 'none' },
      },
    }),
    overlay: {
      vni: spec.vni,
      bridge: `ov-${short}` as IfName,
      vxlan: `vx-${short}` as IfName,
      ...(spec.mtu !== undefined && { mtu: spec.mtu }),
    },
  };
}

/** Of a family that has no pool of the user's, the built-in ones. */
function sourcesOf(config: NetworkConfig): readonly SubnetSource[] {
  const given = config.defaultAddressPools;
  const has = (any: Ip): boolean => given.some(({ base }) => familyOf(base.address) === familyOf(any));
  return [
    ...given,
    ...(has(ANY_IPV4) ? [] : DEFAULT_SOURCES),
    ...(has(ANY_IPV6) ? [] : [uniqueLocalSource(hostId())]),
  ];
}

const subnetsOf = (network: AddressedNetwork): readonly Prefix[] =>
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
