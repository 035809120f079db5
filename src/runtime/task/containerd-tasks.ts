import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import { system } from '../../model/errors.ts';
import type { StdioPaths, TaskExit, TaskInfo, TaskRequest, TaskState, Tasks } from '../tasks.ts';
import { ShimGroups } from './shim-groups.ts';
import { isAlreadyExists, isNotFound, isShimGone, taskError } from './task-error.ts';
import { TaskEvents } from './task-events.ts';
import {
  type Any,
  formatTimestamp,
  type ProcessMessage,
  runcOptionsCodec,
  TaskServices,
} from './task-services.ts';

export interface ContainerdTasksOptions {
  /** Path of containerd's socket. */
  readonly address: string;
  /** containerd namespace. */
  readonly namespace: string;
  /** Where runc keeps its state. */
  readonly runtimeRoot: string;
  /** OCI runtime binary; `runc` when absent. */
  readonly runtimeBinary?: string;
  /** Containers to a shim; 8 when absent. */
  readonly shimCapacity?: number;
  readonly log: Logger;
}

const RUNTIME = 'io.containerd.runc.v2';
const GROUP = 'io.containerd.runc.v2.group';
const GROUP_LABEL = 'gangway.shim-group';
const typed = (name: string, value: unknown): Any => ({
  type_url: `types.containerd.io/opencontainers/runtime-spec/1/${name}`,
  value: Buffer.from(JSON.stringify(value, exactIntegers)),
});
const { rawJSON } = JSON as unknown as { rawJSON(text: string): object };
const exactIntegers = (_: string, value: unknown): unknown =>
  typeof value === 'bigint' ? rawJSON(value.toString()) : value;
const STATES: Readonly<Record<string, TaskState>> = {
  CREATED: 'created',
  RUNNING: 'running',
  PAUSED: 'paused',
  PAUSING: 'paused',
  STOPPED: 'stopped',
};
/** containerd gives a shim two seconds to answer; a busy machine may need more. */
const LIST_ATTEMPTS = 5;
const stdioFields = (stdio: StdioPaths): Record<string, unknown> => ({
  stdin: stdio.stdin ?? '',
  stdout: stdio.stdout ?? '',
  stderr: stdio.stderr ?? '',
  terminal: stdio.terminal,
});

export class ContainerdTasks implements Tasks {
  readonly #services: TaskServices;
  readonly #events: TaskEvents;
  readonly #groups: ShimGroups;
  readonly #options: Any;

  constructor(options: ContainerdTasksOptions) {
    this.#services = new TaskServices(options.address, options.namespace);
    this.#groups = new ShimGroups(
      options.shimCapacity ?? 8,
      () => `gangway-${randomBytes(6).toString('hex')}`,
    );
    this.#options = {
      type_url: 'containerd.runc.v1.Options',
      value: runcOptionsCodec.encode({
        binaryName: options.runtimeBinary ?? 'runc',
        root: options.runtimeRoot,
        systemdCgroup: false,
      }),
    };
    this.#events = new TaskEvents(this.#services, options.namespace, options.log, () => this.#lookForExits());
  }

  async create(request: TaskRequest): Promise<{ readonly pid: number }> {
    const prefix = 'failed to create task for container: ';
    try {
      return await this.#create(request);
    } catch (error) {
      if (!isShimGone(error)) throw taskError(error, prefix);
      return await this.#create(request).catch((again: unknown) => {
        throw taskError(again, prefix);
      });
    }
  }

  #create(request: TaskRequest): Promise<{ readonly pid: number }> {
    return this.#groups.join(request.id, async (group) => {
      await this.#createRecord(request, group);
      try {
        const { pid } = await this.#services.call<{ pid: number }>('Tasks', 'Create', {
          containerId: request.id,
          rootfs: request.rootfs,
          ...stdioFields(request.stdio),
          options: this.#options,
        });
        return { pid };
      } catch (error) {
        await this.#services.call('Containers', 'Delete', { id: request.id }).catch(() => {});
        throw error;
      }
    });
  }

  async #createRecord(request: TaskRequest, group: string): Promise<void> {
    const annotations = (request.spec.annotations ?? {}) as Readonly<Record<string, string>>;
    const container = {
      id: request.id,
      labels: { [GROUP_LABEL]: group },
      runtime: { name: RUNTIME, options: this.#options },
      spec: typed('Spec', { ...request.spec, annotations: { ...annotations, [GROUP]: group } }),
    };
    try {
      await this.#services.call('Containers', 'Create', { container });
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      // Left by a daemon that died between an exit and the removal; a record with a living task cannot be deleted.
      await this.#services.call('Tasks', 'Delete', { containerId: request.id }).catch(() => {});
      await this.#services.call('Containers', 'Delete', { id: request.id });
      await this.#services.call('Containers', 'Create', { container });
    }
  }

  start(id: string): Promise<{ readonly pid: number }> {
    return this.#start(id, '', 'failed to start task for container: ');
  }

  startExec(id: string, execId: string): Promise<{ readonly pid: number }> {
    return this.#start(id, execId, '');
  }

  async #start(id: string, execId: string, prefix: string): Promise<{ readonly pid: number }> {
    const { pid } = await this.#call<{ pid: number }>('Start', { containerId: id, execId }, prefix);
    this.#events.watch(id, execId, pid);
    return { pid };
  }

  async kill(
    id: string,
    signal: number,
    options: { readonly execId?: string; readonly all?: boolean } = {},
  ): Promise<void> {
    await this.#call('Kill', {
      containerId: id,
      execId: options.execId ?? '',
      signal,
      all: options.all ?? false,
    });
  }

  async delete(id: string): Promise<void> {
    const gone = (error: unknown): void => {
      if (!isNotFound(error)) throw taskError(error);
    };
    await this.#groups.leave(id, async () => {
      await this.#services.call('Tasks', 'Delete', { containerId: id }).catch(gone);
      await this.#services.call('Containers', 'Delete', { id }).catch(gone);
    });
  }

  async addExec(
    id: string,
    execId: string,
    process: Readonly<Record<string, unknown>>,
    stdio: StdioPaths,
  ): Promise<void> {
    await this.#call('Exec', {
      containerId: id,
      execId,
      spec: typed('Process', process),
      ...stdioFields(stdio),
    });
  }

  async deleteExec(id: string, execId: string): Promise<void> {
    await this.#services
      .call('Tasks', 'DeleteProcess', { containerId: id, execId })
      .catch((error: unknown) => {
        if (!isNotFound(error)) throw taskError(error);
      });
  }

  async resize(id: string, execId: string, columns: number, rows: number): Promise<void> {
    await this.#call('ResizePty', { containerId: id, execId, width: columns, height: rows });
  }

  async closeStdin(id: string, execId: string): Promise<void> {
    // The shim answers yes for an exec that is not started, and then opens its stdin all the same.
    if (execId !== '') {
      const { process } = await this.#call<{ process: ProcessMessage }>('Get', { containerId: id, execId });
      if (process.status === 'CREATED') throw system(`exec ${execId} is not started`);
    }
    await this.#call('CloseIO', { containerId: id, execId, stdin: true });
  }

  async pids(id: string): Promise<readonly number[]> {
    const reply = await this.#call<{ processes: readonly { pid: number }[] }>('ListPids', {
      containerId: id,
    });
    return reply.processes.map((process) => process.pid);
  }

  async pause(id: string): Promise<void> {
    await this.#call('Pause', { containerId: id });
  }

  async resume(id: string): Promise<void> {
    await this.#call('Resume', { containerId: id });
  }

  async update(id: string, resources: Readonly<Record<string, unknown>>): Promise<void> {
    await this.#call('Update', { containerId: id, resources: typed('Resources', resources) });
  }

  async info(id: string): Promise<TaskInfo | undefined> {
    try {
      const { process } = await this.#services.call<{ process: ProcessMessage }>('Tasks', 'Get', {
        containerId: id,
      });
      // Get leaves container_id empty and puts the container's id into id.
      return taskInfo({ ...process, containerId: id });
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw taskError(error);
    }
  }

  async list(): Promise<readonly TaskInfo[]> {
    const [listed, records] = await Promise.all([
      this.#call<{ tasks: readonly ProcessMessage[] }>('List', {}),
      this.#services
        .call<{ containers: readonly { id: string; labels: Record<string, string> }[] }>(
          'Containers',
          'List',
          {},
        )
        .catch((error: unknown) => {
          throw taskError(error);
        }),
    ]);
    for (const record of records.containers) {
      const group = record.labels[GROUP_LABEL];
      if (group !== undefined && this.#groups.groupOf(record.id) === undefined) {
        this.#groups.restore(record.id, group);
      }
    }
    let { tasks } = listed;
    for (let attempt = 1; attempt < LIST_ATTEMPTS && tasks.some(isUnknown); attempt++) {
      ({ tasks } = await this.#call<{ tasks: readonly ProcessMessage[] }>('List', {}));
    }
    const infos = tasks.map((task) => taskInfo({ ...task, containerId: task.containerId || task.id }));
    for (const info of infos) {
      if (info.pid !== 0 && (info.state === 'running' || info.state === 'paused'))
        this.#events.watch(info.id, '', info.pid);
    }
    return infos;
  }

  onExit(listener: (exit: TaskExit) => void): void {
    this.#events.onExit(listener);
  }

  onOom(listener: (id: string) => void): void {
    this.#events.onOom(listener);
  }

  /** Ends the event stream and the connection; tasks go on. */
  close(): void {
    this.#events.close();
    this.#services.close();
  }

  async #call<T>(method: string, request: Readonly<Record<string, unknown>>, prefix = ''): Promise<T> {
    try {
      return await this.#services.call<T>('Tasks', method, request);
    } catch (error) {
      throw taskError(error, prefix);
    }
  }

  async #lookForExits(): Promise<void> {
    for (const { id, execId, pid } of this.#events.watched()) {
      const process = await this.#services
        .call<{ process: ProcessMessage }>('Tasks', 'Get', { containerId: id, execId })
        .then(
          (reply) => reply.process,
          (error: unknown) => {
            if (isNotFound(error)) return undefined;
            throw error;
          },
        );
      if (process !== undefined && process.status !== 'STOPPED') continue;
      // Gone without a trace: its shim died. 137 is what containerd reports for that.
      this.#events.ended({
        id,
        execId,
        pid,
        exitStatus: process?.exitStatus ?? 137,
        exitedAt: process ? formatTimestamp(process.exitedAt) : new Date().toISOString(),
      });
    }
  }
}

const isUnknown = (message: ProcessMessage): boolean => STATES[message.status] === undefined;

function taskInfo(message: ProcessMessage): TaskInfo {
  return {
    id: message.containerId,
    pid: message.pid,
    // UNKNOWN: the shim does not answer, which is no word of an end.
    state: STATES[message.status] ?? 'running',
    exitStatus: message.exitStatus,
    exitedAt: formatTimestamp(message.exitedAt),
  };
}
