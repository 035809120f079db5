import { rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import type { Platform } from '../engine.ts';
import type { Collection } from '../store.ts';
import { stateDirectory } from './launch.ts';

/**
 * What is left of removed containers: task, root filesystem and directories, taken away after the client has its
 * answer. The list is in the store, so that a daemon that dies goes on at its next start.
 */
export class Garbage {
  readonly #platform: Platform;
  readonly #list: Collection<{ readonly id: string }>;
  readonly #directory: (id: string) => string;
  readonly #sweeping = new Map<string, Promise<void>>();

  constructor(platform: Platform, directory: (id: string) => string) {
    this.#platform = platform;
    this.#list = platform.store.collection('garbage');
    this.#directory = directory;
  }

  /** @param after resolves when nothing uses the remains any more */
  add(id: string, after: Promise<unknown>): void {
    this.#list.put(id, { id });
    this.#start(id, after);
  }

  sweepAll(): void {
    for (const { id } of this.#list.all()) this.#start(id, Promise.resolve());
  }

  /** Resolves when everything added so far is gone or has failed. */
  async settled(): Promise<void> {
    await Promise.all(this.#sweeping.values());
  }

  #start(id: string, after: Promise<unknown>): void {
    const sweeping = after
      .catch(() => undefined)
      .then(() => this.#sweep(id))
      .catch((error) =>
        this.#platform.log.warn({ err: error, container: id }, 'remains of a container not removed yet'),
      )
      .finally(() => this.#sweeping.delete(id));
    this.#sweeping.set(id, sweeping);
  }

  async #sweep(id: string): Promise<void> {
    const { tasks, images, config } = this.#platform;
    await tasks.delete(id);
    await images.removeRootfs(id);
    rmSync(stateDirectory(config.execRoot, id), { recursive: true, force: true });
    await rm(this.#directory(id), { recursive: true, force: true });
    this.#list.delete(id);
  }
}
