import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { CACHE, MACHINES } from './engine-under-test.ts';
import { Machine } from './machine.ts';
import { background, must, run, until } from './process.ts';

/** RFC 6598 and RFC 4193: nobody's on a test machine. */
const UNDERLAYS = {
  ipv4: { prefix: '100.64.0.', length: 24 },
  ipv6: { prefix: 'fd64::', length: 64 },
} as const;
/** The first member of etcd; the others below it. */
const FIRST_MEMBER = 254;

export interface ClusterOptions {
  /** Of etcd; one unless told. */
  readonly members?: number;
  /** What the hosts reach each other and etcd by; IPv4 unless told. */
  readonly underlay?: keyof typeof UNDERLAYS;
}

/** Hosts joined by an underlay, each a machine of its own with its own daemon, and a real etcd beside them. */
export class Cluster implements AsyncDisposable {
  readonly hosts: Machine[] = [];
  readonly #underlay: ChildProcess;
  readonly #directory: string;
  readonly #addresses: (typeof UNDERLAYS)[keyof typeof UNDERLAYS];
  readonly #members: readonly string[];
  readonly #etcd: (ChildProcess | undefined)[] = [];

  private constructor(
    underlay: ChildProcess,
    directory: string,
    members: readonly string[],
    addresses: (typeof UNDERLAYS)[keyof typeof UNDERLAYS],
  ) {
    this.#addresses = addresses;
    this.#underlay = underlay;
    this.#directory = directory;
    this.#members = members;
  }

  static async start(count: number, options: ClusterOptions = {}): Promise<Cluster> {
    const addresses = UNDERLAYS[options.underlay ?? 'ipv4'];
    const members = Array.from(
      { length: options.members ?? 1 },
      (_, i) => `${addresses.prefix}${FIRST_MEMBER - i}`,
    );
    const wires = members.map((member) => `ip addr add ${member}/${addresses.length} dev under0 nodad`);
    const underlay = await background(
      [
        ...['unshare', '-n', 'sh', '-euc'],
        // A bridge takes the lowest MAC of its ports unless it was given one, and drops what still goes to the one before.
        `ip link set lo up; ip link add under0 address 02:00:64:00:00:fe type bridge
         ${wires.join('\n')}
         ip link set under0 up; echo READY; exec sleep infinity`,
      ],
      'READY',
    );
    const directory = mkdtempSync(join(MACHINES, 'gangway-cluster-'));
    const cluster = new Cluster(underlay, directory, members, addresses);
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
    return `etcd://${this.#members.map((member) => `${bracketed(member)}:2379`).join()}`;
  }

  /** The address other hosts reach it by. */
  address(host: number): string {
    return `${this.#addresses.prefix}${host + 1}`;
  }

  /** A network of all hosts, made on the first: when it resolves, every host knows of it. */
  async createOverlay(name: string, ...options: string[]): Promise<void> {
    await this.hosts[0]?.dockerOk('network', 'create', '-d', 'overlay', ...options, name);
    for (const host of this.hosts)
      await until(`the network ${name}`, async () =>
        (await host.docker('network', 'inspect', name)).status === 0 ? true : undefined,
      );
  }

  /** One member of etcd, or all. */
  async startStore(only?: number): Promise<void> {
    for (const [i, address] of this.#members.entries()) {
      if (this.#etcd[i] !== undefined || (only !== undefined && only !== i)) continue;
      const [url, peer] = [`http://${bracketed(address)}:2379`, `http://${bracketed(address)}:2380`];
      this.#etcd[i] = await background(
        this.#inUnderlay([
          ...['sh', '-c', 'echo STARTING; exec "$@" 2>/dev/null', 'sh', join(CACHE, 'etcd')],
          ...['--name', `m${i}`, '--data-dir', join(this.#directory, String(i))],
          ...['--listen-client-urls', url, '--advertise-client-urls', url],
          ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
          ...[
            '--initial-cluster',
            this.#members.map((each, n) => `m${n}=http://${bracketed(each)}:2380`).join(),
          ],
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

  /** The member takes connections and gives no answer, or goes on. */
  silenceStore(member: number, state: 'silent' | 'answering'): void {
    this.#etcd[member]?.kill(state === 'silent' ? 'SIGSTOP' : 'SIGCONT');
  }

  /** etcdctl. */
  store(...args: string[]) {
    const command = [
      'env',
      'ETCDCTL_API=3',
      join(CACHE, 'etcdctl'),
      `--endpoints=${this.#members.map((member) => `http://${bracketed(member)}:2379`).join()}`,
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
    rmSync(this.#directory, { recursive: true, force: true });
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
            ip addr add ${this.address(number - 1)}/${this.#addresses.length} dev cl0 nodad
            ip link set cl0 up`;
          await must(machine.inMachine(['sh', '-euc', wire]));
          await must(this.#inUnderlay(['ip', 'link', 'set', `host${number}`, 'master', 'under0', 'up']));
        },
      }),
    );
  }
}

const bracketed = (address: string): string => (address.includes(':') ? `[${address}]` : address);
