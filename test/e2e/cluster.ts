import type { ChildProcess } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { CACHE } from './engine-under-test.ts';
import { Machine } from './machine.ts';
import { background, must, run, until } from './process.ts';

/** RFC 6598: nobody's on a test machine. */
const UNDERLAY = '100.64.0';
/** The first member of etcd; the others below it. */
const FIRST_MEMBER = 254;

export interface ClusterOptions {
  /** Of etcd; one unless told. */
  readonly members?: number;
}

/** Hosts joined by an underlay, each a machine of its own with its own daemon, and a real etcd beside them. */
export class Cluster implements AsyncDisposable {
  readonly hosts: Machine[] = [];
  readonly #underlay: ChildProcess;
  readonly #directory: string;
  readonly #members: readonly string[];
  readonly #etcd: (ChildProcess | undefined)[] = [];

  private constructor(underlay: ChildProcess, directory: string, members: readonly string[]) {
    this.#underlay = underlay;
    this.#directory = directory;
    this.#members = members;
  }

  static async start(count: number, directory: string, options: ClusterOptions = {}): Promise<Cluster> {
    const members = Array.from({ length: options.members ?? 1 }, (_, i) => `${UNDERLAY}.${FIRST_MEMBER - i}`);
    const addresses = members.map((member) => `ip addr add ${member}/24 dev under0`).join('\n');
    const underlay = await background(
      [
        ...['unshare', '-n', 'sh', '-euc'],
        `ip link set lo up; ip link add under0 type bridge
         ${addresses}
         ip link set under0 up; echo READY; exec sleep infinity`,
      ],
      'READY',
    );
    const cluster = new Cluster(underlay, directory, members);
    try {
      await cluster.startStore();
      for (let i = 1; i <= count; i++) await cluster.#addHost(i);
    } catch (error) {
      await cluster.close().catch(() => {});
      throw error;
    }
    return cluster;
  }

  get storeUrl(): string {
    return `etcd://${this.#members.map((member) => `${member}:2379`).join()}`;
  }

  /** The address other hosts reach it by. */
  address(host: number): string {
    return `${UNDERLAY}.${host + 1}`;
  }

  /** One member of etcd, or all. */
  async startStore(only?: number): Promise<void> {
    for (const [i, address] of this.#members.entries()) {
      if (this.#etcd[i] !== undefined || (only !== undefined && only !== i)) continue;
      const [url, peer] = [`http://${address}:2379`, `http://${address}:2380`];
      this.#etcd[i] = await background(
        this.#inUnderlay([
          ...['sh', '-c', 'echo STARTING; exec "$@" 2>/dev/null', 'sh', join(CACHE, 'etcd')],
          ...['--name', `m${i}`, '--data-dir', join(this.#directory, 'etcd', String(i))],
          ...['--listen-client-urls', url, '--advertise-client-urls', url],
          ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
          ...['--initial-cluster', this.#members.map((each, n) => `m${n}=http://${each}:2380`).join()],
        ]),
        'STARTING',
      );
    }
    await until('etcd to answer', async () =>
      (await this.store('endpoint', 'health')).status === 0 ? true : undefined,
    );
  }

  async stopStore(only?: number): Promise<void> {
    for (const [i, child] of this.#etcd.entries()) {
      if (child === undefined || (only !== undefined && only !== i)) continue;
      this.#etcd[i] = undefined;
      child.kill('SIGKILL');
      await until('etcd to end', () =>
        child.exitCode !== null || child.signalCode !== null ? true : undefined,
      );
    }
  }

  /** etcdctl. */
  store(...args: string[]) {
    const command = [
      'env',
      'ETCDCTL_API=3',
      join(CACHE, 'etcdctl'),
      `--endpoints=${this.#members.map((member) => `http://${member}:2379`).join()}`,
      ...args,
    ];
    return run(this.#inUnderlay(command));
  }

  /** Cuts a host off the others and the store, or joins it again. */
  async link(host: number, state: 'up' | 'down'): Promise<void> {
    await must(this.#inUnderlay(['ip', 'link', 'set', `host${host + 1}`, state]));
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
        flags: ['--cluster-store', this.storeUrl, '--cluster-advertise', 'cl0'],
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
