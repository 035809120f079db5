import type { Ip } from '../model/address.ts';

/** What one endpoint is called on its network. The first name is the one a reverse lookup gives. */
export interface NamedEndpoint {
  readonly endpointId: string;
  readonly networkId: string;
  readonly networkName: string;
  /** One or two, of different families. */
  readonly addresses: readonly Ip[];
  /** Container name, aliases, 12-digit short id, hostname: Docker's order (libnetwork sandbox.go). */
  readonly names: readonly string[];
}

interface Zone {
  readonly name: string;
  /** Lower-case name → endpoints that carry it; a Map per name, so that leaving costs the same with ten or ten thousand. */
  readonly byName: Map<string, Map<string, readonly Ip[]>>;
  readonly byAddress: Map<Ip, NamedEndpoint>;
}

/** The names of every endpoint of this host, a zone per network. All operations are O(names of one endpoint). */
export class NameTable {
  readonly #zones = new Map<string, Zone>();
  readonly #endpoints = new Map<string, NamedEndpoint>();

  add(endpoint: NamedEndpoint): void {
    this.remove(endpoint.endpointId);
    let zone = this.#zones.get(endpoint.networkId);
    if (zone === undefined) {
      zone = { name: endpoint.networkName.toLowerCase(), byName: new Map(), byAddress: new Map() };
      this.#zones.set(endpoint.networkId, zone);
    }
    for (const name of endpoint.names) {
      const key = name.toLowerCase();
      const carriers = zone.byName.get(key);
      if (carriers === undefined) zone.byName.set(key, new Map([[endpoint.endpointId, endpoint.addresses]]));
      else carriers.set(endpoint.endpointId, endpoint.addresses);
    }
    for (const address of endpoint.addresses) zone.byAddress.set(address, endpoint);
    this.#endpoints.set(endpoint.endpointId, endpoint);
  }

  remove(endpointId: string): void {
    const endpoint = this.#endpoints.get(endpointId);
    const zone = endpoint && this.#zones.get(endpoint.networkId);
    if (endpoint === undefined || zone === undefined) return;
    this.#endpoints.delete(endpointId);
    for (const name of endpoint.names) {
      const key = name.toLowerCase();
      const carriers = zone.byName.get(key);
      carriers?.delete(endpointId);
      if (carriers?.size === 0) zone.byName.delete(key);
    }
    for (const address of endpoint.addresses) {
      if (zone.byAddress.get(address)?.endpointId === endpointId) zone.byAddress.delete(address);
    }
    if (zone.byAddress.size === 0) this.#zones.delete(endpoint.networkId);
  }

  /**
   * Addresses of `name`, of both families, as seen from these networks, in the order of the networks; empty when nobody carries it.
   * A dotted name is tried whole, then as `name.network` with ever more labels taken for the network's name (libnetwork
   * sandbox.go, ResolveName), so that container names may have dots.
   */
  find(name: string, networkIds: readonly string[]): readonly Ip[] {
    const wanted = name.toLowerCase().replace(/\.$/, '');
    for (let end = wanted.length; end > 0; end = wanted.lastIndexOf('.', end - 1)) {
      const host = wanted.slice(0, end);
      const network = end === wanted.length ? undefined : wanted.slice(end + 1);
      for (const id of networkIds) {
        const zone = this.#zones.get(id);
        if (zone === undefined || (network !== undefined && network !== zone.name)) continue;
        const carriers = zone.byName.get(host);
        if (carriers !== undefined) return [...new Set([...carriers.values()].flat())];
      }
    }
    return [];
  }

  /** `name.network` of the endpoint that has this address. */
  reverse(address: Ip, networkIds: readonly string[]): string | undefined {
    for (const id of networkIds) {
      const endpoint = this.#zones.get(id)?.byAddress.get(address);
      if (endpoint?.names[0] !== undefined) return `${endpoint.names[0]}.${endpoint.networkName}`;
    }
    return undefined;
  }
}
