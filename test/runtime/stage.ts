import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ContainerConfig, HostConfig } from '@docker/node-sdk';
import { pino } from 'pino';
import { CLONE_NEWNET, CLONE_NEWNS, unshare } from '../../src/kernel/libc.ts';
import { ContainerdProcess } from '../../src/runtime/containerd-process.ts';
import type { Mount } from '../../src/runtime/images.ts';
import { buildSpec } from '../../src/runtime/spec/build-spec.ts';
import { type HostFeatures, probeHostFeatures } from '../../src/runtime/spec/host-features.ts';
import { RootfsReader } from '../../src/runtime/spec/rootfs-reader.ts';
import { lookupUser } from '../../src/runtime/spec/user.ts';
import { ContainerdTasks } from '../../src/runtime/task/containerd-tasks.ts';
import type { StdioPaths, TaskExit } from '../../src/runtime/tasks.ts';

const PARENT = '/gangway-test';

/** A containerd of its own under a temporary directory, and containers of busybox on it. Needs root. */
export class Stage {
  readonly directory: string;
  readonly process: ContainerdProcess;
  readonly host: HostFeatures = probeHostFeatures();
  readonly rootfs: readonly Mount[];
  #tasks: ContainerdTasks | undefined;
  #exits = new Map<string, TaskExit>();
  #waiting = new Map<string, (exit: TaskExit) => void>();

  constructor(directory = mkdtempSync(join(tmpdir(), 'gangway-runtime-'))) {
    this.directory = directory;
    this.process = new ContainerdProcess({
      dataRoot: join(directory, 'data'),
      execRoot: join(directory, 'exec'),
      log: pino({ level: 'silent' }),
    });
    const rootfs = join(directory, 'rootfs');
    this.rootfs = [{ type: 'bind', source: rootfs, target: '', options: ['rbind', 'rw'] }];
  }

  /** Own mount and network namespaces for this thread and the processes it starts. */
  static isolate(): void {
    unshare(CLONE_NEWNS | CLONE_NEWNET);
  }

  makeRootfs(): void {
    const rootfs = join(this.directory, 'rootfs');
    for (const name of ['bin', 'etc', 'proc', 'dev', 'sys', 'tmp'])
      mkdirSync(join(rootfs, name), { recursive: true });
    copyFileSync('/bin/busybox', join(rootfs, 'bin/busybox'));
    for (const name of ['sh', 'sleep', 'cat', 'id', 'echo', 'grep', 'stty', 'true', 'mount']) {
      symlinkSync('busybox', join(rootfs, 'bin', name));
    }
    writeFileSync(join(rootfs, 'etc/passwd'), 'root:x:0:0::/:/bin/sh\napp:x:1000:1001::/:/bin/sh\n');
    writeFileSync(join(rootfs, 'etc/group'), 'root:x:0:\napp:x:1001:\nextra:x:50:app\n');
  }

  get tasks(): ContainerdTasks {
    this.#tasks ??= this.#openTasks();
    return this.#tasks;
  }

  #openTasks(): ContainerdTasks {
    const tasks = new ContainerdTasks({
      address: this.process.address,
      namespace: 'gangway-test',
      runtimeRoot: join(this.directory, 'exec/runc'),
      log: pino({ level: 'silent' }),
    });
    tasks.onExit((exit) => {
      const key = `${exit.id}/${exit.execId}`;
      const waiting = this.#waiting.get(key);
      if (waiting) waiting(exit);
      else this.#exits.set(key, exit);
    });
    return tasks;
  }

  /** The exit of a process, past or to come; once. */
  exit(id: string, execId = ''): Promise<TaskExit> {
    const key = `${id}/${execId}`;
    const past = this.#exits.get(key);
    this.#exits.delete(key);
    if (past) return Promise.resolve(past);
    return new Promise((resolve) => {
      this.#waiting.set(key, (exit) => {
        this.#waiting.delete(key);
        resolve(exit);
      });
    });
  }

  spec(id: string, config: ContainerConfig, hostConfig: HostConfig = {}): Readonly<Record<string, unknown>> {
    return buildSpec({
      id,
      config,
      hostConfig,
      hostname: id,
      user: lookupUser(new RootfsReader(this.rootfs), config.User ?? '', hostConfig.GroupAdd ?? []),
      host: this.host,
      namespaces: { network: 'own', pid: 'own', ipc: 'own', uts: 'own', cgroup: 'host' },
      mounts: [],
      sharedMemory: { kind: 'private', size: 1 << 20 },
      devices: [],
      deviceRules: [],
      cgroupParent: PARENT,
    }) as unknown as Readonly<Record<string, unknown>>;
  }

  async run(
    id: string,
    args: readonly string[],
    options: { stdio?: StdioPaths; config?: ContainerConfig; hostConfig?: HostConfig } = {},
  ): Promise<number> {
    const config = { ...options.config, Cmd: [...args] };
    const spec = this.spec(id, config, options.hostConfig);
    await this.tasks.create({ id, spec, rootfs: this.rootfs, stdio: options.stdio ?? { terminal: false } });
    return (await this.tasks.start(id)).pid;
  }

  /** Kills, waits, deletes. */
  async remove(id: string): Promise<void> {
    if ((await this.tasks.info(id))?.state === 'running') {
      const gone = this.exit(id);
      await this.tasks.kill(id, 9);
      await gone;
    }
    await this.tasks.delete(id);
  }

  /** Process ids of the shims of this containerd. */
  shims(): readonly number[] {
    return readdirSync('/proc')
      .map(Number)
      .filter((pid) => {
        try {
          const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
          return line.includes('containerd-shim-runc-v2') && line.includes(this.process.address);
        } catch {
          return false;
        }
      });
  }

  async close(): Promise<void> {
    for (const task of await this.tasks.list()) await this.remove(task.id);
    this.tasks.close();
    await this.process.stop();
    // runc removes a container's cgroup, never its parent.
    const hierarchies = existsSync('/sys/fs/cgroup/cgroup.controllers')
      ? ['']
      : readdirSync('/sys/fs/cgroup');
    for (const name of hierarchies) {
      const parent = join('/sys/fs/cgroup', name, PARENT);
      if (existsSync(parent)) rmdirSync(parent);
    }
    rmSync(this.directory, { recursive: true, force: true });
  }
}
