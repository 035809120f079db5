import { type HostFacts, type Kernel, KernelError } from '../../kernel/kernel.ts';
import { type IfName, type Ipv4, overlaps, type Prefix } from '../../model/address.ts';
import { errors, forbidden, invalid, system } from '../../model/errors.ts';
import type { BridgeNetwork, Network } from '../../model/network.ts';
import { creations, deletions } from '../../plan/diff.ts';
import { AddressPool } from '../../plan/ipam.ts';
import { planNetwork } from '../../plan/plan.ts';
import { chooseSubnet, DEFAULT_SOURCES, type SubnetSource } from '../../plan/subnet-pool.ts';
import type { NetworkConfig } from '../config.ts';
import type { Collection, Store } from '../store.ts';
import { bridgeName, defaultBridge, fixedNetworks, newId, randomMac } from './default-networks.ts';
import { checkReserved, gatewayOf, type NetworkWish } from './network-request.ts';

/** The networks there are, by id, each bridge network with the pool of its addresses. */
export class NetworkRegistry {
  readonly #kernel: Kernel;
  readonly #records: Collection<Network>;
  readonly #networks = new Map<string, Network>();
  readonly #pools = new Map<string, AddressPool>();
  readonly #sources: readonly SubnetSource[];

  /** Reads what is stored and makes the predefined networks as the daemon's options want them. @throws EngineError */
  constructor(config: NetworkConfig, store: Store, kernel: Kernel) {
    this.#kernel = kernel;
    this.#records = store.collection('networks');
    this.#sources = config.defaultAddressPools.length > 0 ? config.defaultAddressPools : DEFAULT_SOURCES;
    const stored = this.#records.all();
    const before = stored.find((network) => network.name === 'bridge');
    for (const network of stored) if (network.name !== 'bridge') this.#remember(network);
    const users = this.bridges();
    const bridge = defaultBridge(
      config,
      kernel,
      this.#sources,
      before?.driver === 'bridge' ? before : undefined,
      users.map((network) => network.subnet),
    );
    const clash = users.find((network) => bridge !== undefined && overlaps(network.subnet, bridge.subnet));
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
  create(wish: NetworkWish): BridgeNetwork {
    if (this.list().some((network) => network.name === wish.name)) throw errors.networkExists(wish.name);
    const network = this.#realize(wish);
    this.#records.put(network.id, network);
    this.#remember(network);
    try {
      this.#kernel.apply(creations(planNetwork(network)));
    } catch (error) {
      this.#forget(network);
      throw error instanceof KernelError
        ? system(`failed to create network ${wish.name}: ${error.message}`, error)
        : error;
    }
    return network;
  }

  /** @returns what could not be taken out of the kernel; the network is gone all the same */
  remove(network: BridgeNetwork): readonly KernelError[] {
    const failures = this.#kernel.tearDown(deletions(planNetwork(network)));
    this.#forget(network);
    return failures;
  }

  /** A free address, or the wanted one. @throws EngineError in Docker's words */
  takeAddress(network: BridgeNetwork, wanted: Ipv4 | undefined): Ipv4 {
    const pool = this.#pools.get(network.id);
    if (pool === undefined) throw new Error(`network ${network.id} has no address pool`);
    if (wanted === undefined) {
      const address = pool.allocate();
      if (address !== undefined) return address;
      throw system(
        `failed to set up container networking: no available IPv4 addresses on this network's address pools: ${network.name} (${network.id})`,
      );
    }
    switch (pool.take(wanted)) {
      case 'taken':
        return wanted;
      case 'outside':
        throw invalid(
          `invalid config for network ${network.name}: invalid endpoint settings:\nno configured subnet or ip-range contain the IP address ${wanted}`,
        );
      case 'in-use':
        throw forbidden('failed to set up container networking: Address already in use');
    }
  }

  /** Takes an address that an endpoint has from before. */
  adoptAddress(networkId: string, address: Ipv4): void {
    this.#pools.get(networkId)?.take(address);
  }

  releaseAddress(networkId: string, address: Ipv4): void {
    this.#pools.get(networkId)?.release(address);
  }

  #realize(wish: NetworkWish): BridgeNetwork {
    const id = newId();
    const host = this.#kernel.host();
    const subnet = this.#subnetFor(wish, host.usedPrefixes);
    const gateway = gatewayOf(subnet, wish.gateway);
    checkReserved(subnet, gateway.address, wish.auxAddresses);
    const ifName = wish.bridge.ifName ?? bridgeName(id);
    this.#checkBridgeName(id, ifName);
    return {
      id,
      name: wish.name,
      created: new Date().toISOString(),
      labels: wish.labels,
      options: wish.options,
      driver: 'bridge',
      internal: wish.internal,
      attachable: wish.attachable,
      subnet,
      gateway,
      ...(wish.ipRange && { ipRange: wish.ipRange }),
      auxAddresses: wish.auxAddresses,
      bridge: {
        ifName,
        owned: this.#kernel.foreignBridge(ifName) === undefined,
        mac: randomMac(),
        mtu: wish.bridge.mtu ?? host.uplinkMtu,
        icc: wish.bridge.icc ?? true,
        egress: wish.bridge.egress ?? { mode: 'masquerade' },
        hostBinding: wish.bridge.hostBinding ?? ('0.0.0.0' as Ipv4),
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

  #subnetFor(wish: NetworkWish, onHost: HostFacts['usedPrefixes']): Prefix {
    const ours = this.bridges().map((network) => network.subnet);
    if (wish.subnet === undefined) {
      const chosen = chooseSubnet(this.#sources, [...ours, ...onHost]);
      if (chosen === undefined) throw system('all predefined address pools have been fully subnetted');
      return chosen;
    }
    const { subnet } = wish;
    if (ours.some((other) => overlaps(other, subnet))) {
      throw forbidden('invalid pool request: Pool overlaps with other one on this address space');
    }
    return subnet;
  }

  #remember(network: Network): void {
    this.#networks.set(network.id, network);
    if (network.driver !== 'bridge') return;
    const reserved = [
      network.gateway.address,
      ...Object.values(network.auxAddresses),
      ...(network.defaultGateway ? [network.defaultGateway] : []),
    ];
    this.#pools.set(network.id, new AddressPool(network.subnet, network.ipRange, reserved));
  }

  #forget(network: Network): void {
    this.#records.delete(network.id);
    this.#networks.delete(network.id);
    this.#pools.delete(network.id);
  }
}
