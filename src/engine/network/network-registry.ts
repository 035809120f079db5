import { isDeepStrictEqual } from 'node:util';
import { type Kernel, KernelError } from '../../kernel/kernel.ts';
import { type Family, overlaps, type Prefix } from '../../model/address.ts';
import { errors, forbidden, invalid, system } from '../../model/errors.ts';
import {
  type AddressedNetwork,
  type BridgeNetwork,
  type ConfigNetwork,
  type Endpoint,
  isAddressed,
  type Network,
} from '../../model/network.ts';
import type { OverlaySpec } from '../../model/overlay.ts';
import { creations, deletions } from '../../plan/diff.ts';
import { type PlanFacts, planNetwork } from '../../plan/plan.ts';
import type { NetworkConfig } from '../config.ts';
import type { Collection, Store } from '../store.ts';
import { AddressBook, type Addresses } from './address-book.ts';
import { defaultBridge, fixedNetworks, newId } from './default-networks.ts';
import { NetworkDesign, overlayNetwork, sourcesOf, subnetsOf } from './network-design.ts';
import type { BridgeNetworkWish, ConfigWish, MacvlanNetworkWish } from './network-request.ts';
import { upgradeNetwork } from './upgrade.ts';

/** The networks there are, by id, each bridge network with the pools of its addresses. */
export class NetworkRegistry {
  readonly #kernel: Kernel;
  readonly #records: Collection<Network>;
  readonly #networks = new Map<string, Network>();
  readonly #addresses: AddressBook;
  readonly #facts: PlanFacts;
  readonly #design: NetworkDesign;
  readonly #forward: boolean;
  readonly #blocks: (networkId: string) => readonly Prefix[];

  /**
   * Reads what is stored and makes the predefined networks as the daemon's options want them.
   * @param blocks of an overlay network: those that are this host's
   * @throws EngineError
   */
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
    const sources = sourcesOf(config);
    this.#design = new NetworkDesign(kernel, sources, () => this.#addressed());
    this.#forward = config.ipForward;
    const stored = this.#records.all().map(upgradeNetwork);
    const before = stored.find((network) => network.name === 'bridge');
    for (const network of stored) if (network.name !== 'bridge') this.#remember(network);
    const users = this.#addressed();
    const bridge = defaultBridge(
      config,
      kernel,
      sources,
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

  /** Full id, then name, then id prefix. @throws EngineError NOT_FOUND, INVALID_PARAMETER for an ambiguous name or prefix */
  resolve(ref: string): Network {
    const byId = this.#networks.get(ref);
    if (byId !== undefined) return byId;
    const all = this.list();
    const name = ref === 'default' ? 'bridge' : ref;
    const byName = all.filter((network) => network.name === name);
    // One of this host alone, and one that another host made for all.
    if (byName.length > 1) {
      throw invalid(`network ${ref} is ambiguous (${byName.length} matches found on name)`);
    }
    if (byName[0] !== undefined) return byName[0];
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
    const network = wish.kind === 'bridge' ? this.#design.bridge(wish) : this.#design.macvlan(wish);
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
    const network = overlayNetwork(spec);
    if (isDeepStrictEqual(this.#networks.get(spec.id), network)) return;
    this.#records.put(network.id, network);
    this.#remember(network);
  }

  /** It is gone from the cluster, where nobody could remove it with a container of ours on it. */
  dropOverlay(id: string): void {
    const network = this.#networks.get(id);
    if (network !== undefined) this.#forget(network);
  }

  /** @throws EngineError in Docker's words */
  overlaySpec(...given: Parameters<NetworkDesign['overlaySpec']>): OverlaySpec {
    return this.#design.overlaySpec(...given);
  }

  addBlock(networkId: string, block: Prefix): void {
    this.#addresses.addBlock(networkId, block);
  }

  removeBlock(networkId: string, block: Prefix): void {
    this.#addresses.removeBlock(networkId, block);
  }

  /** Of an overlay network: in which families a block more is needed for the next address. */
  familiesUsedUp(networkId: string): readonly Family[] {
    return this.#addresses.familiesUsedUp(networkId);
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
