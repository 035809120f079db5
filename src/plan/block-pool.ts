import { contains, type Ip, type Prefix } from '../model/address.ts';
import { AddressPool } from './ipam.ts';

/** The addresses of the blocks of a subnet that belong to this host; more blocks may come. */
export class BlockPool implements Pick<AddressPool, 'allocate' | 'take' | 'keep' | 'unkeep' | 'release'> {
  readonly #pools: { readonly block: Prefix; readonly pool: AddressPool }[] = [];
  readonly #subnet: Prefix;
  readonly #range: Prefix;
  readonly #reserved: readonly Ip[];

  /**
   * @param range addresses that nobody chose come from here (`--ip-range`); the whole subnet when absent
   * @param reserved never given: the gateway, `--aux-address`, and what no host of the subnet can have
   */
  constructor(subnet: Prefix, range: Prefix | undefined, reserved: readonly Ip[]) {
    this.#subnet = subnet;
    this.#range = range ?? subnet;
    this.#reserved = reserved;
  }

  add(block: Prefix): void {
    if (this.#pools.some(({ block: known }) => known.address === block.address)) return;
    const reserved = this.#reserved.filter((address) => contains(block, address));
    // Every address of a block is a host's: only the subnet has edges.
    this.#pools.push({ block, pool: new AddressPool(block, undefined, reserved, 'all') });
  }

  /** It is another host's now. */
  remove(block: Prefix): void {
    const index = this.#pools.findIndex(({ block: known }) => known.address === block.address);
    if (index >= 0) this.#pools.splice(index, 1);
  }

  hasFree(): boolean {
    const address = this.allocate();
    if (address !== undefined) this.release(address);
    return address !== undefined;
  }

  allocate(): Ip | undefined {
    for (const { block, pool } of this.#pools) {
      if (!contains(this.#range, block.address)) continue;
      const address = pool.allocate();
      if (address !== undefined) return address;
    }
    return undefined;
  }

  /** `outside` too where the block is another host's. */
  take(address: Ip): 'taken' | 'in-use' | 'outside' {
    if (!contains(this.#subnet, address)) return 'outside';
    if (this.#reserved.includes(address)) return 'in-use';
    return this.#of(address)?.take(address) ?? 'outside';
  }

  keep(address: Ip): void {
    this.#of(address)?.keep(address);
  }

  unkeep(address: Ip): void {
    this.#of(address)?.unkeep(address);
  }

  release(address: Ip): void {
    this.#of(address)?.release(address);
  }

  #of(address: Ip): AddressPool | undefined {
    return this.#pools.find(({ block }) => contains(block, address))?.pool;
  }
}
