import type { Ip } from '../model/address.ts';
import { addressesOf, type Endpoint } from '../model/network.ts';

export interface AddressName {
  readonly name: string;
  readonly network?: string;
}

/** Where the names are found. */
export interface NameSource {
  endpoints(): readonly Endpoint[];
  endpointsOf(containerId: string): readonly Endpoint[];
  /** As it is now: an endpoint keeps the name of its container's start. */
  containerName(containerId: string): string | undefined;
  networkName(networkId: string): string;
  /** The host's own addresses. */
  hostAddresses(): readonly string[];
}

/** Who has an address: one lookup, however many there are. */
export class AddressNames {
  readonly #source: NameSource;
  readonly #containers = new Map<string, AddressName>();
  #host: ReadonlySet<string> = new Set();

  constructor(source: NameSource) {
    this.#source = source;
    for (const endpoint of source.endpoints()) this.#add(endpoint);
    this.followHost();
  }

  find(address: Ip): AddressName | undefined {
    return this.#containers.get(address) ?? (this.#host.has(address) ? { name: 'host' } : undefined);
  }

  /**
   * A container got an endpoint, or another name. One that is gone keeps its name until somebody else has the address:
   * the end of its connections is told after it.
   */
  follow(containerId: string): void {
    for (const endpoint of this.#source.endpointsOf(containerId)) this.#add(endpoint);
  }

  /** The host may have got other addresses. */
  followHost(): void {
    this.#host = new Set(this.#source.hostAddresses());
  }

  #add(endpoint: Endpoint): void {
    const name = {
      name: this.#source.containerName(endpoint.containerId) ?? endpoint.containerName,
      network: this.#source.networkName(endpoint.networkId),
    };
    for (const { address } of addressesOf(endpoint)) this.#containers.set(address, name);
  }
}
