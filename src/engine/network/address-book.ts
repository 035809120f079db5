import {
  FAMILIES,
  type Family,
  familyOf,
  type Ip,
  type Ipv4,
  type Ipv6,
  type Prefix,
} from '../../model/address.ts';
import { forbidden, invalid, system } from '../../model/errors.ts';
import type { AddressedNetwork, Addressing, EndpointAddress } from '../../model/network.ts';
import { BlockPool } from '../../plan/block-pool.ts';
import { AddressPool } from '../../plan/ipam.ts';
import { edgeAddresses } from '../../plan/subnet-pool.ts';
import type { Collection, Store } from '../store.ts';

/** An endpoint's addresses. */
export interface Addresses {
  readonly ipv4?: EndpointAddress<Ipv4>;
  readonly ipv6?: EndpointAddress<Ipv6>;
}

type Pool = Pick<AddressPool, 'allocate' | 'take' | 'keep' | 'unkeep' | 'release'>;
type Pools = Partial<Record<Family, Pool>>;
/** What a container had last, by network. */
type Lease = Readonly<Record<string, Partial<Record<Family, Ip>>>>;

/**
 * Who has which address. A container that is stopped finds the address it had when it starts again, unless the pool was
 * needed for others.
 */
export class AddressBook {
  readonly #pools = new Map<string, Pools>();
  readonly #leases = new Map<string, Lease>();
  readonly #records: Collection<{ readonly containerId: string; readonly lease: Lease }>;

  constructor(store: Store) {
    this.#records = store.collection('address_leases');
    for (const { containerId, lease } of this.#records.all()) this.#leases.set(containerId, lease);
  }

  /**
   * Also where the network has got a family more than it had.
   * @param blocks of an overlay network: those that are this host's
   */
  open(network: AddressedNetwork, blocks: readonly Prefix[] = []): void {
    const pools: Pools = { ...this.#pools.get(network.id) };
    for (const family of FAMILIES) {
      const addressing = network[family];
      if (addressing !== undefined) pools[family] ??= poolOf(network, addressing);
    }
    this.#pools.set(network.id, pools);
    for (const block of blocks) this.addBlock(network.id, block);
    for (const lease of this.#leases.values()) {
      for (const [pool, address] of this.#pairs(network.id, lease[network.id])) pool.keep(address);
    }
  }

  addBlock(networkId: string, block: Prefix): void {
    const pool = this.#pools.get(networkId)?.[familyOf(block.address)];
    if (pool instanceof BlockPool) pool.add(block);
  }

  removeBlock(networkId: string, block: Prefix): void {
    const pool = this.#pools.get(networkId)?.[familyOf(block.address)];
    if (pool instanceof BlockPool) pool.remove(block);
  }

  /** Those in which this host's blocks have no free address left. */
  familiesUsedUp(networkId: string): readonly Family[] {
    const pools = this.#pools.get(networkId);
    return FAMILIES.filter((family) => {
      const pool = pools?.[family];
      return pool instanceof BlockPool && !pool.hasFree();
    });
  }

  close(networkId: string): void {
    this.#pools.delete(networkId);
  }

  /** Free addresses, or the wanted ones; all or none. @throws EngineError in Docker's words */
  take(
    network: AddressedNetwork,
    containerId: string,
    wanted: Readonly<Partial<Record<Family, Ip>>>,
  ): Addresses {
    const pools = this.#pools.get(network.id);
    if (pools === undefined) throw new Error(`network ${network.id} has no address pool`);
    const before = this.#leases.get(containerId)?.[network.id] ?? {};
    const taken: Partial<Record<Family, EndpointAddress>> = {};
    try {
      for (const family of FAMILIES) {
        const [pool, addressing] = [pools[family], network[family]];
        if (pool === undefined || addressing === undefined) {
          if (wanted[family] !== undefined) throw outside(network, wanted[family]);
          continue;
        }
        const address = takeOne(network, pool, family, wanted[family], before[family]);
        taken[family] = { address, length: addressing.subnet.length };
      }
    } catch (error) {
      this.release(network.id, taken as Addresses);
      throw error;
    }
    this.#remember(containerId, network.id, taken);
    return taken as Addresses;
  }

  /** Takes what an endpoint has from before. */
  adopt(networkId: string, addresses: Addresses): void {
    for (const [pool, address] of this.#pairs(networkId, ipsOf(addresses))) pool.take(address);
  }

  /** The container keeps its claim. */
  release(networkId: string, addresses: Addresses): void {
    for (const [pool, address] of this.#pairs(networkId, ipsOf(addresses))) pool.release(address);
  }

  /** Ends the claims of a container that is removed, or leaves a network for good. */
  forget(containerId: string, networkId?: string): void {
    const lease = this.#leases.get(containerId);
    if (lease === undefined) return;
    for (const id of networkId === undefined ? Object.keys(lease) : [networkId]) {
      for (const [pool, address] of this.#pairs(id, lease[id])) pool.unkeep(address);
    }
    const rest = Object.entries(lease).filter(([id]) => networkId !== undefined && id !== networkId);
    if (rest.length > 0) this.#write(containerId, Object.fromEntries(rest));
    else {
      this.#leases.delete(containerId);
      this.#records.delete(containerId);
    }
  }

  #remember(containerId: string, networkId: string, taken: Partial<Record<Family, EndpointAddress>>): void {
    const lease = this.#leases.get(containerId) ?? {};
    const before = lease[networkId];
    const now = ipsOf(taken);
    if (before?.ipv4 === now.ipv4 && before?.ipv6 === now.ipv6) return;
    for (const [pool, address] of this.#pairs(networkId, lease[networkId])) pool.unkeep(address);
    const after = { ...lease, [networkId]: now };
    for (const [pool, address] of this.#pairs(networkId, after[networkId])) pool.keep(address);
    this.#write(containerId, after);
  }

  #write(containerId: string, lease: Lease): void {
    this.#leases.set(containerId, lease);
    this.#records.put(containerId, { containerId, lease });
  }

  /** Each address with the pool it is of. */
  #pairs(networkId: string, addresses: Partial<Record<Family, Ip>> = {}): readonly (readonly [Pool, Ip])[] {
    const pools = this.#pools.get(networkId);
    return FAMILIES.flatMap((family) => {
      const [pool, address] = [pools?.[family], addresses[family]];
      return pool === undefined || address === undefined ? [] : [[pool, address] as const];
    });
  }
}

function ipsOf(addresses: Partial<Record<Family, EndpointAddress>>): Partial<Record<Family, Ip>> {
  const ips: Partial<Record<Family, Ip>> = {};
  for (const family of FAMILIES) {
    const address = addresses[family]?.address;
    if (address !== undefined) ips[family] = address;
  }
  return ips;
}

function poolOf(network: AddressedNetwork, addressing: Addressing): Pool {
  const { subnet, ipRange, gateway, auxAddresses, defaultGateway } = addressing;
  const reserved: readonly Ip[] = [
    gateway.address,
    ...Object.values(auxAddresses),
    ...(defaultGateway ? [defaultGateway] : []),
  ];
  return network.driver === 'overlay'
    ? new BlockPool(subnet, ipRange, [...reserved, ...edgeAddresses(subnet)])
    : new AddressPool<Ip>(subnet, ipRange, reserved);
}

function takeOne(
  network: AddressedNetwork,
  pool: Pool,
  family: Family,
  wanted: Ip | undefined,
  before: Ip | undefined,
): Ip {
  if (wanted === undefined) {
    if (before !== undefined && pool.take(before) === 'taken') return before;
    const address = pool.allocate();
    if (address !== undefined) return address;
    const name = family === 'ipv4' ? 'IPv4' : 'IPv6';
    throw system(
      `failed to set up container networking: no available ${name} addresses on this network's address pools: ${network.name} (${network.id})`,
    );
  }
  switch (pool.take(wanted)) {
    case 'taken':
      return wanted;
    case 'outside':
      throw outside(network, wanted);
    case 'in-use':
      throw forbidden('failed to set up container networking: Address already in use');
  }
}

const outside = (network: AddressedNetwork, wanted: Ip): Error =>
  invalid(
    `invalid config for network ${network.name}: invalid endpoint settings:\nno configured subnet or ip-range contain the IP address ${wanted}`,
  );
