import type { TaskInfo } from '../../runtime/tasks.ts';
import { releaseLeftoverExecs } from '../exec/leftover.ts';
import { isRunning } from './container.ts';
import { stateDirectory } from './launch.ts';
import type { Lifecycle } from './lifecycle.ts';
import { startsWithDaemon } from './restart-policy.ts';

/** dockerd's exit code of a container that was found dead with nothing to tell why. */
const UNKNOWN_EXIT = 255;

/**
 * A daemon that starts finds its containers again: what runs is taken over, what ended meanwhile has ended, the network
 * is made what the model says, and restart policies hold. Nothing is torn down first.
 */
export async function restore(lifecycle: Lifecycle): Promise<void> {
  const { containers, garbage } = lifecycle;
  const { tasks, networking, log, config } = containers.platform;
  const removeExecs = releaseLeftoverExecs(
    containers.all().map((container) => stateDirectory(config.execRoot, container.id)),
  );
  const running = new Map<string, TaskInfo>((await tasks.list()).map((task) => [task.id, task]));
  removeExecs();
  const alive = (id: string): boolean => {
    const state = running.get(id)?.state;
    return state === 'running' || state === 'paused';
  };
  const before = containers.all();
  const wasRunning = new Set(before.filter(isRunning).map((container) => container.id));
  networking.reconcile((id) => alive(id) && containers.find(id) !== undefined);
  for (const container of before) {
    const task = running.get(container.id);
    running.delete(container.id);
    if (task !== undefined && (task.state === 'running' || task.state === 'paused')) {
      lifecycle.adopt(container, task.pid || container.state.pid, task.state === 'paused');
      continue;
    }
    if (wasRunning.has(container.id)) {
      lifecycle.streams.open(container);
      await lifecycle.ended({
        id: container.id,
        pid: 0,
        exitStatus: task?.state === 'stopped' ? task.exitStatus : UNKNOWN_EXIT,
        exitedAt: task?.state === 'stopped' ? task.exitedAt : new Date().toISOString(),
      });
    } else if (task !== undefined) {
      // The daemon died between the making of a task and the record of its start.
      await tasks
        .delete(container.id)
        .catch((error) => log.warn({ err: error }, 'unfinished task not deleted'));
    }
  }
  for (const task of running.values()) {
    log.warn({ task: task.id }, 'task without a container: ended');
    if (task.state === 'running' || task.state === 'paused')
      await tasks.kill(task.id, 9, { all: true }).catch(() => undefined);
    garbage.add(task.id, Promise.resolve());
  }
  garbage.sweepAll();
  for (const container of containers.all()) {
    const { status } = container.state;
    if (isRunning(container) || status === 'created') continue;
    const dueAlready = status === 'restarting' && !wasRunning.has(container.id);
    if (status === 'restarting' && !dueAlready) continue;
    if (
      !dueAlready &&
      !startsWithDaemon(
        container.hostConfig.RestartPolicy,
        container.manuallyStopped,
        wasRunning.has(container.id),
      )
    )
      continue;
    if (status === 'restarting') containers.update(container.id, { state: { status: 'exited' } });
    lifecycle
      .start(container.id)
      .catch((error) => log.error({ err: error, container: container.id }, 'container not restarted'));
  }
}
