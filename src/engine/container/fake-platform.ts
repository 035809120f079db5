import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { pino } from 'pino';
import { system } from '../../model/errors.ts';
import type { HostFeatures } from '../../runtime/spec/host-features.ts';
import type { TaskExit, TaskInfo, Tasks } from '../../runtime/tasks.ts';
import type { Platform } from '../engine.ts';
import { EventBus } from '../events.ts';
import { Store } from '../store.ts';
import { Containers } from './containers.ts';
import type { HealthMonitors } from './health-monitor.ts';
import { Lifecycle } from './lifecycle.ts';

/** Processes that exist in a table only: a signal of 9 or 15 ends one, unless it is stubborn. */
class FakeTasks {
  readonly alive = new Map<string, number>();
  readonly left = new Set<string>();
  /** What the next creations fail with, and what they wait for. */
  readonly failures: Error[] = [];
  gate: Promise<void> = Promise.resolve();
  stubborn = false;
  #nextPid = 1000;
  readonly #listeners: ((exit: TaskExit) => void)[] = [];

  async create({ id }: { readonly id: string }): Promise<{ pid: number }> {
    await this.gate;
    const failure = this.failures.shift();
    if (failure !== undefined) throw failure;
    if (this.left.has(id)) throw system(`task ${id}: already exists`);
    this.left.add(id);
    return { pid: ++this.#nextPid };
  }

  async start(id: string): Promise<{ pid: number }> {
    this.alive.set(id, this.#nextPid);
    return { pid: this.#nextPid };
  }

  exit(id: string, exitStatus: number): void {
    const pid = this.alive.get(id);
    if (pid === undefined) throw new Error(`${id} does not run`);
    this.alive.delete(id);
    const exit = { id, execId: '', pid, exitStatus, exitedAt: new Date().toISOString() };
    for (const listener of this.#listeners) listener(exit);
  }

  async kill(id: string, signal: number): Promise<void> {
    if (!this.alive.has(id)) throw system('no such process');
    if (signal === 9 || (signal === 15 && !this.stubborn)) setImmediate(() => this.exit(id, 128 + signal));
  }

  async delete(id: string): Promise<void> {
    if (this.alive.has(id)) throw system('cannot delete a running process');
    this.left.delete(id);
  }

  async list(): Promise<readonly TaskInfo[]> {
    return [...this.alive].map(([id, pid]) => ({ id, pid, state: 'running', exitStatus: 0, exitedAt: '' }));
  }

  onExit(listener: (exit: TaskExit) => void): void {
    this.#listeners.push(listener);
  }

  onOom(): void {}
}

const HOST: HostFeatures = {
  cgroupVersion: 2,
  capabilities: [],
  architecture: 'amd64',
  kernel: [6, 1],
  apparmor: false,
  seccomp: undefined,
  cpuCount: 1,
};

/** The container side on fakes: one image `busybox`, sandboxes and root filesystems as sets of ids. */
export function fakeEngine(t: TestContext) {
  const root = mkdtempSync(join(tmpdir(), 'engine-'));
  mkdirSync(join(root, 'rootfs'));
  const tasks = new FakeTasks();
  const sandboxes = new Set<string>();
  const rootfs = new Set<string>();
  const mounts = [{ type: 'bind', source: join(root, 'rootfs'), target: '', options: [] }];
  const events = new EventBus();
  const platform = {
    config: {
      dataRoot: join(root, 'data'),
      execRoot: join(root, 'exec'),
      defaultUlimits: {},
      logDriver: 'none',
      logOpts: {},
      cgroupParent: '/gangway',
    },
    log: pino({ level: 'silent' }),
    store: new Store(':memory:'),
    events,
    tasks: tasks as unknown as Tasks,
    fifoKeeper: { hold: () => {}, drop: () => {} },
    images: {
      resolve: () => ({ id: `sha256:${'1'.repeat(64)}`, config: { Cmd: ['serve'] } }),
      prepareRootfs: async (_image: unknown, id: string) => {
        rootfs.add(id);
        return mounts;
      },
      rootfsMounts: async () => mounts,
      removeRootfs: async (id: string) => void rootfs.delete(id),
    },
    networking: {
      openSandbox: (id: string) => {
        sandboxes.add(id);
        return { path: `/run/netns/${id}` };
      },
      closeSandbox: (id: string) => void sandboxes.delete(id),
      resolve: () => ({ driver: 'null' }),
      list: () => [],
      prepare: async () => {},
      forget: () => {},
      watch: () => {},
      warnings: () => [],
      writeFiles: () => ({ hostsPath: '/h', hostnamePath: '/n', resolvConfPath: '/r' }),
      reconcile: () => {},
    },
  } as unknown as Platform;
  const containers = new Containers(platform);
  const health = { begin: () => {}, end: () => {}, endAll: () => {} } as unknown as HealthMonitors;
  const lifecycle = new Lifecycle(containers, HOST, () => health);
  t.after(async () => {
    await lifecycle.close();
    for (const { id } of containers.all()) lifecycle.streams.close(id);
    rmSync(root, { recursive: true, force: true });
  });
  return { platform, containers, lifecycle, tasks, sandboxes, rootfs, events };
}
