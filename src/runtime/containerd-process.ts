import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { system } from '../model/errors.ts';

export interface ContainerdProcessOptions {
  readonly dataRoot: string;
  readonly execRoot: string;
  /** `--containerd`: socket of a containerd that is not ours; it is only connected to. */
  readonly address?: string;
  readonly binary?: string;
  readonly log: Logger;
}

/** Everything a container engine does not ask of containerd; what is loaded costs memory whether used or not. */
const DISABLED_PLUGINS = [
  'io.containerd.grpc.v1.cri',
  'io.containerd.snapshotter.v1.aufs',
  'io.containerd.snapshotter.v1.btrfs',
  'io.containerd.snapshotter.v1.zfs',
  'io.containerd.snapshotter.v1.devmapper',
  'io.containerd.internal.v1.opt',
  'io.containerd.internal.v1.restart',
  'io.containerd.internal.v1.tracing',
  'io.containerd.tracing.processor.v1.otlp',
  'io.containerd.monitor.v1.cgroups',
];
/** Like dockerd's containerd: the kernel's OOM killer takes containers first. */
const OOM_SCORE = -500;
const READY_MS = 15_000;
const STOP_MS = 10_000;
const RESPAWN_MS = 200;

/**
 * The containerd the engine stands on: a child of ours with a session of its own, which outlives the daemon and is
 * found again by its pidfile; or somebody else's, by its address.
 */
export class ContainerdProcess {
  readonly #options: ContainerdProcessOptions;
  readonly #directory: string;
  readonly #configPath: string;
  readonly #pidfile: string;
  readonly #recoveredListeners = new Set<() => void>();
  #child: ChildProcess | undefined;
  #watch: ReturnType<typeof connectHttp2> | undefined;
  #stopping = false;
  /** Path of the socket. */
  readonly address: string;

  constructor(options: ContainerdProcessOptions) {
    this.#options = options;
    this.#directory = join(options.execRoot, 'containerd');
    this.#configPath = join(this.#directory, 'config.toml');
    this.#pidfile = join(this.#directory, 'containerd.pid');
    this.address = options.address?.replace(/^unix:\/\//, '') ?? join(this.#directory, 'containerd.sock');
  }

  /** Finds the running one or starts it; resolves when its socket answers. @throws EngineError SYSTEM */
  async start(): Promise<void> {
    this.#stopping = false;
    await this.#bringUp();
  }

  async #bringUp(): Promise<void> {
    if (this.#options.address === undefined && this.pid() === undefined) this.#spawn();
    await this.#ready();
    this.#watchDeath();
  }

  /** Process id of our own containerd; undefined when it does not run or is not ours. */
  pid(): number | undefined {
    try {
      const pid = Number(readFileSync(this.#pidfile, 'utf8'));
      // The pid may have been given to another program since; a zombie's command line is empty.
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(this.#configPath)
        ? pid
        : undefined;
    } catch {
      return undefined;
    }
  }

  /** Called each time containerd was lost, after it answers again. */
  onRecovered(listener: () => void): void {
    this.#recoveredListeners.add(listener);
  }

  /** Lets go of containerd; it runs on. */
  release(): void {
    this.#stopping = true;
    this.#watch?.destroy();
    this.#child?.unref();
  }

  /** Ends our own containerd. Only when no container is left: shims would run on without it. */
  async stop(): Promise<void> {
    this.release();
    const pid = this.pid();
    if (this.#options.address !== undefined || pid === undefined) return;
    process.kill(pid, 'SIGTERM');
    for (let waited = 0; this.pid() !== undefined; waited += 20) {
      if (waited > STOP_MS) process.kill(pid, 'SIGKILL');
      await sleep(20);
    }
    for (const name of ['containerd.pid', 'containerd.sock', 'containerd.sock.ttrpc']) {
      rmSync(join(this.#directory, name), { force: true });
    }
  }

  #spawn(): void {
    mkdirSync(this.#directory, { recursive: true, mode: 0o711 });
    writeFileSync(this.#configPath, this.#config(), { mode: 0o600 });
    const log = openSync(join(this.#directory, 'containerd.log'), 'a', 0o640);
    const child = spawn(this.#options.binary ?? 'containerd', ['--config', this.#configPath], {
      detached: true,
      cwd: '/',
      stdio: ['ignore', log, log],
      // A smaller heap target: containerd idles most of the time. Its shims inherit it.
      env: { PATH: process.env.PATH ?? DEFAULT_PATH, GOGC: '50', TMPDIR: process.env.TMPDIR ?? '/tmp' },
    });
    closeSync(log);
    this.#child = child;
    child.on('error', (error) =>
      this.#options.log.error({ error: error.message }, 'containerd cannot be started'),
    );
    if (child.pid !== undefined) writeFileSync(this.#pidfile, String(child.pid));
    child.unref();
  }

  #config(): string {
    const { dataRoot } = this.#options;
    return `version = 2
root = ${JSON.stringify(join(dataRoot, 'containerd'))}
state = ${JSON.stringify(join(this.#directory, 'state'))}
oom_score = ${OOM_SCORE}
disabled_plugins = ${JSON.stringify(DISABLED_PLUGINS)}

[grpc]
  address = ${JSON.stringify(this.address)}

[debug]
  level = "${this.#options.log.isLevelEnabled('debug') ? 'info' : 'warn'}"
`;
  }

  async #ready(): Promise<void> {
    const end = Date.now() + READY_MS;
    while (!(await answers(this.address))) {
      const child = this.#child;
      const dead = child !== undefined && (child.exitCode !== null || child.pid === undefined);
      if (dead || Date.now() > end)
        throw system(`containerd does not answer on ${this.address}${this.#lastWords()}`);
      await sleep(10);
    }
  }

  #lastWords(): string {
    try {
      const lines = readFileSync(join(this.#directory, 'containerd.log'), 'utf8').trimEnd().split('\n');
      return `: ${lines.at(-1)}`;
    } catch {
      return '';
    }
  }

  /** An idle HTTP/2 session: the kernel tells at once when the other end dies, whoever its parent is. */
  #watchDeath(): void {
    const session = connectHttp2('http://localhost', { createConnection: () => connect(this.address) });
    this.#watch = session;
    session.on('error', () => {});
    session.unref();
    session.on('close', () => {
      if (!this.#stopping) this.#recover();
    });
  }

  async #recover(): Promise<void> {
    this.#options.log.warn('containerd is gone, bringing it back');
    while (!this.#stopping) {
      await sleep(RESPAWN_MS);
      try {
        await this.#bringUp();
        for (const listener of this.#recoveredListeners) listener();
        return;
      } catch (error) {
        this.#options.log.error({ error: String(error) }, 'containerd does not come back');
      }
    }
  }
}

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
