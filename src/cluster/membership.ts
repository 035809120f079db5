import type { Logger } from 'pino';
import type { Store } from '../engine/store.ts';
import { notFound, system, unavailable } from '../model/errors.ts';
import type { ClusterNode } from '../model/overlay.ts';
import type { ClusterStore, Guard, Write } from './cluster-store.ts';
import { Mirror } from './mirror.ts';

/** A host that does not renew for so long is taken for dead: its containers leave the names, not the data path. */
const NODE_LEASE_SECONDS = 15;

const inOrder = new Intl.Collator('en', { numeric: true });

/**
 * Who belongs to the cluster, and this host among them. `hosts/<id>` is there from a host's first connection until it is
 * forgotten; `alive/<id>` only while it renews its lease.
 */
export class Membership {
  readonly node: ClusterNode;
  readonly hosts: Mirror<ClusterNode>;
  readonly alive: Mirror<string>;
  readonly #remote: ClusterStore;
  /** Of our key below `hosts/`: every write of ours is refused once another daemon took our place. */
  #generation: Guard | undefined;
  #letGo: (() => void) | undefined;

  constructor(remote: ClusterStore, local: Store, node: ClusterNode, log: Logger) {
    this.node = node;
    this.#remote = remote;
    this.hosts = new Mirror(remote, 'hosts/', local.collection('cluster_hosts'), log);
    this.alive = new Mirror(remote, 'alive/', undefined, log);
  }

  /** Every host, whether it lives or not: by name and then by address, the same on all. */
  list(): readonly ClusterNode[] {
    return this.hosts
      .values()
      .toSorted((a, b) => inOrder.compare(a.name, b.name) || inOrder.compare(a.address, b.address));
  }

  /** @param ref name, id or its beginning. @throws EngineError NOT_FOUND unless it names one host */
  find(ref: string): ClusterNode {
    const all = this.list();
    const found = all.filter(({ id, name }) => name === ref || id.startsWith(ref));
    const [host] = found;
    if (host !== undefined && found.length === 1) return host;
    const names = all.map(({ id, name }) => `${name} (${id.slice(0, 12)})`);
    throw notFound(
      `${found.length} hosts of the cluster are called ${JSON.stringify(ref)}; there are ${names.join(', ')}`,
    );
  }

  isAlive(nodeId: string): boolean {
    return this.alive.get(`alive/${nodeId}`) !== undefined;
  }

  get(nodeId: string): ClusterNode | undefined {
    return this.hosts.get(`hosts/${nodeId}`);
  }

  /** Not before the first connection, and no more once the cluster has forgotten this host. */
  hasPlace(): boolean {
    return this.#generation !== undefined;
  }

  /**
   * Takes this host's place, with a new lease.
   * @param within milliseconds for each call
   * @returns `new` where this daemon had no place before: what the host owns in the store has to be looked at again
   * @throws EngineError UNAVAILABLE
   */
  async register(onLost: () => void, within: number): Promise<'new' | 'known'> {
    const { id } = this.node;
    const known = this.#generation !== undefined;
    if (!known) {
      const revision = await this.#remote.commit([], [{ put: `hosts/${id}`, value: this.node }], within);
      this.#generation = { key: `hosts/${id}`, is: 'at', revision: revision ?? '' };
    }
    this.close();
    const lease = await this.#remote.lease(NODE_LEASE_SECONDS, onLost, within);
    this.#letGo = lease.letGo;
    await this.commit(
      [],
      [{ put: `alive/${id}`, value: new Date().toISOString(), lease: lease.id }, { remove: `gone/${id}` }],
      within,
    );
    return known ? 'known' : 'new';
  }

  /** The host stays a member for the others until its lease ends. */
  close(): void {
    this.#letGo?.();
    this.#letGo = undefined;
  }

  /**
   * Every write of this host. @returns undefined when one of the guards does not hold
   * @throws EngineError UNAVAILABLE before the first connection and after the host was forgotten, SYSTEM once another
   * daemon has this host's place
   */
  async commit(
    guards: readonly Guard[],
    writes: readonly Write[],
    within?: number,
  ): Promise<string | undefined> {
    const generation = this.#generation;
    if (generation === undefined) throw unavailable('the cluster store was not reached yet');
    const revision = await this.#remote.commit([generation, ...guards], writes, within);
    if (revision !== undefined) return revision;
    const now = await this.#remote.get(generation.key, within);
    if (generation.is === 'at' && now?.revision === generation.revision) return undefined;
    if (now === undefined) {
      this.#generation = undefined;
      throw unavailable('the cluster had forgotten this host; it joins anew');
    }
    const { id } = this.node;
    throw system(`another daemon has taken the place of this host (${id.slice(0, 12)}) in the cluster`);
  }
}
