import type { ChildProcess } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { CACHE } from './engine-under-test.ts';
import { Machine } from './machine.ts';
import { background, must, run, until } from './process.ts';

/** RFC 6598: nobody's on a test machine. */
const UNDERLAY = '100.64.0';
const STORE = `${UNDERLAY}.254`;

/** Hosts joined by an underlay, each a machine of its own with its own daemon, and a real etcd beside them. */
export class Cluster implements AsyncDisposable {
  readonly hosts: Machine[] = [];
  readonly #underlay: ChildProcess;
  readonly #directory: string;
  #etcd: ChildProcess | undefined;

  private constructor(underlay: ChildProcess, directory: string) {
    this.#underlay = underlay;
    this.#directory = directory;
  }

  static async start(count: number, directory: string): Promise<Cluster> {
    const underlay = await background(
      [
        ...['unshare', '-n', 'sh', '-euc'],
        `ip link set lo up; ip link add under0 type bridge; ip addr add ${STORE}/24 dev under0
         ip link set under0 up; echo READY; exec sleep infinity`,
      ],
      'READY',
    );
    const cluster = new Cluster(underlay, directory);
    try {
      await cluster.startStore();
      for (let i = 1; i <= count; i++) await cluster.#addHost(i);
    } catch (error) {
      await cluster.close().catch(() => {});
      throw error;
    }
    return cluster;
  }

  /** The address other hosts reach it by. */
  address(host: number): string {
    return `${UNDERLAY}.${host + 1}`;
  }

  async startStore(): Promise<void> {
    const url = `http://${STORE}:2379`;
    const peer = `http://${STORE}:2380`;
    this.#etcd = await background(
      this.#inUnderlay([
        ...['sh', '-c', 'echo STARTING; exec "$@" 2>/dev/null', 'sh', join(CACHE, 'etcd')],
        ...[
          '--data-dir',
          join(this.#directory, 'etcd'),
          '--listen-client-urls',
          url,
          '--advertise-client-urls',
          url,
        ],
        ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
        ...['--initial-cluster', `default=${peer}`],
      ]),
      'STARTING',
    );
    await until('etcd to answer', async () =>
      (await this.store('endpoint', 'health')).status === 0 ? true : undefined,
    );
  }

  async stopStore(): Promise<void> {
    const child = this.#etcd;
    if (child === undefined) return;
    this.#etcd = undefined;
    child.kill('SIGKILL');
    await until('etcd to end', () =>
      child.exitCode !== null || child.signalCode !== null ? true : undefined,
    );
  }

  /** etcdctl. */
  store(...args: string[]) {
    const command = [
      'env',
      'ETCDCTL_API=3',
      join(CACHE, 'etcdctl'),
      `--endpoints=http://${STORE}:2379`,
      ...args,
    ];
    return run(this.#inUnderlay(command));
  }

  /** Cuts a host off the others and the store, or joins it again. */
  async link(host: number, state: 'up' | 'down'): Promise<void> {
    await must(this.#inUnderlay(['ip', 'link', 'set', `host${host + 1}`, state]));
  }

  /** A command on the wire between the hosts; `hostN` is the port of the N-th. */
  onUnderlay(...command: string[]): Promise<string> {
    return must(this.#inUnderlay(command));
  }

  async close(): Promise<void> {
    const errors: unknown[] = [];
    for (const host of this.hosts) await host.close().catch((error: unknown) => errors.push(error));
    await this.stopStore();
    this.#underlay.kill('SIGKILL');
    rmSync(join(this.#directory, 'etcd'), { recursive: true, force: true });
    if (errors.length > 0) throw new AggregateError(errors, errors.map(String).join('; '));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #inUnderlay(command: readonly string[]): string[] {
    return ['nsenter', '-t', String(this.#underlay.pid), '-n', ...command];
  }

  async #addHost(number: number): Promise<void> {
    this.hosts.push(
      await Machine.start({
        flags: ['--cluster-store', `etcd://${STORE}:2379`, '--cluster-advertise', 'cl0'],
        prepare: async (machine) => {
          const wire = `
            ip link add cl0 type veth peer name host${number} netns ${this.#underlay.pid}
            ip addr add ${UNDERLAY}.${number}/24 dev cl0
            ip link set cl0 up`;
          await must(machine.inMachine(['sh', '-euc', wire]));
          await must(this.#inUnderlay(['ip', 'link', 'set', `host${number}`, 'master', 'under0', 'up']));
        },
      }),
    );
  }
}
