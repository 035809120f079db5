import type { Logger } from 'pino';
import type { Collection, Store } from '../engine/store.ts';
import { errors, system, unavailable } from '../model/errors.ts';
import type { ClusterNode, OverlaySpec, RemoteEndpoint } from '../model/overlay.ts';
import { Blocks } from './blocks.ts';
import type { ClusterStore, Guard, Write } from './cluster-store.ts';
import { Mirror } from './mirror.ts';

/** What the cluster tells the engine of this host. */
export interface ClusterListener {
  networkCame(spec: OverlaySpec): void;
  networkWent(id: string): void;
  /** Endpoints of other hosts, or the hosts themselves, are others than before on this network. */
  remotesChanged(networkId: string): void;
  /** A host came, went, or has another address. */
  nodesChanged?(): void;
}

export interface ClusterOptions {
  readonly remote: ClusterStore;
  readonly local: Store;
  readonly node: ClusterNode;
  readonly log: Logger;
}

/** A host that does not renew for so long is taken for dead: its containers leave the names, not the data path. */
const NODE_LEASE_SECONDS = 15;
const RETRY_MS = [250, 500, 1000, 2000, 5000] as const;
/** RFC 7348 has 24 bits; Docker's begin at 4096. */
const FIRST_VNI = 4096;
const LAST_VNI = 2 ** 24 - 1;

/**
 * This host's part in the cluster: what all hosts agree on is mirrored here and kept on disk, so that it is known while
 * the store is away; what this host has to say is said when the store can be reached, however often it is lost.
 */
export class Cluster {
  readonly node: ClusterNode;
  readonly blocks: Blocks;
  readonly #remote: ClusterStore;
  readonly #log: Logger;
  readonly #networks: Mirror<OverlaySpec>;
  readonly #nodes: Mirror<ClusterNode>;
  readonly #endpoints = new Map<string, Mirror<RemoteEndpoint>>();
  /** Kept on disk: a daemon that starts while the store is away leaves the data path as it is. */
  readonly #remotes: Collection<{ readonly key: string; readonly value: RemoteEndpoint }>;
  readonly #addresses: Collection<ClusterNode>;
  /** Own endpoints by key, as they are to be in the store. */
  readonly #own: Collection<{ readonly key: string; readonly endpoint: RemoteEndpoint }>;
  readonly #wanted = new Map<string, RemoteEndpoint>();
  readonly #dirty = new Set<string>();
  /** Networks whose remotes are others since the listener looked. */
  readonly #changed = new Set<string>();
  #listener: ClusterListener | undefined;
  #nodesTold = false;
  /** Of our generation's key: every write of ours is refused once another daemon took our place. */
  #generation: Guard | undefined;
  #flushing: Promise<void> | undefined;
  #state: 'connecting' | 'connected' | 'away' | 'closed' = 'connecting';
  #since = Date.now();
  #attempt = 0;
  #retry: NodeJS.Timeout | undefined;
  #endLease: (() => void) | undefined;

  constructor(options: ClusterOptions) {
    const { remote, local, node, log } = options;
    this.node = node;
    this.#remote = remote;
    this.#log = log;
    this.#networks = new Mirror(remote, 'nets/', local.collection('cluster_networks'), log);
    this.#addresses = local.collection('cluster_addresses');
    this.#nodes = new Mirror(remote, 'nodes/', undefined, log);
    this.#remotes = local.collection('cluster_remotes');
    this.#own = local.collection('cluster_endpoints');
    for (const { key, endpoint } of this.#own.all()) this.#want(key, endpoint);
    this.blocks = new Blocks(remote, local, node.id, (guards, writes) => this.#commit(guards, writes));
  }

  /** Begins, and goes on by itself: nothing of this host waits for the store. */
  start(listener: ClusterListener): void {
    this.#listener = listener;
    this.#networks.onChange = (key, spec) => {
      const id = key.slice('nets/'.length);
      if (spec === undefined) {
        this.leave(id);
        listener.networkWent(id);
      } else listener.networkCame(spec);
    };
    this.#nodes.onChange = (_, node) => {
      if (node !== undefined) this.#addresses.put(node.id, node);
      for (const id of this.#endpoints.keys()) this.#remotesChanged(id);
      this.#nodesChanged();
    };
    for (const mirror of [this.#networks, this.#nodes]) mirror.onLost = () => this.#lost('a watch ended');
    void this.#connect();
  }

  /** Of all hosts; from disk while the store is away. */
  networks(): readonly OverlaySpec[] {
    return this.#networks.values();
  }

  network(id: string): OverlaySpec | undefined {
    return this.#networks.get(`nets/${id}`);
  }

  status(): {
    readonly state: 'connecting' | 'connected' | 'away' | 'closed';
    readonly since: number;
    readonly nodes: readonly ClusterNode[];
    readonly waiting: number;
  } {
    return { state: this.#state, since: this.#since, nodes: this.#nodes.values(), waiting: this.#dirty.size };
  }

  /** The other hosts that are known, and those whose lease ended. */
  others(): readonly (ClusterNode & { readonly alive: boolean })[] {
    const known = new Map([...this.#addresses.all(), ...this.#nodes.values()].map((node) => [node.id, node]));
    known.delete(this.node.id);
    return [...known.values()].map((node) => ({ ...node, alive: this.isAlive(node.id) }));
  }

  /** Whether the host lives, as far as is known: while the store is away nobody is taken for dead. */
  isAlive(nodeId: string): boolean {
    return this.#state !== 'connected' || this.#nodes.get(`nodes/${nodeId}`) !== undefined;
  }

  address(nodeId: string): ClusterNode['address'] | undefined {
    // Tunnels to a host whose lease lapsed stay: that is no sign that it is away.
    return this.#nodes.get(`nodes/${nodeId}`)?.address ?? this.#addresses.get(nodeId)?.address;
  }

  /**
   * Makes a network on all hosts, or on none. @param choose gives the specification from what is there now; asked again
   * when another host was faster
   * @throws EngineError CONFLICT for a name that is taken, UNAVAILABLE without the store; what `choose` throws
   */
  async createNetwork(
    name: string,
    choose: (others: readonly OverlaySpec[], vni: number) => OverlaySpec,
  ): Promise<OverlaySpec> {
    for (;;) {
      // Before the listing: what is created after this moment makes the write fail.
      const turn = await this.#remote.get<string>('turn');
      const { entries } = await this.#remote.list<OverlaySpec>('nets/');
      const others = entries.map(({ value }) => value);
      if (others.some((other) => other.name === name)) throw errors.networkExists(name);
      const spec = choose(others, freeVni(others));
      const revision = await this.#commit(
        [
          { key: `netnames/${name}`, is: 'absent' },
          // Subnets and VNIs are chosen from what was listed: nobody may have created in between.
          turn === undefined
            ? { key: 'turn', is: 'absent' }
            : { key: 'turn', is: 'at', revision: turn.revision },
        ],
        [
          { put: `nets/${spec.id}`, value: spec },
          { put: `netnames/${name}`, value: spec.id },
          { put: 'turn', value: this.node.id },
        ],
      );
      if (revision === undefined) continue;
      this.#networks.put(`nets/${spec.id}`, spec);
      return spec;
    }
  }

  /** @throws EngineError FORBIDDEN while a container of any host is on it, UNAVAILABLE without the store */
  async removeNetwork(spec: OverlaySpec): Promise<void> {
    const { entries } = await this.#remote.list<RemoteEndpoint>(`eps/${spec.id}/`);
    if (entries.length > 0) {
      const users = entries.map(
        ({ value }) =>
          `name:"${value.containerName}" id:"${value.id.slice(0, 12)}" host:"${value.nodeId.slice(0, 12)}"`,
      );
      throw errors.networkInUse(spec.name, users);
    }
    await this.#commit(
      [],
      [
        { remove: `nets/${spec.id}` },
        { remove: `netnames/${spec.name}` },
        { put: 'turn', value: this.node.id },
      ],
    );
    await this.#remote.removeAll(`blocks/${spec.id}/`);
    this.#networks.put(`nets/${spec.id}`, undefined);
  }

  /** This host has a container on the network now: its other endpoints are of interest. */
  join(networkId: string): void {
    if (this.#endpoints.has(networkId)) return;
    const mirror = new Mirror<RemoteEndpoint>(this.#remote, `eps/${networkId}/`, this.#remotes, this.#log);
    this.#endpoints.set(networkId, mirror);
    mirror.onChange = () => this.#remotesChanged(networkId);
    mirror.onLost = () => this.#lost('a watch ended');
    if (this.#state === 'connected') void mirror.open().catch((error: unknown) => this.#lost(error));
  }

  leave(networkId: string): void {
    this.#endpoints.get(networkId)?.forget();
    this.#endpoints.delete(networkId);
  }

  /** Endpoints of other hosts; empty for a network that this host has no part in. */
  remotes(networkId: string): readonly RemoteEndpoint[] {
    const all = this.#endpoints.get(networkId)?.values() ?? [];
    return all.filter(({ nodeId }) => nodeId !== this.node.id);
  }

  /** Told to the others as soon as the store can be reached. */
  publish(endpoint: Omit<RemoteEndpoint, 'nodeId'>): void {
    const key = this.#endpointKey(endpoint.networkId, endpoint.id);
    const whole = { ...endpoint, nodeId: this.node.id };
    this.#own.put(key, { key, endpoint: whole });
    this.#want(key, whole);
    this.#flush();
  }

  withdraw(networkId: string, endpointId: string): void {
    const key = this.#endpointKey(networkId, endpointId);
    if (!this.#wanted.delete(key)) return;
    this.#own.delete(key);
    this.#dirty.add(key);
    this.#flush();
  }

  /** The host stays a member for the others until its lease ends: its containers go on. */
  close(): void {
    this.#state = 'closed';
    clearTimeout(this.#retry);
    for (const mirror of this.#mirrors()) mirror.pause();
    this.#remote.close();
  }

  /** The hosts before what is on them. */
  #mirrors(): readonly (Mirror<ClusterNode> | Mirror<OverlaySpec> | Mirror<RemoteEndpoint>)[] {
    return [this.#nodes, this.#networks, ...this.#endpoints.values()];
  }

  #endpointKey(networkId: string, endpointId: string): string {
    return `eps/${networkId}/${this.node.id}/${endpointId}`;
  }

  /** As with the endpoints: a listing tells all hosts in one go. */
  #nodesChanged(): void {
    if (this.#nodesTold) return;
    this.#nodesTold = true;
    queueMicrotask(() => {
      this.#nodesTold = false;
      if (this.#state !== 'closed') this.#listener?.nodesChanged?.();
    });
  }

  /** A listing tells thousands of changes in one go: the listener, who compares all of them, looks once. */
  #remotesChanged(networkId: string): void {
    if (this.#changed.size === 0) queueMicrotask(() => this.#tellChanged());
    this.#changed.add(networkId);
  }

  #tellChanged(): void {
    const ids = [...this.#changed];
    this.#changed.clear();
    if (this.#state === 'closed') return;
    for (const id of ids) {
      try {
        this.#listener?.remotesChanged(id);
      } catch (error) {
        this.#log.error({ err: error, network: id }, 'a change of the cluster could not be followed');
      }
    }
  }

  #want(key: string, endpoint: RemoteEndpoint): void {
    this.#wanted.set(key, endpoint);
    this.#dirty.add(key);
  }

  /**
   * Every write of this host. @returns undefined when one of the guards does not hold
   * @throws EngineError UNAVAILABLE before the first connection, SYSTEM once another daemon has this host's place
   */
  async #commit(guards: readonly Guard[], writes: readonly Write[]): Promise<string | undefined> {
    const generation = this.#generation;
    if (generation === undefined) throw unavailable('the cluster store was not reached yet');
    const revision = await this.#remote.commit([generation, ...guards], writes);
    if (revision !== undefined) return revision;
    const now = await this.#remote.get(generation.key);
    if (generation.is === 'at' && now?.revision === generation.revision) return undefined;
    const { id } = this.node;
    throw system(`another daemon has taken the place of this host (${id.slice(0, 12)}) in the cluster`);
  }

  async #connect(): Promise<void> {
    if (this.#state === 'closed') return;
    try {
      await this.#register();
      for (const mirror of this.#mirrors()) await mirror.open();
      await this.#sweepOwn();
    } catch (error) {
      this.#lost(error);
      return;
    }
    this.#attempt = 0;
    this.#setState('connected');
    this.#log.info({ nodes: this.#nodes.values().length }, 'the cluster store is reached');
    for (const id of this.#endpoints.keys()) this.#remotesChanged(id);
    this.#flush();
  }

  /** A new generation at the first connection; the lease at each. */
  async #register(): Promise<void> {
    const { id } = this.node;
    if (this.#generation === undefined) {
      const revision = await this.#remote.commit(
        [],
        [{ put: `gens/${id}`, value: new Date().toISOString() }],
      );
      this.#generation = { key: `gens/${id}`, is: 'at', revision: revision ?? '' };
    }
    this.#endLease?.();
    const lease = await this.#remote.lease(NODE_LEASE_SECONDS, () => this.#lost('the lease ended'));
    this.#endLease = lease.end;
    const put = { put: `nodes/${id}`, value: this.node, lease: lease.id };
    await this.#commit([], [put]);
  }

  /** What the store has of this host and is not here any more: of before a crash. */
  async #sweepOwn(): Promise<void> {
    const strays: string[] = [];
    for (const { id } of this.#networks.values()) {
      const { entries } = await this.#remote.list(`eps/${id}/${this.node.id}/`);
      strays.push(...entries.map(({ key }) => key).filter((key) => !this.#wanted.has(key)));
    }
    for (const key of [...strays, ...this.#wanted.keys()]) this.#dirty.add(key);
  }

  #lost(reason: unknown): void {
    if (this.#state === 'closed' || this.#retry !== undefined) return;
    if (this.#state !== 'away') {
      this.#log.warn({ err: reason }, 'the cluster store is away; traffic, names and local starts go on');
      this.#setState('away');
    }
    for (const mirror of this.#mirrors()) mirror.pause();
    const delay = RETRY_MS[Math.min(this.#attempt++, RETRY_MS.length - 1)];
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      void this.#connect();
    }, delay).unref();
  }

  #setState(state: 'connected' | 'away'): void {
    this.#state = state;
    this.#since = Date.now();
  }

  #flush(): void {
    if (this.#state !== 'connected') return;
    this.#flushing ??= this.#flushAll()
      .catch((error: unknown) => this.#lost(error))
      .finally(() => {
        this.#flushing = undefined;
      });
  }

  async #flushAll(): Promise<void> {
    for (const key of this.#dirty) {
      const endpoint = this.#wanted.get(key);
      const write = endpoint === undefined ? { remove: key } : { put: key, value: endpoint };
      await this.#commit([], [write]);
      if (this.#wanted.get(key) === endpoint) this.#dirty.delete(key);
    }
  }
}

/** @throws EngineError SYSTEM when all are taken */
function freeVni(others: readonly OverlaySpec[]): number {
  const taken = new Set(others.map(({ vni }) => vni));
  for (let vni = FIRST_VNI; vni <= LAST_VNI; vni++) if (!taken.has(vni)) return vni;
  throw system('every VXLAN network identifier is taken');
}
