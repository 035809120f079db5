import type { Sandbox } from '../../model/network.ts';
import type { Collection, Store } from '../store.ts';
import type { EndpointRecord } from './settings.ts';
import { upgradeEndpoint } from './upgrade.ts';

/** Sandboxes and their endpoints: in the store and, by container, in memory. */
export class SandboxTable {
  readonly #store: Store;
  readonly #sandboxRecords: Collection<Sandbox>;
  readonly #endpointRecords: Collection<EndpointRecord>;
  readonly #sandboxes = new Map<string, Sandbox>();
  /** By sandbox id, in the order of attachment. */
  readonly #endpoints = new Map<string, readonly EndpointRecord[]>();

  constructor(store: Store) {
    this.#store = store;
    this.#sandboxRecords = store.collection('sandboxes');
    this.#endpointRecords = store.collection('endpoints');
    for (const sandbox of this.#sandboxRecords.all()) this.#sandboxes.set(sandbox.containerId, sandbox);
    for (const endpoint of this.#endpointRecords.all().map(upgradeEndpoint)) {
      this.#endpoints.set(endpoint.sandboxId, [...this.endpoints(endpoint.sandboxId), endpoint]);
    }
  }

  sandboxes(): readonly Sandbox[] {
    return [...this.#sandboxes.values()];
  }

  allEndpoints(): readonly EndpointRecord[] {
    return [...this.#endpoints.values()].flat();
  }

  endpointsOf(networkId: string): readonly EndpointRecord[] {
    return this.allEndpoints().filter((endpoint) => endpoint.networkId === networkId);
  }

  sandbox(containerId: string): Sandbox | undefined {
    return this.#sandboxes.get(containerId);
  }

  endpoints(sandboxId: string | undefined): readonly EndpointRecord[] {
    return this.#endpoints.get(sandboxId ?? '') ?? [];
  }

  addSandbox(sandbox: Sandbox): void {
    this.#sandboxRecords.put(sandbox.id, sandbox);
    this.#sandboxes.set(sandbox.containerId, sandbox);
  }

  /** Makes these all the endpoints of a sandbox, in this order; those that are not among them are gone. */
  setEndpoints(sandboxId: string, endpoints: readonly EndpointRecord[]): void {
    this.#store.transaction(() => this.#write(sandboxId, endpoints));
    if (endpoints.length > 0) this.#endpoints.set(sandboxId, endpoints);
    else this.#endpoints.delete(sandboxId);
  }

  /** The sandbox with everything in it. */
  remove(sandbox: Sandbox): void {
    this.#store.transaction(() => {
      this.#write(sandbox.id, []);
      this.#sandboxRecords.delete(sandbox.id);
    });
    this.#endpoints.delete(sandbox.id);
    this.#sandboxes.delete(sandbox.containerId);
  }

  #write(sandboxId: string, after: readonly EndpointRecord[]): void {
    const before = this.endpoints(sandboxId);
    const kept = new Set(after.map(({ id }) => id));
    for (const { id } of before) if (!kept.has(id)) this.#endpointRecords.delete(id);
    for (const endpoint of after) {
      if (!before.includes(endpoint)) this.#endpointRecords.put(endpoint.id, endpoint);
    }
  }
}
