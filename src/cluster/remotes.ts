import type { Logger } from 'pino';
import type { Collection } from '../engine/store.ts';
import type { RemoteEndpoint } from '../model/overlay.ts';
import type { ClusterStore } from './cluster-store.ts';
import { Mirror } from './mirror.ts';

/** The endpoints of one network, and those of other hosts by their id and by their host: what changed is found at once. */
export class Remotes {
  /** An endpoint of another host came, went, or is another. */
  onChange: (endpointId: string) => void = () => {};
  readonly mirror: Mirror<RemoteEndpoint>;
  readonly #ownId: string;
  readonly #byId = new Map<string, RemoteEndpoint>();
  readonly #byHost = new Map<string, Set<string>>();

  constructor(
    remote: ClusterStore,
    networkId: string,
    ownId: string,
    local: Collection<{ readonly key: string; readonly value: RemoteEndpoint }>,
    log: Logger,
  ) {
    this.#ownId = ownId;
    this.mirror = new Mirror(remote, `eps/${networkId}/`, local, log);
    for (const endpoint of this.mirror.values()) this.#add(endpoint);
    this.mirror.onChange = (key, endpoint) => {
      // eps/<network>/<host>/<endpoint>
      const [, , nodeId = '', id = ''] = key.split('/');
      if (nodeId === ownId) return;
      if (endpoint === undefined) this.#remove(nodeId, id);
      else this.#add(endpoint);
      this.onChange(id);
    };
  }

  get(endpointId: string): RemoteEndpoint | undefined {
    return this.#byId.get(endpointId);
  }

  values(): readonly RemoteEndpoint[] {
    return [...this.#byId.values()];
  }

  /** Ids of what is on that host; none for this one. */
  ofHost(nodeId: string): ReadonlySet<string> {
    return this.#byHost.get(nodeId) ?? new Set();
  }

  #add(endpoint: RemoteEndpoint): void {
    const { id, nodeId } = endpoint;
    if (nodeId === this.#ownId) return;
    this.#byId.set(id, endpoint);
    const there = this.#byHost.get(nodeId);
    if (there === undefined) this.#byHost.set(nodeId, new Set([id]));
    else there.add(id);
  }

  #remove(nodeId: string, id: string): void {
    if (this.#byId.get(id)?.nodeId === nodeId) this.#byId.delete(id);
    const there = this.#byHost.get(nodeId);
    there?.delete(id);
    if (there?.size === 0) this.#byHost.delete(nodeId);
  }
}
