/** What is known of a container only while this daemon runs. */
export interface Live {
  restartDelayMs: number;
  restartTimer?: NodeJS.Timeout;
  /** The last task is being deleted; a new one has to wait for it. */
  taskGone: Promise<void>;
  /** Somebody is removing it: no restart, no removal by itself. */
  removing: boolean;
  /** It ends in order to be started again: `--rm` does not apply to this end. */
  kept: boolean;
  oomKilled: boolean;
}

export class LiveTable {
  readonly #live = new Map<string, Live>();

  of(id: string): Live {
    let live = this.#live.get(id);
    if (live === undefined) {
      live = {
        restartDelayMs: 0,
        taskGone: Promise.resolve(),
        removing: false,
        kept: false,
        oomKilled: false,
      };
      this.#live.set(id, live);
    }
    return live;
  }

  forget(id: string): void {
    this.#live.delete(id);
  }

  cancelRestart(id: string): void {
    const live = this.of(id);
    clearTimeout(live.restartTimer);
    delete live.restartTimer;
    live.restartDelayMs = 0;
  }

  /** The delays stay: they belong to containers that go on being restarted by the next daemon. */
  stopTimers(): void {
    for (const live of this.#live.values()) clearTimeout(live.restartTimer);
  }
}
