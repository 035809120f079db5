import type { Containers } from './containers.ts';
import type { LiveTable } from './live.ts';
import { decideRestart } from './restart-policy.ts';
import type { Waiters } from './waiters.ts';

/** Containers between two runs: their restart policy starts them again after a while. */
export class Restarts {
  readonly #containers: Containers;
  readonly #live: LiveTable;
  readonly #waiters: Waiters;
  readonly #launch: (id: string) => Promise<void>;

  /** @param launch starts one; its lock is held meanwhile */
  constructor(
    containers: Containers,
    live: LiveTable,
    waiters: Waiters,
    launch: (id: string) => Promise<void>,
  ) {
    this.#containers = containers;
    this.#live = live;
    this.#waiters = waiters;
    this.#launch = launch;
  }

  later(id: string, delayMs: number): void {
    const live = this.#live.of(id);
    live.restartDelayMs = delayMs;
    live.restartTimer = setTimeout(() => {
      delete live.restartTimer;
      void this.#containers.locked(id, async () => {
        if (live.removing || this.#containers.find(id)?.state.status !== 'restarting') return;
        await this.#launch(id).catch((error) => {
          this.#containers.platform.log.warn({ err: error, container: id }, 'restart failed');
          const { hostConfig, restartCount, manuallyStopped } = this.#containers.get(id);
          const again = decideRestart(hostConfig.RestartPolicy, {
            exitCode: 128,
            manuallyStopped,
            restartCount,
            previousDelayMs: delayMs,
            ranMs: 0,
          });
          if (!again.restart) return;
          this.#containers.update(id, { restartCount: restartCount + 1, state: { status: 'restarting' } });
          this.later(id, again.delayMs);
        });
      });
    }, delayMs);
  }

  /**
   * A container between two runs stays ended. The lock waits for a run that is just being started: that one goes on.
   * @returns whether it was one
   */
  async stop(id: string): Promise<boolean> {
    if (this.#containers.get(id).state.status !== 'restarting') return false;
    return this.#containers.locked(id, async () => {
      if (this.#containers.find(id)?.state.status !== 'restarting') return false;
      this.#live.cancelRestart(id);
      const stopped = this.#containers.update(id, { state: { status: 'exited' } });
      this.#containers.publish(stopped, 'stop');
      this.#waiters.ended(id, { statusCode: stopped.state.exitCode });
      return true;
    });
  }
}
