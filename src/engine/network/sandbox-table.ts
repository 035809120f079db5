import type { Sandbox } from '../../model/network.ts';
import type { Collection, Store } from '../store.ts';
import type { EndpointRecord } from './settings.ts';

/** Sandboxes and their endpoints: in the store and, by container, in memory. */
export class SandboxTable {
  readonly #store: Store;
  readonly #sandboxRecords: Collection<Sandbox>;
  readonly #endpointRecords: Collection<EndpointRecord>;
  readonly #sandboxes = new Map<string, Sandbox>();
  /** By sandbox id, in the order of attachment. */
  readonly #endpoints = new Map<string, EndpointRecord[]>();

  constructor(store: Store) {
    this.#store = store;
    this.#sandboxRecords = store.collection('sandboxes');
    this.#endpointRecords = store.collection('endpoints');
    for (const sandbox of this.#sandboxRecords.all()) this.#sandboxes.set(sandbox.containerId, sandbox);
    for (const endpoint of this.#endpointRecords.all()) this.#place(endpoint);
  }

  sandboxes(): readonly Sandbox[] {
    return [...this.#sandboxes.values()];
  }

  allEndpoints(): readonly EndpointRecord[] {
    return [...this.#endpoints.values()].flat();
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

  /** Adds endpoints and replaces those with the same id, all or none. */
  putEndpoints(endpoints: readonly EndpointRecord[]): void {
    this.#store.transaction(() => {
      for (const endpoint of endpoints) this.#endpointRecords.put(endpoint.id, endpoint);
    });
    for (const endpoint of endpoints) this.#place(endpoint);
  }

  /** @param whole the sandbox goes as well. @param heir an endpoint that changes in the same moment */
  remove(
    sandbox: Sandbox,
    endpoints: readonly EndpointRecord[],
    whole: boolean,
    heir?: EndpointRecord,
  ): void {
    this.#store.transaction(() => {
      for (const endpoint of endpoints) this.#endpointRecords.delete(endpoint.id);
      if (heir !== undefined) this.#endpointRecords.put(heir.id, heir);
      if (whole) this.#sandboxRecords.delete(sandbox.id);
    });
    if (heir !== undefined) this.#place(heir);
    const gone = new Set(endpoints.map((endpoint) => endpoint.id));
    const rest = this.endpoints(sandbox.id).filter((endpoint) => !gone.has(endpoint.id));
    if (rest.length > 0) this.#endpoints.set(sandbox.id, rest);
    else this.#endpoints.delete(sandbox.id);
    if (whole) this.#sandboxes.delete(sandbox.containerId);
  }

  #place(endpoint: EndpointRecord): void {
    const list = this.#endpoints.get(endpoint.sandboxId) ?? [];
    const at = list.findIndex((known) => known.id === endpoint.id);
    if (at === -1) this.#endpoints.set(endpoint.sandboxId, [...list, endpoint]);
    else list[at] = endpoint;
  }
}
