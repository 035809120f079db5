import type { Ip } from '../model/address.ts';
import { addressesOf, type Endpoint } from '../model/network.ts';
import type { RemoteEndpoint } from '../model/overlay.ts';

export interface AddressName {
  readonly name: string;
  readonly network?: string;
  /** The network is one over several hosts. */
  readonly overlay?: boolean;
}

/** Where the names are found. */
export interface NameSource {
  endpoints(): readonly Endpoint[];
  endpointsOf(containerId: string): readonly Endpoint[];
  /** As it is now: an endpoint keeps the name of its container's start. */
  containerName(containerId: string): string | undefined;
  network(networkId: string): { readonly name: string; readonly overlay: boolean };
  /** On other hosts, of overlay networks. */
  remotes(): readonly RemoteEndpoint[];
  /** The host's own addresses. */
  hostAddresses(): readonly string[];
}

/** Who has an address: one lookup, however many there are. */
export class AddressNames {
  readonly #source: NameSource;
  readonly #containers = new Map<string, AddressName>();
  #remotes: ReadonlyMap<string, AddressName> = new Map();
  #host: ReadonlySet<string> = new Set();
  #anyOverlay = false;

  constructor(source: NameSource) {
    this.#source = source;
    for (const endpoint of source.endpoints()) this.#add(endpoint);
    this.refresh();
  }

  find(address: Ip): AddressName | undefined {
    const container = this.#containers.get(address) ?? this.#remotes.get(address);
    return container ?? (this.#host.has(address) ? { name: 'host' } : undefined);
  }

  /** Whether there is a container on a network over several hosts. */
  get anyOverlay(): boolean {
    return this.#anyOverlay;
  }

  /**
   * A container got an endpoint, or another name. One that is gone keeps its name until somebody else has the address:
   * the end of its connections is told after it.
   */
  follow(containerId: string): void {
    for (const endpoint of this.#source.endpointsOf(containerId)) this.#add(endpoint);
  }

  /** The host may have got other addresses, and other hosts other containers. Costs a listing. */
  refresh(): void {
    this.#host = new Set(this.#source.hostAddresses());
    this.#remotes = new Map(
      this.#source.remotes().flatMap(({ containerName: name, networkId, ipv4, ipv6 }) => {
        const remote = { name, network: this.#source.network(networkId).name, overlay: true };
        return [ipv4, ipv6].flatMap((address) => (address === undefined ? [] : [[address, remote] as const]));
      }),
    );
  }

  #add(endpoint: Endpoint): void {
    const network = this.#source.network(endpoint.networkId);
    const name = {
      name: this.#source.containerName(endpoint.containerId) ?? endpoint.containerName,
      network: network.name,
      overlay: network.overlay,
    };
    this.#anyOverlay ||= network.overlay;
    for (const { address } of addressesOf(endpoint)) this.#containers.set(address, name);
  }
}
