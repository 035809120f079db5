import type { Logger } from 'pino';
import { conflict } from '../model/errors.ts';
import type { ClusterNode, OverlaySpec } from '../model/overlay.ts';
import type { ClusterStore, Guard } from './cluster-store.ts';

/** Since when a host has been without a lease, in the eyes of who noticed first. */
interface Gone {
  /** RFC 3339. */
  readonly since: string;
  /** What it had is being removed. */
  readonly forgotten?: true;
}

/** etcd takes 128 operations in a transaction unless told otherwise (`--max-txn-ops`). */
const BATCH = 100;
const FORGET_AFTER_MS = 24 * 3600 * 1000;
/** Of one host; a large cluster is looked through more often. */
const SWEEPS_PER_TERM = 24;

/**
 * What a host that does not come back has left in the store: endpoints that keep networks from being removed, blocks that
 * nobody can use. It is removed when somebody says so, or when the host has been away for long; any host does it, and one
 * that dies over it leaves it to the next.
 */
export class Leftovers {
  readonly #remote: ClusterStore;
  readonly #log: Logger;
  readonly #forgetAfterMs: number;
  #sweeping: NodeJS.Timeout | undefined;

  constructor(remote: ClusterStore, log: Logger, forgetAfterMs = FORGET_AFTER_MS) {
    this.#remote = remote;
    this.#log = log;
    this.#forgetAfterMs = forgetAfterMs;
  }

  /** Again and again, some time or other, so that not all hosts look at once; ends where `connected` says no. */
  sweepLater(connected: () => boolean): void {
    clearTimeout(this.#sweeping);
    const delay = (this.#forgetAfterMs / SWEEPS_PER_TERM) * (0.5 + Math.random());
    this.#sweeping = setTimeout(() => {
      if (!connected()) return;
      this.sweep()
        .catch((error: unknown) => this.#log.warn({ err: error }, 'who is away could not be looked at'))
        .finally(() => this.sweepLater(connected));
    }, delay).unref();
  }

  close(): void {
    clearTimeout(this.#sweeping);
  }

  /** Notes who is away, and forgets who has been for long. @throws EngineError UNAVAILABLE */
  async sweep(): Promise<void> {
    const [hosts, alive, gone] = await Promise.all([
      this.#remote.list<ClusterNode>('hosts/'),
      this.#remote.list('alive/'),
      this.#remote.list<Gone>('gone/'),
    ]);
    const living = new Set(alive.entries.map(({ key }) => key.slice('alive/'.length)));
    const away = new Map(gone.entries.map(({ key, value }) => [key.slice('gone/'.length), value]));
    for (const [id, { forgotten }] of away) if (forgotten) await this.#remove(id);
    for (const { value: host } of hosts.entries) {
      if (living.has(host.id)) continue;
      const since = away.get(host.id)?.since;
      if (since === undefined) await this.#note(host.id);
      else if (Date.now() - Date.parse(since) > this.#forgetAfterMs) {
        this.#log.warn({ host: host.name, since }, 'a host has been away for long and is forgotten');
        await this.forget(host);
      }
    }
  }

  /** @throws EngineError CONFLICT for a host that lives, UNAVAILABLE */
  async forget(host: ClusterNode): Promise<void> {
    const { id } = host;
    const gone: Gone = { since: new Date().toISOString(), forgotten: true };
    // From here on the host writes nothing any more; should it come back, it joins anew.
    const done = await this.#remote.commit(
      [{ key: `alive/${id}`, is: 'absent' }],
      [{ remove: `hosts/${id}` }, { put: `gone/${id}`, value: gone }],
    );
    if (done === undefined) {
      throw conflict(
        `host ${host.name} (${id.slice(0, 12)}) is alive: only one that is away can be forgotten`,
      );
    }
    await this.#remove(id);
  }

  async #note(id: string): Promise<void> {
    const gone: Gone = { since: new Date().toISOString() };
    await this.#remote.commit(
      [
        { key: `gone/${id}`, is: 'absent' },
        { key: `alive/${id}`, is: 'absent' },
      ],
      [{ put: `gone/${id}`, value: gone }],
    );
  }

  /** A host that joins meanwhile keeps what is there still. */
  async #remove(id: string): Promise<void> {
    const forgotten: Guard = { key: `hosts/${id}`, is: 'absent' };
    const networks = await this.#remote.list<OverlaySpec>('nets/');
    const keys: string[] = [];
    for (const { value: network } of networks.entries) {
      const [endpoints, blocks] = await Promise.all([
        this.#remote.list(`eps/${network.id}/${id}/`),
        this.#remote.list<string>(`blocks/${network.id}/`),
      ]);
      keys.push(...endpoints.entries.map(({ key }) => key));
      keys.push(...blocks.entries.filter(({ value }) => value === id).map(({ key }) => key));
    }
    for (let i = 0; i < keys.length; i += BATCH) {
      const writes = keys.slice(i, i + BATCH).map((key) => ({ remove: key }));
      if ((await this.#remote.commit([forgotten], writes)) === undefined) return;
    }
    await this.#remote.commit([forgotten], [{ remove: `gone/${id}` }]);
  }
}
