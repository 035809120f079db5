import { contains, type Ipv4, ipv4ToNumber, numberToIpv4, type Prefix } from '../model/address.ts';

/** The addresses of one subnet. Gives the lowest free one, as Docker does; amortised O(1). */
export class AddressPool {
  readonly #first: number;
  readonly #last: number;
  readonly #subnet: Prefix;
  readonly #used = new Set<number>();
  /** Nothing below is free. */
  #lowest: number;

  /**
   * @param range dynamic addresses come from here (`--ip-range`); the whole subnet when absent
   * @param reserved never given: the gateway, `--aux-address`
   */
  constructor(subnet: Prefix, range: Prefix | undefined, reserved: readonly Ipv4[]) {
    const inside = range ?? subnet;
    const base = ipv4ToNumber(inside.address);
    const size = 2 ** (32 - inside.length);
    const network = ipv4ToNumber(subnet.address);
    const broadcast = network + 2 ** (32 - subnet.length) - 1;
    // RFC 3021: a /31 has neither network nor broadcast address, and a /32 is its only address.
    const wide = subnet.length < 31;
    this.#subnet = subnet;
    this.#first = wide ? Math.max(base, network + 1) : base;
    this.#last = wide ? Math.min(base + size - 1, broadcast - 1) : base + size - 1;
    this.#lowest = this.#first;
    for (const address of reserved) this.#used.add(ipv4ToNumber(address));
  }

  /** @returns undefined when there is none left */
  allocate(): Ipv4 | undefined {
    for (let value = this.#lowest; value <= this.#last; value++) {
      if (this.#used.has(value)) continue;
      this.#used.add(value);
      this.#lowest = value + 1;
      return numberToIpv4(value);
    }
    this.#lowest = this.#last + 1;
    return undefined;
  }

  /** Takes a chosen address. */
  take(address: Ipv4): 'taken' | 'in-use' | 'outside' {
    const value = ipv4ToNumber(address);
    if (!contains(this.#subnet, address)) return 'outside';
    if (this.#used.has(value)) return 'in-use';
    this.#used.add(value);
    return 'taken';
  }

  release(address: Ipv4): void {
    const value = ipv4ToNumber(address);
    if (this.#used.delete(value) && value >= this.#first) this.#lowest = Math.min(this.#lowest, value);
  }
}
