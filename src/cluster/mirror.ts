import { isDeepStrictEqual } from 'node:util';
import type { Logger } from 'pino';
import type { Collection } from '../engine/store.ts';
import type { ClusterStore } from './cluster-store.ts';

/**
 * A part of the cluster store as it is now: listed, then watched from right behind that view; after a loss listed anew,
 * and only what differs is told. With a collection of the local store it is known after a restart without the cluster.
 */
export class Mirror<T> {
  onChange: (key: string, value: T | undefined) => void = () => {};
  onLost: () => void = () => {};
  readonly #remote: ClusterStore;
  readonly #prefix: string;
  readonly #local: Collection<{ readonly key: string; readonly value: T }> | undefined;
  readonly #log: Logger;
  readonly #values = new Map<string, T>();
  #stop: (() => void) | undefined;
  /** Which `open` or `pause` was the last. */
  #turn = 0;

  constructor(
    remote: ClusterStore,
    prefix: string,
    local: Collection<{ readonly key: string; readonly value: T }> | undefined,
    log: Logger,
  ) {
    this.#remote = remote;
    this.#prefix = prefix;
    this.#local = local;
    this.#log = log;
    for (const { key, value } of local?.all() ?? []) {
      // Mirrors of the same kind share a collection.
      if (key.startsWith(prefix)) this.#values.set(key, value);
    }
  }

  get(key: string): T | undefined {
    return this.#values.get(key);
  }

  values(): readonly T[] {
    return [...this.#values.values()];
  }

  /** Listed and watched. */
  get isOpen(): boolean {
    return this.#stop !== undefined;
  }

  /** Nothing comes of it when it is paused or opened anew meanwhile. @param within milliseconds for the listing @throws EngineError UNAVAILABLE */
  async open(within?: number): Promise<void> {
    this.pause();
    const turn = this.#turn;
    const { entries, revision } = await this.#remote.list<T>(this.#prefix, within);
    if (turn !== this.#turn) return;
    const now = new Map(entries.map(({ key, value }) => [key, value]));
    for (const key of [...this.#values.keys()]) if (!now.has(key)) this.put(key, undefined);
    for (const [key, value] of now) this.put(key, value);
    this.#stop = this.#remote.watch<T>(
      this.#prefix,
      revision,
      (changes) => {
        for (const { key, value } of changes) this.put(key, value);
      },
      () => this.onLost(),
    );
  }

  /** What is known stays. */
  pause(): void {
    this.#turn++;
    this.#stop?.();
    this.#stop = undefined;
  }

  /** It is of no interest any more, here and on disk. */
  forget(): void {
    this.pause();
    for (const key of this.#values.keys()) this.#local?.delete(key);
    this.#values.clear();
  }

  /** What this host has changed itself is known here before the watch tells it. */
  put(key: string, value: T | undefined): void {
    if (value === undefined ? !this.#values.has(key) : isDeepStrictEqual(this.#values.get(key), value))
      return;
    if (value === undefined) {
      this.#values.delete(key);
      this.#local?.delete(key);
    } else {
      this.#values.set(key, value);
      this.#local?.put(key, { key, value });
    }
    try {
      this.onChange(key, value);
    } catch (error) {
      this.#log.error({ err: error, key }, 'a change of the cluster could not be followed');
    }
  }
}
