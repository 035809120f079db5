import { ClientClosedError, type Etcd3, type IKeyValue, isRecoverableError } from 'etcd3';
import type { Logger } from 'pino';
import { unavailable } from '../model/errors.ts';
import { CALL_MS, type ClusterStoreConfig, StoreMembers } from './store-members.ts';

export interface Entry<T> {
  /** Below the store's prefix. */
  readonly key: string;
  readonly value: T;
  /** Of its last change. */
  readonly revision: string;
}

export type Guard =
  | { readonly key: string; readonly is: 'absent' }
  /** It exists, and was last changed at this revision. */
  | { readonly key: string; readonly is: 'at'; readonly revision: string };

export type Write =
  | { readonly put: string; readonly value: unknown; readonly lease?: string }
  | { readonly remove: string };

export interface Change<T> {
  readonly key: string;
  /** Undefined: removed. */
  readonly value: T | undefined;
  readonly revision: string;
}

/** A watch that does not stand, or a lease that is not renewed, after so long is lost: another member may do better. */
const WATCH_MS = 10_000;
const RENEWAL_MS = 1500;
const VERSION = 'v1';
/** etcd takes 128 operations in a transaction unless told otherwise (`--max-txn-ops`). */
const BATCH = 100;

/**
 * What the hosts of a cluster share, in etcd v3. Values are JSON. Reads and writes go to any member that answers;
 * a write is one transaction with its guards.
 */
export class ClusterStore {
  readonly #members: StoreMembers;
  readonly #root: string;
  readonly #log: Logger;
  #client: Etcd3;
  #closed = false;
  /** Ends the watches and leases of the client: etcd3 would try them for ever on one that is closed. */
  readonly #ends = new Set<() => void>();

  constructor(config: ClusterStoreConfig, log: Logger) {
    this.#log = log;
    this.#root = `/${[config.prefix, 'gangway', VERSION].filter(Boolean).join('/')}/`;
    this.#members = new StoreMembers(config);
    this.#client = this.#members.client();
  }

  /** Begins anew with the members that answer; watches, leases and calls of before end. */
  async renew(): Promise<void> {
    const client = await this.#members.answeringClient();
    if (this.#closed) {
      client.close();
      return;
    }
    this.#endAll();
    this.#client.close();
    this.#client = client;
  }

  /** @throws EngineError UNAVAILABLE when no member answers, or refuses us */
  async get<T>(key: string, within = CALL_MS): Promise<Entry<T> | undefined> {
    const answer = await this.#call(() =>
      this.#client
        .get(this.#root + key)
        .options(this.#members.deadline(within))
        .exec(),
    );
    const [found] = answer.kvs;
    if (found === undefined) return undefined;
    return { key, value: JSON.parse(found.value.toString()) as T, revision: found.mod_revision };
  }

  /** Everything below `prefix`, and the revision of that view: a watch goes on right behind it. */
  async list<T>(
    prefix: string,
    within = CALL_MS,
  ): Promise<{ readonly entries: readonly Entry<T>[]; readonly revision: string }> {
    const answer = await this.#call(() =>
      this.#client
        .getAll()
        .prefix(this.#root + prefix)
        .options(this.#members.deadline(within))
        .exec(),
    );
    const entries = answer.kvs.map((each) => this.#entry<T>(each));
    return { entries, revision: answer.header.revision };
  }

  /** Everything below each prefix, in a hundredth of the questions. @throws EngineError UNAVAILABLE */
  async listEach<T>(prefixes: readonly string[], within = CALL_MS): Promise<readonly Entry<T>[]> {
    const found: Entry<T>[] = [];
    for (let i = 0; i < prefixes.length; i += BATCH) {
      const ranges = prefixes
        .slice(i, i + BATCH)
        .map((prefix) => this.#client.getAll().prefix(this.#root + prefix));
      const { responses } = await this.#call(() =>
        this.#client
          .if(`${this.#root}none`, 'Create', '==', 0)
          .options(this.#members.deadline(within))
          .then(...ranges)
          .commit(),
      );
      const kvs = responses.flatMap(({ response_range }) => response_range.kvs);
      found.push(...kvs.map((each) => this.#entry<T>(each)));
    }
    return found;
  }

  /** All the writes, or none when a guard does not hold. @returns the revision they have; undefined: none. @throws EngineError UNAVAILABLE */
  async commit(
    guards: readonly Guard[],
    writes: readonly Write[],
    within = CALL_MS,
  ): Promise<string | undefined> {
    const [first, ...others] = guards;
    const operations = writes.map((write) => {
      if ('remove' in write) return this.#client.delete().key(this.#root + write.remove);
      const put = this.#client.put(this.#root + write.put).value(JSON.stringify(write.value));
      return write.lease === undefined ? put : put.lease(write.lease);
    });
    const answer = await this.#call(() => {
      // A guard that always holds, where none is wanted.
      const begin =
        first === undefined
          ? this.#client.if(`${this.#root}none`, 'Create', '==', 0)
          : this.#guard(this.#client.if.bind(this.#client), first);
      let transaction = begin;
      for (const guard of others) transaction = this.#guard(transaction.and.bind(transaction), guard);
      return transaction
        .options(this.#members.deadline(within))
        .then(...operations)
        .commit();
    });
    return answer.succeeded ? answer.header.revision : undefined;
  }

  /** Removes everything below `prefix`. */
  async removeAll(prefix: string): Promise<void> {
    await this.#call(() =>
      this.#client
        .delete()
        .prefix(this.#root + prefix)
        .exec(),
    );
  }

  /**
   * Tells every change below `prefix` after `revision`, in order, through every reconnection; `lost` when some are gone
   * (compaction) and it has to be listed anew. @returns ends it
   */
  watch<T>(
    prefix: string,
    revision: string,
    onChanges: (changes: readonly Change<T>[]) => void,
    lost: () => void,
  ): () => void {
    let ended = false;
    // Not `create()`: what has not begun yet could not be ended, and would be tried for ever.
    const watcher = this.#client
      .watch()
      .prefix(this.#root + prefix)
      .startRevision((BigInt(revision) + 1n).toString())
      .watcher();
    watcher.on('data', (answer) => {
      onChanges(
        answer.events.map((event) => ({
          key: event.kv.key.toString().slice(this.#root.length),
          value: event.type === 'Put' ? (JSON.parse(event.kv.value.toString()) as T) : undefined,
          revision: event.kv.mod_revision,
        })),
      );
    });
    const losing = (): void => {
      if (!ended) lost();
    };
    const standing = setTimeout(losing, WATCH_MS).unref();
    watcher.once('connected', () => clearTimeout(standing));
    // It would come back by itself; that the store is away is of interest at once.
    watcher.on('disconnected', losing);
    watcher.on('error', (error) => {
      this.#log.warn({ err: error, prefix }, 'a watch of the cluster store ended');
      losing();
    });
    return this.#endsWithClient(() => {
      ended = true;
      clearTimeout(standing);
      void watcher.cancel().catch(() => {});
    });
  }

  /** A lease that is kept alive until it is lost, or let go: then it ends by itself. @throws EngineError UNAVAILABLE */
  async lease(
    seconds: number,
    onLost: () => void,
    within = CALL_MS,
  ): Promise<{ readonly id: string; readonly letGo: () => void }> {
    const client = this.#client;
    const lease = client.lease(seconds, this.#members.deadline(within));
    lease.on('lost', onLost);
    let failing: NodeJS.Timeout | undefined;
    lease.on('keepaliveFailed', () => {
      failing ??= setTimeout(onLost, RENEWAL_MS).unref();
    });
    const renewed = (): void => {
      clearTimeout(failing);
      failing = undefined;
    };
    lease.on('keepaliveSucceeded', renewed);
    const id = await this.#call(() => lease.grant());
    const letGo = this.#endsWithClient(() => {
      renewed();
      lease.release();
    });
    if (this.#closed || client !== this.#client) {
      letGo();
      throw unavailable('the cluster store was left meanwhile');
    }
    return { id, letGo };
  }

  close(): void {
    this.#closed = true;
    this.#endAll();
    this.#client.close();
  }

  #endsWithClient(end: () => void): () => void {
    this.#ends.add(end);
    return () => {
      if (this.#ends.delete(end)) end();
    };
  }

  #endAll(): void {
    for (const end of this.#ends) end();
    this.#ends.clear();
  }

  #entry<T>({ key, value, mod_revision }: IKeyValue): Entry<T> {
    return {
      key: key.toString().slice(this.#root.length),
      value: JSON.parse(value.toString()) as T,
      revision: mod_revision,
    };
  }

  #guard<R>(
    condition: (key: string, column: 'Create' | 'Mod', operator: '==', value: number | string) => R,
    guard: Guard,
  ): R {
    const key = this.#root + guard.key;
    return guard.is === 'absent'
      ? condition(key, 'Create', '==', 0)
      : condition(key, 'Mod', '==', guard.revision);
  }

  async #call<T>(body: () => Promise<T>): Promise<T> {
    const client = this.#client;
    try {
      return await body();
    } catch (error) {
      const left = client !== this.#client && !this.#closed;
      if (left && (error instanceof ClientClosedError || isRecoverableError(error as Error)))
        return await this.#call(body);
      const words = this.#members.faultOf(error);
      throw Object.assign(unavailable(`the cluster store does not answer: ${words}`), { cause: error });
    }
  }
}
