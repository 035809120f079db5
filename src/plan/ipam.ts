import { bigIntToIp, bitsOf, contains, type Ip, ipToBigInt, isIpv4, type Prefix } from '../model/address.ts';

/**
 * The addresses of one subnet. Gives the lowest free one, as Docker does; amortised O(1). An address may be kept for
 * somebody who is away: it is given to others only when nothing else is left.
 */
export class AddressPool<A extends Ip = Ip> {
  readonly #first: bigint;
  readonly #last: bigint;
  readonly #subnet: Prefix<A>;
  readonly #used = new Set<bigint>();
  readonly #kept = new Set<bigint>();
  /** What no host can have: the network's address, and the broadcast address of IPv4. */
  readonly #edges = new Set<bigint>();
  /** Nothing below is free. */
  #lowest: bigint;

  /**
   * @param range dynamic addresses come from here (`--ip-range`); the whole subnet when absent
   * @param reserved never given: the gateway, `--aux-address`
   * @param hosts `all`: no address of the subnet is special
   */
  constructor(
    subnet: Prefix<A>,
    range: Prefix<A> | undefined,
    reserved: readonly A[],
    hosts: 'usual' | 'all' = 'usual',
  ) {
    const bits = bitsOf(subnet.address);
    const size = (length: number): bigint => 1n << BigInt(bits - length);
    const inside = range ?? subnet;
    const base = ipToBigInt(inside.address);
    const end = base + size(inside.length) - 1n;
    const network = ipToBigInt(subnet.address);
    // RFC 3021, RFC 6164: of two addresses neither is special. IPv6 has no broadcast, its first is the routers' anycast
    // address (RFC 4291 §2.6.1).
    const wide = hosts === 'usual' && subnet.length < bits - 1;
    const broadcast = network + size(subnet.length) - 1n;
    this.#subnet = subnet;
    this.#first = wide && base === network ? base + 1n : base;
    this.#last = wide && isIpv4(subnet.address) && end === broadcast ? end - 1n : end;
    if (wide) this.#edges.add(network);
    if (wide && isIpv4(subnet.address)) this.#edges.add(broadcast);
    this.#lowest = this.#first;
    for (const address of reserved) this.#used.add(ipToBigInt(address));
  }

  /** @returns undefined when there is none left */
  allocate(): A | undefined {
    for (let value = this.#lowest; value <= this.#last; value++) {
      if (this.#used.has(value) || this.#kept.has(value)) continue;
      this.#lowest = value + 1n;
      return this.#give(value);
    }
    this.#lowest = this.#last + 1n;
    for (const value of this.#kept) if (this.#isFree(value)) return this.#give(value);
    return undefined;
  }

  /** Takes a chosen address. */
  take(address: A): 'taken' | 'in-use' | 'outside' {
    const value = ipToBigInt(address);
    if (!contains(this.#subnet, address)) return 'outside';
    if (this.#used.has(value) || this.#edges.has(value)) return 'in-use';
    this.#give(value);
    return 'taken';
  }

  /** Gives the address to nobody else while others are left. */
  keep(address: A): void {
    this.#kept.add(ipToBigInt(address));
  }

  unkeep(address: A): void {
    const value = ipToBigInt(address);
    if (this.#kept.delete(value)) this.#lower(value);
  }

  release(address: A): void {
    const value = ipToBigInt(address);
    if (this.#used.delete(value)) this.#lower(value);
  }

  #isFree(value: bigint): boolean {
    return !this.#used.has(value) && value >= this.#first && value <= this.#last;
  }

  #give(value: bigint): A {
    this.#used.add(value);
    return bigIntToIp(value, this.#subnet.address);
  }

  #lower(value: bigint): void {
    if (this.#isFree(value) && value < this.#lowest) this.#lowest = value;
  }
}
