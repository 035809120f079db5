import { isDeepStrictEqual } from 'node:util';
import type { Collection, Store } from '../engine/store.ts';
import type { RemoteEndpoint } from '../model/overlay.ts';
import type { ClusterStore } from './cluster-store.ts';
import type { Membership } from './membership.ts';

/** This host's endpoints as the others are to know them: on disk at once, in the store as soon as it can be reached. */
export class OwnEndpoints {
  readonly #remote: ClusterStore;
  readonly #membership: Membership;
  readonly #records: Collection<{ readonly key: string; readonly endpoint: RemoteEndpoint }>;
  readonly #wanted = new Map<string, RemoteEndpoint>();
  readonly #dirty = new Set<string>();
  #flushing: Promise<void> | undefined;

  constructor(remote: ClusterStore, local: Store, membership: Membership) {
    this.#remote = remote;
    this.#membership = membership;
    this.#records = local.collection('cluster_endpoints');
    for (const { key, endpoint } of this.#records.all()) this.#want(key, endpoint);
  }

  /** Changes that the store does not have yet. */
  get waiting(): number {
    return this.#dirty.size;
  }

  put(endpoint: Omit<RemoteEndpoint, 'nodeId'>): void {
    const key = this.#key(endpoint.networkId, endpoint.id);
    const whole = { ...endpoint, nodeId: this.#membership.node.id };
    this.#records.put(key, { key, endpoint: whole });
    this.#want(key, whole);
  }

  /** @returns whether it was there */
  remove(networkId: string, endpointId: string): boolean {
    const key = this.#key(networkId, endpointId);
    if (!this.#wanted.delete(key)) return false;
    this.#records.delete(key);
    this.#dirty.add(key);
    return true;
  }

  /**
   * What the store has otherwise is to be written anew, and what it has of this host from before a crash goes.
   * @throws EngineError UNAVAILABLE
   */
  async refresh(networkIds: readonly string[], within: number): Promise<void> {
    const prefixes = networkIds.map((id) => `eps/${id}/${this.#membership.node.id}/`);
    const entries = await this.#remote.listEach<RemoteEndpoint>(prefixes, within);
    const there = new Map(entries.map(({ key, value }) => [key, value]));
    for (const key of there.keys()) if (!this.#wanted.has(key)) this.#dirty.add(key);
    for (const [key, endpoint] of this.#wanted) {
      if (isDeepStrictEqual(there.get(key), endpoint)) this.#dirty.delete(key);
      else this.#dirty.add(key);
    }
  }

  /** One at a time, however often it is asked for. @throws EngineError UNAVAILABLE */
  flush(): Promise<void> {
    this.#flushing ??= this.#flushAll().finally(() => {
      this.#flushing = undefined;
    });
    return this.#flushing;
  }

  async #flushAll(): Promise<void> {
    for (const key of this.#dirty) {
      const endpoint = this.#wanted.get(key);
      const write = endpoint === undefined ? { remove: key } : { put: key, value: endpoint };
      await this.#membership.commit([], [write]);
      if (this.#wanted.get(key) === endpoint) this.#dirty.delete(key);
    }
  }

  #want(key: string, endpoint: RemoteEndpoint): void {
    this.#wanted.set(key, endpoint);
    this.#dirty.add(key);
  }

  #key(networkId: string, endpointId: string): string {
    return `eps/${networkId}/${this.#membership.node.id}/${endpointId}`;
  }
}
