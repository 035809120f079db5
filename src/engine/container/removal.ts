import { conflict } from '../../model/errors.ts';
import { isRunning } from './container.ts';
import type { Containers } from './containers.ts';
import type { Garbage } from './garbage.ts';
import type { LiveTable } from './live.ts';
import type { Signals } from './signals.ts';
import type { Streams } from './streams.ts';
import type { Waiters } from './waiters.ts';

export interface RemovalOptions {
  readonly containers: Containers;
  readonly live: LiveTable;
  readonly waiters: Waiters;
  readonly signals: Signals;
  readonly streams: Streams;
  readonly garbage: Garbage;
}

/** The end of a container itself: asked for, or by `--rm`. */
export class Removal {
  readonly #options: RemovalOptions;

  constructor(options: RemovalOptions) {
    this.#options = options;
  }

  /** @throws EngineError NOT_FOUND, CONFLICT when it runs and `force` is not given */
  async remove(ref: string, options: { readonly force: boolean; readonly volumes: boolean }): Promise<void> {
    const { containers, waiters, signals } = this.#options;
    const container = containers.lookUp(ref);
    const { id } = container;
    const live = this.#options.live.of(id);
    if (live.removing) throw conflict(`removal of container ${id} is already in progress`);
    containers.checkRemovable(container, options.force);
    live.removing = true;
    try {
      this.#options.live.cancelRestart(id);
      // A start on its way comes to its end first.
      await containers.locked(id, async () => undefined);
      const current = containers.find(id);
      if (current !== undefined && isRunning(current)) {
        const ended = waiters.wait(id, 'next-exit');
        await signals.killForGood(current, ended);
      }
      await containers.locked(id, async () => this.discard(id, options));
    } finally {
      live.removing = false;
    }
  }

  /** Of one that does not run. The record goes now, what hangs on it afterwards. */
  discard(id: string, options: { readonly volumes: boolean }): void {
    const { containers, live, waiters, streams, garbage } = this.#options;
    const { store, networking } = containers.platform;
    const container = containers.find(id);
    if (container === undefined) return;
    const { taskGone } = live.of(id);
    streams.close(id);
    store.transaction(() => {
      garbage.add(id, taskGone);
      containers.forget(id);
      networking.forget(id);
    });
    live.forget(id);
    if (options.volumes) {
      for (const mount of container.mounts) {
        if (mount.anonymous && mount.name && containers.volumes.users(mount.name).length === 0) {
          containers.volumes.remove(mount.name, { force: true });
        }
      }
    }
    containers.publish(container, 'destroy');
    waiters.removed(id, { statusCode: container.state.exitCode });
  }
}
