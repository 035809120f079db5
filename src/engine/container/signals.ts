import { setTimeout as sleep } from 'node:timers/promises';
import { conflict, EngineError, errors, system } from '../../model/errors.ts';
import { type Container, isRunning } from './container.ts';
import type { Containers } from './containers.ts';
import { parseSignal } from './signal.ts';

/** After SIGKILL the kernel needs a moment; a process in uninterruptible sleep needs longer than anyone waits. */
const KILL_WAIT_MS = 10_000;
export const SIGKILL = 9;

/** Keeps no process from ending. */
export const late = (ms: number): Promise<'late'> => sleep(ms, 'late' as const, { ref: false });

/** Signals to containers, and the freezer: what reaches a process without changing what becomes of the container. */
export class Signals {
  readonly #containers: Containers;

  constructor(containers: Containers) {
    this.#containers = containers;
  }

  async send(container: Container, signal: number): Promise<void> {
    await this.#containers.platform.tasks.kill(container.id, signal);
    this.#containers.publish(container, 'kill', { signal: String(signal) });
    if (container.state.status === 'paused') await this.unpause(container.id).catch(() => undefined);
  }

  /** A process that is gone has an exit event on its way. */
  async sendUnlessEnded(container: Container, signal: number): Promise<void> {
    await this.send(container, signal).catch((error) => {
      if (!(error instanceof EngineError && error.code === 'NOT_FOUND')) throw error;
    });
  }

  /** @param ended resolves with the exit. @throws EngineError SYSTEM when the exit does not come */
  async killForGood(container: Container, ended: Promise<unknown>): Promise<void> {
    await this.sendUnlessEnded(container, SIGKILL);
    if ((await Promise.race([ended, late(KILL_WAIT_MS)])) === 'late') {
      throw system(
        `cannot stop container: ${container.id}: tried to kill container, but did not receive an exit event`,
      );
    }
  }

  /** What `docker kill` is asked to do. @throws EngineError in Docker's words */
  parseKill(ref: string, signalText: string): { readonly container: Container; readonly signal: number } {
    try {
      const container = this.#containers.lookUp(ref);
      const signal = parseSignal(signalText || 'SIGKILL');
      if (!isRunning(container)) throw errors.containerNotRunning(container.id);
      return { container, signal };
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      throw new EngineError(error.code, `cannot kill container: ${ref}: ${error.message}`);
    }
  }

  /** @throws EngineError CONFLICT */
  async pause(ref: string): Promise<void> {
    const { id } = this.#containers.lookUp(ref);
    await this.#containers.locked(id, async () => {
      const container = this.#containers.get(id);
      if (container.state.status === 'paused') throw conflict(`Container ${id} is already paused`);
      if (container.state.status !== 'running') throw errors.containerNotRunning(id);
      await this.#containers.platform.tasks.pause(id);
      this.#containers.publish(this.#containers.update(id, { state: { status: 'paused' } }), 'pause');
    });
  }

  /** @throws EngineError CONFLICT */
  async unpause(ref: string): Promise<void> {
    const { id } = this.#containers.lookUp(ref);
    await this.#containers.locked(id, async () => {
      if (this.#containers.get(id).state.status !== 'paused') throw conflict(`Container ${id} is not paused`);
      await this.#containers.platform.tasks.resume(id);
      this.#containers.publish(this.#containers.update(id, { state: { status: 'running' } }), 'unpause');
    });
  }
}
