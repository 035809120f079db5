import { conflict, EngineError, invalid, notModified, system } from '../../model/errors.ts';
import type { HostFeatures } from '../../runtime/spec/host-features.ts';
import type { TaskExit } from '../../runtime/tasks.ts';
import type { Platform } from '../engine.ts';
import { type Container, isRunning } from './container.ts';
import { ContainerNetwork } from './container-network.ts';
import type { Containers } from './containers.ts';
import { copyUp } from './copy-up.ts';
import { Garbage } from './garbage.ts';
import type { HealthMonitors } from './health-monitor.ts';
import { launchSpec, startFailure } from './launch.ts';
import { LiveTable } from './live.ts';
import { Removal } from './removal.ts';
import { decideRestart } from './restart-policy.ts';
import { Restarts } from './restarts.ts';
import { parseSignal } from './signal.ts';
import { late, SIGKILL, Signals } from './signals.ts';
import { Streams } from './streams.ts';
import { type WaitCondition, Waiters, type WaitResult } from './waiters.ts';

const STOP_TIMEOUT_S = 10;

/** Starting, stopping and ending of containers, and what follows from it. */
export class Lifecycle {
  readonly containers: Containers;
  readonly streams: Streams;
  readonly garbage: Garbage;
  readonly network: ContainerNetwork;
  readonly signals: Signals;
  readonly host: HostFeatures;
  readonly #platform: Platform;
  readonly #live = new LiveTable();
  readonly #waiters = new Waiters();
  readonly #health: HealthMonitors;
  readonly #restarts: Restarts;
  readonly #removal: Removal;
  #stopping = false;

  constructor(containers: Containers, host: HostFeatures, health: (lifecycle: Lifecycle) => HealthMonitors) {
    this.containers = containers;
    this.host = host;
    this.#platform = containers.platform;
    this.streams = new Streams(containers);
    this.network = new ContainerNetwork(containers);
    this.signals = new Signals(containers);
    this.garbage = new Garbage(this.#platform, (id) => containers.directory(id));
    this.#restarts = new Restarts(containers, this.#live, this.#waiters, (id) => this.#launch(id));
    this.#removal = new Removal({
      containers,
      live: this.#live,
      waiters: this.#waiters,
      signals: this.signals,
      streams: this.streams,
      garbage: this.garbage,
    });
    this.#health = health(this);
    this.#platform.tasks.onExit((exit) => {
      if (exit.execId === '') void this.ended(exit);
    });
    this.#platform.tasks.onOom((id) => {
      const container = containers.find(id);
      if (container === undefined) return;
      this.#live.of(id).oomKilled = true;
      containers.publish(container, 'oom');
    });
  }

  /** @throws EngineError NOT_MODIFIED when it runs already, CONFLICT, and whatever keeps it from starting */
  async start(ref: string): Promise<void> {
    const { id } = this.containers.lookUp(ref);
    await this.containers.locked(id, async () => {
      const container = this.containers.get(id);
      if (container.state.status === 'paused')
        throw conflict('cannot start a paused container, try unpause instead');
      if (container.state.status === 'running') throw notModified();
      if (this.#live.of(id).removing) throw conflict('container is marked for removal and cannot be started');
      this.#live.cancelRestart(id);
      this.containers.update(id, { manuallyStopped: false, restartCount: 0 });
      await this.#launch(id);
    });
  }

  async #launch(id: string): Promise<void> {
    const { images, tasks } = this.#platform;
    const live = this.#live.of(id);
    await live.taskGone;
    live.oomKilled = false;
    const container = this.containers.get(id);
    this.containers.volumes.tellMounted(id, container.mounts);
    try {
      await this.#platform.networking.prepare(container.networks);
      const attached = this.network.open(container);
      const rootfs = await images.rootfsMounts(id);
      await copyUp(this.containers, container, rootfs);
      const spec = launchSpec(
        this.containers,
        container,
        this.host,
        rootfs,
        attached.namespace,
        attached.files,
      );
      const stdio = this.streams.open(container).paths;
      await tasks.create({ id, spec: spec as unknown as Record<string, unknown>, rootfs, stdio });
      const { pid } = await tasks.start(id);
      const started = this.containers.update(id, {
        state: {
          status: 'running',
          pid,
          exitCode: 0,
          error: '',
          oomKilled: false,
          startedAt: new Date().toISOString(),
        },
      });
      this.containers.publish(started, 'start');
      this.#health.begin(started);
    } catch (error) {
      throw this.#startFailed(id, error);
    }
  }

  #startFailed(id: string, error: unknown): Error {
    const live = this.#live.of(id);
    this.network.close(this.containers.get(id));
    this.containers.volumes.tellUnmounted(id, this.containers.get(id).mounts);
    this.streams.close(id);
    live.taskGone = this.#platform.tasks.delete(id).catch(() => undefined);
    const message = error instanceof Error ? error.message : String(error);
    const { exitCode, badRequest } = startFailure(message);
    const fromRuntime = /^failed to (create|start) task/.test(message);
    const { status } = this.containers.get(id).state;
    const container = this.containers.update(id, {
      state: {
        status: status === 'created' ? 'created' : 'exited',
        pid: 0,
        exitCode: fromRuntime ? exitCode : 128,
        error: message,
        ...(status === 'created' ? {} : { finishedAt: new Date().toISOString() }),
      },
    });
    // Who waits for a run that never was is not told: dockerd's `next-exit` is of a process.
    if (status === 'restarting')
      this.#waiters.ended(id, { statusCode: container.state.exitCode, error: message });
    if (container.hostConfig.AutoRemove) this.#removal.discard(id, { volumes: true });
    if (fromRuntime && badRequest) return invalid(message);
    return error instanceof EngineError ? error : system(message, error);
  }

  /** The container's first process has ended. */
  async ended(exit: Pick<TaskExit, 'id' | 'pid' | 'exitStatus' | 'exitedAt'>): Promise<void> {
    await this.containers.locked(exit.id, async () => {
      const before = this.containers.find(exit.id);
      if (before === undefined || !isRunning(before) || (exit.pid !== 0 && before.state.pid !== exit.pid))
        return;
      const live = this.#live.of(exit.id);
      this.#health.end(exit.id);
      await this.streams.finish(exit.id);
      this.network.close(before);
      this.containers.volumes.tellUnmounted(exit.id, before.mounts);
      live.taskGone = this.#platform.tasks
        .delete(exit.id)
        .catch((error) =>
          this.#platform.log.warn({ err: error, container: exit.id }, 'ended task not deleted'),
        );
      const ranMs = Date.parse(exit.exitedAt) - Date.parse(before.state.startedAt);
      const decision = decideRestart(before.hostConfig.RestartPolicy, {
        exitCode: exit.exitStatus,
        manuallyStopped: before.manuallyStopped || live.removing || this.#stopping,
        restartCount: before.restartCount,
        previousDelayMs: live.restartDelayMs,
        ranMs,
      });
      const container = this.containers.update(exit.id, {
        state: {
          status: decision.restart ? 'restarting' : 'exited',
          pid: 0,
          exitCode: exit.exitStatus,
          oomKilled: live.oomKilled,
          finishedAt: exit.exitedAt,
        },
        ...(decision.restart ? { restartCount: before.restartCount + 1 } : {}),
      });
      this.containers.publish(container, 'die', {
        exitCode: String(exit.exitStatus),
        execDuration: String(Math.max(0, Math.round(ranMs / 1000))),
      });
      if (decision.restart) this.#restarts.later(exit.id, decision.delayMs);
      else live.restartDelayMs = 0;
      this.#waiters.ended(exit.id, { statusCode: exit.exitStatus });
      if (!decision.restart && container.hostConfig.AutoRemove && !live.removing && !live.kept)
        this.#removal.discard(exit.id, { volumes: true });
    });
  }

  /** @param options.timeout seconds before SIGKILL; below 0: for ever. @throws EngineError NOT_MODIFIED when it does not run */
  async stop(
    ref: string,
    options: { readonly timeout?: number; readonly signal?: string } = {},
  ): Promise<void> {
    const { id, config } = this.containers.lookUp(ref);
    const signal = parseSignal(options.signal || config.StopSignal || 'SIGTERM');
    this.containers.update(id, { manuallyStopped: true });
    if (await this.#restarts.stop(id)) return;
    const container = this.containers.get(id);
    if (!isRunning(container)) throw notModified();
    const timeout = options.timeout ?? config.StopTimeout ?? STOP_TIMEOUT_S;
    const ended = this.#waiters.wait(id, 'next-exit');
    await this.signals.sendUnlessEnded(container, signal);
    const patience = timeout < 0 ? ended : Promise.race([ended, late(timeout * 1000)]);
    if ((await patience) === 'late') await this.signals.killForGood(container, ended);
    this.containers.publish(this.containers.find(id) ?? container, 'stop');
  }

  /** @throws EngineError CONFLICT when it does not run, INVALID_PARAMETER for an unknown signal */
  async kill(ref: string, signalText: string): Promise<void> {
    const { container, signal } = this.signals.parseKill(ref, signalText);
    this.containers.update(container.id, { manuallyStopped: true });
    if (signal !== SIGKILL) return this.signals.send(container, signal);
    const ended = this.#waiters.wait(container.id, 'next-exit');
    await this.signals.killForGood(container, ended);
  }

  async restart(
    ref: string,
    options: { readonly timeout?: number; readonly signal?: string } = {},
  ): Promise<void> {
    const { id } = this.containers.lookUp(ref);
    if (isRunning(this.containers.get(id))) await this.#stopToRestart(id, options);
    await this.start(id);
    this.containers.publish(this.containers.get(id), 'restart');
  }

  async #stopToRestart(
    id: string,
    options: { readonly timeout?: number; readonly signal?: string },
  ): Promise<void> {
    const live = this.#live.of(id);
    live.kept = true;
    try {
      await this.stop(id, options);
    } catch (error) {
      // It has ended by itself a moment ago.
      if (!(error instanceof EngineError && error.code === 'NOT_MODIFIED')) throw error;
    } finally {
      live.kept = false;
    }
  }

  /** Resolves at once where the condition holds already. */
  wait(ref: string, condition: WaitCondition, signal?: AbortSignal): Promise<WaitResult> {
    const container = this.containers.lookUp(ref);
    const { status, exitCode } = container.state;
    const over = status === 'created' || status === 'exited' || status === 'dead';
    if (condition === 'not-running' && over) return Promise.resolve({ statusCode: exitCode });
    return this.#waiters.wait(container.id, condition, signal);
  }

  /** @throws EngineError NOT_FOUND, CONFLICT when it runs and `force` is not given */
  remove(ref: string, options: { readonly force: boolean; readonly volumes: boolean }): Promise<void> {
    return this.#removal.remove(ref, options);
  }

  /** Stops what this daemon does by itself; containers go on. */
  async close(): Promise<void> {
    this.#stopping = true;
    this.#live.stopTimers();
    this.#health.endAll();
    await this.garbage.settled();
  }

  /** Takes a container over that runs from before. */
  adopt(container: Container, pid: number, paused: boolean): void {
    this.streams.open(container);
    this.network.resume(container);
    const adopted = this.containers.update(container.id, {
      state: {
        status: paused ? 'paused' : 'running',
        pid,
        // The daemon may have died between the start of the process and the record of it.
        ...(isRunning(container) ? {} : { startedAt: new Date().toISOString() }),
      },
    });
    this.#health.begin(adopted);
  }
}
