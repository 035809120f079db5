import type { Logger } from 'pino';
import type { Collection, Store } from '../engine/store.ts';
import type { ClusterNode, OverlaySpec, RemoteEndpoint } from '../model/overlay.ts';
import { Blocks } from './blocks.ts';
import { Catalog } from './catalog.ts';
import { Changes, type ClusterListener } from './changes.ts';
import type { ClusterStore } from './cluster-store.ts';
import { Leftovers } from './leftovers.ts';
import { Membership } from './membership.ts';
import type { Mirror } from './mirror.ts';
import { OwnEndpoints } from './own-endpoints.ts';
import { Remotes } from './remotes.ts';
import { CALL_MS } from './store-members.ts';

export interface ClusterOptions {
  readonly remote: ClusterStore;
  readonly local: Store;
  readonly node: ClusterNode;
  readonly log: Logger;
  /** Milliseconds that a host may be away before its endpoints and blocks are given up. */
  readonly forgetAfterMs?: number;
}

export type ClusterState = 'connecting' | 'connected' | 'away' | 'closed';

const RETRY_MS = [250, 500, 1000, 2000] as const;
/** A store that a thousand hosts come back to answers late: who gave up and began anew would keep it so. */
const PATIENCE_MS = [CALL_MS, 2 * CALL_MS, 4 * CALL_MS] as const;

/**
 * This host's part in the cluster: what all hosts agree on is mirrored here and kept on disk, so that it is known while
 * the store is away; what this host has to say is said when the store can be reached, however often it is lost.
 */
export class Cluster {
  readonly node: ClusterNode;
  readonly blocks: Blocks;
  readonly #remote: ClusterStore;
  readonly #log: Logger;
  readonly #membership: Membership;
  readonly #catalog: Catalog;
  readonly #own: OwnEndpoints;
  readonly #leftovers: Leftovers;
  readonly #endpoints = new Map<string, Remotes>();
  /** Kept on disk: a daemon that starts while the store is away leaves the data path as it is. */
  readonly #remotes: Collection<{ readonly key: string; readonly value: RemoteEndpoint }>;
  readonly #changes: Changes;
  #state: ClusterState = 'connecting';
  #since = Date.now();
  #fault: string | undefined;
  #attempt = 0;
  /** How often it was connected. Only the last counts: what an earlier one hears is of a client that is closed since. */
  #turn = 0;
  #retry: NodeJS.Timeout | undefined;

  constructor(options: ClusterOptions) {
    const { remote, local, node, log } = options;
    this.node = node;
    this.#remote = remote;
    this.#log = log;
    this.#membership = new Membership(remote, local, node, log);
    this.#catalog = new Catalog(remote, local, this.#membership, log);
    this.#own = new OwnEndpoints(remote, local, this.#membership);
    this.#changes = new Changes(log);
    this.#leftovers = new Leftovers(remote, log, options.forgetAfterMs);
    this.#remotes = local.collection('cluster_remotes');
    this.blocks = new Blocks(remote, local, node.id, (guards, writes) =>
      this.#membership.commit(guards, writes),
    );
  }

  /** Begins, and goes on by itself: nothing of this host waits for the store. */
  start(listener: ClusterListener): void {
    this.#changes.tell(listener);
    const { networks } = this.#catalog;
    networks.onChange = (key, spec) => {
      const id = key.slice('nets/'.length);
      if (spec === undefined) {
        this.leave(id);
        listener.networkWent(id);
      } else listener.networkCame(spec);
    };
    const { hosts, alive } = this.#membership;
    for (const mirror of [hosts, alive]) {
      mirror.onChange = (key: string) => {
        this.#hostChanged(key.slice(key.indexOf('/') + 1));
        this.#changes.ofNodes();
      };
    }
    for (const mirror of [hosts, alive, networks]) mirror.onLost = () => this.#lost('a watch ended');
    void this.#connect();
  }

  /** Of all hosts; from disk while the store is away. */
  networks(): readonly OverlaySpec[] {
    return this.#catalog.networks.values();
  }

  network(id: string): OverlaySpec | undefined {
    return this.#catalog.get(id);
  }

  status(): {
    readonly state: ClusterState;
    /** Unix milliseconds of the last change of `state`. */
    readonly since: number;
    /** Why the store is not reached. */
    readonly fault: string | undefined;
    /** Those that live; all, while that is not known. */
    readonly nodes: readonly ClusterNode[];
    readonly waiting: number;
  } {
    const nodes = this.#membership.list().filter(({ id }) => this.isAlive(id));
    return { state: this.#state, since: this.#since, fault: this.#fault, nodes, waiting: this.#own.waiting };
  }

  /** Every host that was not forgotten. */
  hosts(): readonly ClusterNode[] {
    return this.#membership.list();
  }

  /** The other hosts, also those whose lease ended. */
  others(): readonly ClusterNode[] {
    return this.hosts().filter(({ id }) => id !== this.node.id);
  }

  /** Whether the host lives, as far as is known: while the store is away nobody is taken for dead. */
  isAlive(nodeId: string): boolean {
    return this.#state !== 'connected' || this.#membership.isAlive(nodeId);
  }

  /** Tunnels to a host whose lease lapsed stay: that is no sign that it is away. */
  address(nodeId: string): ClusterNode['address'] | undefined {
    return this.#membership.get(nodeId)?.address;
  }

  /** How long the store takes for an answer, in milliseconds. @throws EngineError UNAVAILABLE */
  async answerTime(): Promise<number> {
    const begun = performance.now();
    await this.#remote.get(`alive/${this.node.id}`);
    return performance.now() - begun;
  }

  /** @throws as `Catalog.create` */
  createNetwork(...given: Parameters<Catalog['create']>): Promise<OverlaySpec> {
    return this.#noticing(this.#catalog.create(...given));
  }

  /** @throws as `Catalog.remove` */
  removeNetwork(spec: OverlaySpec): Promise<void> {
    return this.#noticing(this.#catalog.remove(spec));
  }

  /** Hosts with a container on the network; of one that this host has no part in as the store has it. @throws EngineError UNAVAILABLE */
  async peers(networkId: string): Promise<readonly ClusterNode[]> {
    const joined = this.#endpoints.get(networkId);
    const endpoints = joined?.mirror.values() ?? (await this.#catalog.endpoints(networkId));
    const ids = new Set(endpoints.map(({ nodeId }) => nodeId));
    return this.#membership.list().filter(({ id }) => ids.has(id));
  }

  /** Gives up what a host that is away has in the store. @throws as `Membership.find`, EngineError CONFLICT, UNAVAILABLE */
  async forget(ref: string): Promise<void> {
    await this.#leftovers.forget(this.#membership.find(ref));
  }

  /** This host has a container on the network now: its other endpoints are of interest. */
  join(networkId: string): void {
    if (this.#endpoints.has(networkId)) return;
    const remotes = new Remotes(this.#remote, networkId, this.node.id, this.#remotes, this.#log);
    const { mirror } = remotes;
    this.#endpoints.set(networkId, remotes);
    remotes.onChange = (endpointId) => this.#changes.ofRemotes(networkId, [endpointId]);
    mirror.onLost = () => this.#lost('a watch ended');
    if (this.#state === 'connected') void mirror.open().catch((error: unknown) => this.#lost(error));
  }

  leave(networkId: string): void {
    this.#endpoints.get(networkId)?.mirror.forget();
    this.#endpoints.delete(networkId);
  }

  /** Endpoints of other hosts; empty for a network that this host has no part in. */
  remotes(networkId: string): readonly RemoteEndpoint[] {
    return this.#endpoints.get(networkId)?.values() ?? [];
  }

  /** One of them. */
  remote(networkId: string, endpointId: string): RemoteEndpoint | undefined {
    return this.#endpoints.get(networkId)?.get(endpointId);
  }

  /** Told to the others as soon as the store can be reached. */
  publish(endpoint: Omit<RemoteEndpoint, 'nodeId'>): void {
    this.#own.put(endpoint);
    this.#flush();
  }

  withdraw(networkId: string, endpointId: string): void {
    if (this.#own.remove(networkId, endpointId)) this.#flush();
  }

  /** The host stays a member for the others until its lease ends: its containers go on. */
  close(): void {
    this.#state = 'closed';
    clearTimeout(this.#retry);
    this.#changes.close();
    this.#leftovers.close();
    for (const mirror of this.#mirrors()) mirror.pause();
    this.#membership.close();
    this.#remote.close();
  }

  /** The hosts before what is on them. */
  #mirrors(): readonly Pick<Mirror<unknown>, 'isOpen' | 'open' | 'pause'>[] {
    const { hosts, alive } = this.#membership;
    const endpoints = [...this.#endpoints.values()].map(({ mirror }) => mirror);
    return [hosts, alive, this.#catalog.networks, ...endpoints];
  }

  #hostChanged(nodeId: string): void {
    for (const [networkId, remotes] of this.#endpoints) {
      const there = remotes.ofHost(nodeId);
      if (there.size > 0) this.#changes.ofRemotes(networkId, there);
    }
  }

  async #connect(): Promise<void> {
    if (this.#state === 'closed') return;
    const turn = ++this.#turn;
    const lost = (reason: unknown): void => {
      if (turn === this.#turn) this.#lost(reason);
    };
    try {
      if (turn > 1) await this.#remote.renew();
      const within = PATIENCE_MS[Math.min(this.#attempt, PATIENCE_MS.length - 1)] ?? CALL_MS;
      const place = await this.#membership.register(() => lost('the lease ended'), within);
      if (!(await this.#openMirrors(turn, within))) return;
      if (place === 'new') await this.#lookAtBlocks();
      const networks = this.networks().map(({ id }) => id);
      await this.#own.refresh(networks, within);
      // Those of networks joined meanwhile.
      if (!(await this.#openMirrors(turn, within))) return;
    } catch (error) {
      lost(error);
      return;
    }
    this.#attempt = 0;
    this.#fault = undefined;
    this.#setState('connected');
    this.#log.info({ nodes: this.status().nodes.length }, 'the cluster store is reached');
    // Who is dead counts again.
    for (const id of this.#endpoints.keys()) this.#changes.ofRemotes(id, 'any');
    this.#flush();
    this.#leftovers.sweepLater(() => this.#state === 'connected');
  }

  /** @returns false: the store was lost meanwhile, or left */
  async #openMirrors(turn: number, within: number): Promise<boolean> {
    for (;;) {
      if (turn !== this.#turn || this.#retry !== undefined || this.#state === 'closed') return false;
      const next = this.#mirrors().find(({ isOpen }) => !isOpen);
      if (next === undefined) return true;
      await next.open(within);
    }
  }

  async #lookAtBlocks(): Promise<void> {
    const lost = await this.blocks.verify((id) => this.network(id));
    for (const { networkId, block } of lost) this.#changes.ofBlock(networkId, block);
  }

  /** A cluster that had forgotten this host says so at the first write. */
  async #noticing<T>(change: Promise<T>): Promise<T> {
    try {
      return await change;
    } catch (error) {
      if (this.#state === 'connected' && !this.#membership.hasPlace()) this.#lost(error);
      throw error;
    }
  }

  #lost(reason: unknown): void {
    // What says more may come second.
    if (reason instanceof Error) this.#fault = reason.message;
    if (this.#state === 'closed' || this.#retry !== undefined) return;
    if (this.#state !== 'away') {
      this.#log.warn({ err: reason }, 'the cluster store is away; traffic, names and local starts go on');
      this.#setState('away');
    }
    for (const mirror of this.#mirrors()) mirror.pause();
    // Not all hosts at once.
    const delay =
      (RETRY_MS[Math.min(this.#attempt++, RETRY_MS.length - 1)] ?? 0) * (0.75 + Math.random() / 2);
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.#membership.close();
      void this.#connect();
    }, delay).unref();
  }

  #setState(state: 'connected' | 'away'): void {
    this.#state = state;
    this.#since = Date.now();
  }

  #flush(): void {
    if (this.#state !== 'connected') return;
    this.#own.flush().catch((error: unknown) => this.#lost(error));
  }
}
