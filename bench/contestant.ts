import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
} from 'node:fs';
import { join } from 'node:path';
import { background, childrenOf, must, type Result, run, sleep, until } from '../test/e2e/process.ts';
import { Api } from './api.ts';

export const CHECKOUT = new URL('../', import.meta.url).pathname;
const PEERS = process.env.PEERS_DIR ?? `${CHECKOUT}../shared/peers`;
const PEER_ROOT = process.env.PEERS ?? '/tmp/peer';

/** Addresses of the wire to the host outside, inside the contestant's namespaces. */
export const HOST = '198.51.100.1';
const OUTSIDE = '198.51.100.2';

export interface Memory {
  /** Bytes. */
  readonly rss: number;
  readonly pss: number;
}

/** One engine in network and mount namespaces of its own, with a host outside on a wire. */
export class Contestant {
  readonly name: string;
  readonly api: Api;
  readonly #label: string;
  readonly #directory: string;
  readonly #command: readonly string[];
  readonly #socket: string;
  readonly #pidfile: string;
  #child: ChildProcess | undefined;
  #outside: ChildProcess | undefined;
  /** Keeps the namespaces of a daemon that was killed. */
  #holder: ChildProcess | undefined;

  /** @param label tells two of the same engine apart @param flags more of them for the daemon */
  constructor(name: 'gangway' | 'dockerd' | 'podman', label = 'bench', flags: readonly string[] = []) {
    this.name = name;
    this.#label = `${label}-${name}`;
    this.#directory = mkdtempSync('/tmp/gangway-bench-');
    if (name === 'gangway') {
      this.#socket = join(this.#directory, 'docker.sock');
      this.#pidfile = join(this.#directory, 'docker.pid');
      const script = `set -e
        mount --make-rprivate /
        mkdir $0/cgroup; mount --rbind /sys/fs/cgroup $0/cgroup
        mount -t sysfs sysfs /sys; mount --move $0/cgroup /sys/fs/cgroup
        mount -t tmpfs tmpfs /run; ip link set lo up
        exec ${CHECKOUT}bin/gangwayd -H unix://$0/docker.sock --data-root $0/data --exec-root $0/exec \
          -p $0/docker.pid --cgroup-parent gangway-bench "$@"`;
      this.#command = ['unshare', '-n', '-m', 'sh', '-c', script, this.#directory, ...flags];
    } else {
      const home = join(PEER_ROOT, `run-${this.#label}`);
      this.#socket = join(home, 'docker.sock');
      this.#pidfile = join(home, 'docker.pid');
      this.#command = [join(PEERS, name), this.#label, ...flags];
    }
    this.api = new Api(this.#socket);
  }

  /** The reference engines this machine has. */
  static available(): ('gangway' | 'dockerd' | 'podman')[] {
    const peers = (['dockerd', 'podman'] as const).filter((name) => existsSync(join(PEERS, name)));
    return ['gangway', ...peers.filter(() => existsSync(join(PEER_ROOT, 'forky/usr/sbin/dockerd')))];
  }

  get pid(): number {
    return Number(readFileSync(this.#pidfile, 'utf8'));
  }

  async start(): Promise<void> {
    const log = openSync(join(this.#directory, 'log'), 'a');
    const [program = '', ...args] = this.#command;
    const child = spawn(program, args, { stdio: ['ignore', log, log], detached: true });
    closeSync(log);
    this.#child = child;
    await until(
      `${this.name} to answer`,
      async () => {
        if (child.exitCode !== null) {
          throw new Error(
            `${this.name} ended: ${readFileSync(join(this.#directory, 'log'), 'utf8').slice(-1000)}`,
          );
        }
        return (await this.docker('version')).status === 0 || undefined;
      },
      60,
    );
    await this.#wire();
    await this.#importBusybox();
  }

  async #wire(): Promise<void> {
    const script = 'ip link set lo up; echo READY; exec sleep infinity';
    const outside = await background(['unshare', '-n', 'sh', '-c', script], 'READY');
    this.#outside = outside;
    await must([
      ...['nsenter', '-t', String(this.pid), '-n', 'sh', '-euc'],
      `ip link add up0 type veth peer name wire0 netns ${outside.pid}
       ip addr add ${HOST}/24 dev up0; ip link set up0 up; ip route add default via ${OUTSIDE}
       nsenter -t ${outside.pid} -n sh -euc 'ip addr add ${OUTSIDE}/24 dev wire0; ip link set wire0 up'`,
    ]);
  }

  async #importBusybox(): Promise<void> {
    const script = `set -e; d=$(mktemp -d); mkdir -p $d/bin $d/etc $d/tmp; cp /bin/busybox $d/bin/
      for a in $(/bin/busybox --list); do [ $a = busybox ] || ln -s busybox $d/bin/$a; done
      echo root:x:0:0:root:/root:/bin/sh >$d/etc/passwd; echo root:x:0: >$d/etc/group
      tar -C $d -c . | docker -H unix://${this.#socket} import - busybox:latest; rm -rf $d`;
    await must(['sh', '-c', script]);
  }

  docker(...args: string[]): Promise<Result> {
    return run(['docker', '-H', `unix://${this.#socket}`, ...args]);
  }

  async dockerOk(...args: string[]): Promise<string> {
    return must(['docker', '-H', `unix://${this.#socket}`, ...args]);
  }

  /** A command prefix that enters the network namespace of a process, of the daemon or of the host outside. */
  inside(pid: number | 'outside'): string[] {
    return ['nsenter', '-t', String(pid === 'outside' ? this.#outside?.pid : pid), '-n'];
  }

  /** Keeps the daemon's namespaces, kills it without warning, and starts it again in them as it was started. */
  async killAndStart(): Promise<void> {
    const { pid } = this;
    const words = (file: string): string[] =>
      readFileSync(`/proc/${pid}/${file}`, 'utf8').split('\0').slice(0, -1);
    const command = words('cmdline');
    const env = Object.fromEntries(words('environ').map((word) => word.split(/=(.*)/s).slice(0, 2)));
    const enter = ['nsenter', '-t', String(pid), '-n', '-m', '--'];
    this.#holder ??= await background([...enter, 'sh', '-c', 'echo READY; exec sleep infinity'], 'READY');
    const log = openSync(join(this.#directory, 'log'), 'a');
    const child = this.#child;
    const ended = child === undefined || once(child, 'close');
    process.kill(pid, 'SIGKILL');
    // As long as it is a zombie of ours, dockerd takes it for alive.
    await ended;
    const args = ['-t', String(this.#holder.pid), '-n', '-m', '--', ...command];
    this.#child = spawn('nsenter', args, { stdio: ['ignore', log, log], detached: true, env });
    closeSync(log);
  }

  /** The engine's own processes: everything in its mount namespace, which containers are not. */
  processes(): number[] {
    const own = readlinkSync(`/proc/${this.#holder?.pid ?? this.pid}/ns/mnt`);
    return readdirSync('/proc')
      .filter((name) => {
        try {
          return /^\d+$/.test(name) && readlinkSync(`/proc/${name}/ns/mnt`) === own;
        } catch {
          return false;
        }
      })
      .map(Number);
  }

  /** Microseconds of processor time that the engine's processes have taken so far (proc(5): ticks of 10 ms). */
  processorTime(): number {
    let ticks = 0;
    for (const pid of this.processes()) {
      try {
        const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
          .replace(/^.*\) /s, '')
          .split(' ');
        ticks += Number(fields[11]) + Number(fields[12]);
      } catch {}
    }
    return ticks * 10_000;
  }

  memory(): Memory {
    let rss = 0;
    let pss = 0;
    for (const pid of this.processes()) {
      try {
        const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
        const field = (name: string) =>
          Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0);
        rss += field('Rss') * 1024;
        pss += field('Pss') * 1024;
      } catch {}
    }
    return { rss, pss };
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    this.api.close();
    const ids = (await this.docker('ps', '-aq')).stdout.split('\n').filter(Boolean);
    if (ids.length > 0) await this.docker('rm', '-f', ...ids);
    // With what a dead dockerd has left running: the children of its shims.
    const processes = this.processes().flatMap((pid) => [pid, ...childrenOf(pid)]);
    if (this.name === 'gangway') {
      const roots = ['data', 'exec', 'docker.pid'].map((name) => join(this.#directory, name));
      const clean = ['bash', `${CHECKOUT}setup/clean.sh`, ...roots, 'gangway-bench'];
      await run(['nsenter', '-t', String(this.#holder?.pid ?? this.pid), '-n', '-m', ...clean]);
    } else {
      child.kill('SIGTERM');
      for (let i = 0; i < 100 && child.exitCode === null; i++) await sleep(100);
    }
    for (const pid of processes) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {}
    }
    this.#outside?.kill('SIGKILL');
    await sleep(200);
    rmSync(this.#directory, { recursive: true, force: true });
    if (this.name !== 'gangway') {
      for (const kind of ['run', 'data']) {
        rmSync(join(PEER_ROOT, `${kind}-${this.#label}`), { recursive: true, force: true });
      }
    }
  }
}
