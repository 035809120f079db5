import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Answer, apiRequest } from './api-request.ts';
import {
  CACHE,
  CHECKOUT,
  daemonCommand,
  forgetReference,
  IS_GANGWAY,
  MACHINES,
} from './engine-under-test.ts';
import { findLeftovers, type Inventory, takeInventory } from './leftovers.ts';
import { HOST, makeNamespaces, type Namespaces, processesInside } from './namespaces.ts';
import { powerCut } from './power-cut.ts';
import { background, killQuietly, must, type Result, type RunOptions, run, sleep, until } from './process.ts';
import type { Listener, Target } from './traffic.ts';

export interface MachineOptions {
  /** Added to the daemon's command line. */
  readonly flags?: readonly string[];
  /** A registry on 127.0.0.1:5000 that holds the test images, as the daemon's `--registry-mirror`; on unless false. */
  readonly registry?: boolean;
  /** Runs before the daemon starts, for a bridge of the user's own and the like. */
  readonly prepare?: (machine: Machine) => Promise<void>;
}

/** One machine in namespaces of its own, a daemon on it, and a host outside. `close` must leave nothing behind. */
export class Machine implements AsyncDisposable {
  readonly directory: string;
  readonly namespaces: Namespaces;
  readonly socket: string;
  readonly #flags: readonly string[];
  #before: Inventory;
  readonly #helpers = new Set<ChildProcess>();
  #daemon: ChildProcess | undefined;

  private constructor(
    directory: string,
    namespaces: Namespaces,
    flags: readonly string[],
    before: Inventory,
  ) {
    this.directory = directory;
    this.namespaces = namespaces;
    this.socket = join(directory, 'docker.sock');
    this.#flags = flags;
    this.#before = before;
  }

  static async start(options: MachineOptions = {}): Promise<Machine> {
    if (process.getuid?.() !== 0) throw new Error('end-to-end tests need root: sudo npm test');
    const directory = mkdtempSync(join(MACHINES, 'gangway-e2e-'));
    writeFileSync(join(directory, 'daemon.json'), '{}');
    const namespaces = await makeNamespaces(directory);
    const withRegistry = options.registry !== false;
    const flags = [
      ...(withRegistry ? ['--registry-mirror', 'http://127.0.0.1:5000'] : []),
      ...(options.flags ?? []),
    ];
    const machine = new Machine(directory, namespaces, flags, await takeInventory(namespaces));
    try {
      await options.prepare?.(machine);
      machine.#before = await takeInventory(namespaces);
      if (withRegistry) await machine.#startRegistry();
      await machine.startDaemon();
    } catch (error) {
      await machine.close().catch(() => {});
      throw error;
    }
    return machine;
  }

  get log(): string {
    const file = join(this.directory, 'daemon.log');
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  }

  get daemonPid(): number {
    return Number(readFileSync(join(this.directory, 'docker.pid'), 'utf8'));
  }

  async startDaemon(extra: readonly string[] = []): Promise<void> {
    const out = openSync(join(this.directory, 'daemon.log'), 'a');
    const command = this.inMachine(daemonCommand(this.directory, [...this.#flags, ...extra]));
    const [program = '', ...args] = command;
    const child = spawn(program, args, {
      stdio: ['ignore', out, out],
      detached: true,
      env: { ...process.env, GANGWAY_COMPILE_CACHE: join(CACHE, 'compiled') },
    });
    closeSync(out);
    this.#daemon = child;
    await until('the daemon to answer', async () => {
      if (child.exitCode !== null) throw new Error(`the daemon ended: ${this.log.slice(-2000)}`);
      const answer = await this.api('GET', '/_ping').catch(() => undefined);
      return answer?.status === 200 ? true : undefined;
    }).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${this.log.slice(-2000)}`);
    });
  }

  async stopDaemon(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = this.#daemon;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    process.kill(this.daemonPid, signal);
    await until(`the daemon to end after ${signal}`, () =>
      child.exitCode === null && child.signalCode === null ? undefined : true,
    );
  }

  /** The docker command line against this machine's daemon. */
  docker(...args: string[]): Promise<Result> {
    return run(this.dockerCommand(...args));
  }

  /** The same, and it must succeed: its trimmed output. */
  dockerOk(...args: string[]): Promise<string> {
    return must(this.dockerCommand(...args));
  }

  dockerCommand(...args: string[]): string[] {
    return ['docker', '-H', `unix://${this.socket}`, ...args];
  }

  inMachine(command: readonly string[]): string[] {
    return ['nsenter', '-t', String(this.namespaces.machine), '-n', '-m', ...command];
  }

  inOutside(command: readonly string[]): string[] {
    return ['nsenter', '-t', String(this.namespaces.outside), '-n', ...command];
  }

  host(command: readonly string[], options?: RunOptions): Promise<Result> {
    return run(this.inMachine(command), options);
  }

  outside(command: readonly string[], options?: RunOptions): Promise<Result> {
    return run(this.inOutside(command), options);
  }

  /** A request to the API as it is, for what no client would send. */
  api(
    method: string,
    path: string,
    body?: string | Buffer,
    headers?: Record<string, string>,
  ): Promise<Answer> {
    return apiRequest(this.socket, method, path, body, headers);
  }

  /** The engine's own command line, on this machine. */
  gangway(...args: string[]): Promise<Result> {
    return run(this.gangwayCommand(...args));
  }

  gangwayCommand(...args: string[]): string[] {
    return this.inMachine([`${CHECKOUT}bin/gangway`, '-H', `unix://${this.socket}`, ...args]);
  }

  /** The page of a published port, fetched from outside; its server may need a moment. */
  page(port: number): Promise<Result> {
    const patience = ['-m', '3', '--retry', '5', '--retry-connrefused'];
    return this.outside(['curl', '-s', ...patience, `http://${HOST}:${port}/`]);
  }

  /** Of a container on a network; IPv4. */
  address(container: string, network: string): Promise<string> {
    const format = `{{(index .NetworkSettings.Networks "${network}").IPAddress}}`;
    return this.dockerOk('inspect', '-f', format, container);
  }

  async containerPid(container: string): Promise<number> {
    return Number(await this.dockerOk('inspect', '-f', '{{.State.Pid}}', container));
  }

  /** Echo servers inside the network namespace of `pid`: they answer `NAME CLIENT SERVER_PORT`. */
  async serve(pid: number, name: string, listeners: readonly Listener[]): Promise<void> {
    const command = ['nsenter', '-t', String(pid), '-n', process.execPath, `${CHECKOUT}test/e2e/traffic.ts`];
    this.#helpers.add(await background([...command, 'serve', JSON.stringify(listeners), name], 'SERVING'));
  }

  /** Asks every target at once from inside the network namespace of `pid`. */
  async ask(pid: number, targets: readonly Target[]): Promise<string[]> {
    const command = ['nsenter', '-t', String(pid), '-n', process.execPath, `${CHECKOUT}test/e2e/traffic.ts`];
    return JSON.parse(await must([...command, 'ask', JSON.stringify(targets)])) as string[];
  }

  /** A program of the test's own that ends with the machine. */
  async spawnHelper(command: readonly string[], marker: string): Promise<ChildProcess> {
    const child = await background(command, marker);
    this.#helpers.add(child);
    return child;
  }

  async #startRegistry(): Promise<void> {
    if (!existsSync(join(CACHE, 'built'))) {
      throw new Error(`no test images in ${CACHE}: run \`sudo npm test\` or test/images/build.sh ${CACHE}`);
    }
    const config = join(this.directory, 'registry.yml');
    writeFileSync(
      config,
      `version: 0.1\nlog: { level: warn }\nhttp: { addr: 127.0.0.1:5000 }\n` +
        `storage: { filesystem: { rootdirectory: ${CACHE}/registry }, maintenance: { readonly: { enabled: true } } }\n`,
    );
    const child = spawn('nsenter', [
      ...['-t', String(this.namespaces.machine), '-n', '-m', 'docker-registry', 'serve', config],
    ]);
    this.#helpers.add(child);
    await until('the registry', async () => {
      const answer = await this.host(['curl', '-sf', 'http://127.0.0.1:5000/v2/']);
      return answer.status === 0 ? true : undefined;
    });
  }

  /** After a power cut. */
  async reboot(): Promise<void> {
    await powerCut(this, new Set([...this.#helpers].map((child) => child.pid)));
    await this.startDaemon();
  }

  /** Removes all containers, uninstalls the engine and ends the machine. @returns what was left behind, in words */
  async dismantle(): Promise<string[]> {
    for (const child of this.#helpers) child.kill('SIGKILL');
    const running =
      this.#daemon !== undefined && this.#daemon.exitCode === null && this.#daemon.signalCode === null;
    let left: string[] = [];
    try {
      if (running) {
        const ids = (await this.docker('ps', '-aq')).stdout.split('\n').filter(Boolean);
        if (ids.length > 0) await this.docker('rm', '-f', '-v', ...ids);
      }
      if (IS_GANGWAY) {
        await must(this.inMachine(['bash', `${CHECKOUT}setup/clean.sh`, ...this.#cleanArguments()]));
        left = await findLeftovers(this.namespaces, this.#before, this.directory);
      } else {
        await this.stopDaemon();
      }
    } finally {
      for (const pid of processesInside(this.namespaces)) {
        killQuietly(pid);
      }
      for (const holder of this.namespaces.holders) holder.kill('SIGKILL');
      await sleep(100);
      rmSync(this.directory, { recursive: true, force: true });
      if (!IS_GANGWAY) forgetReference(this.directory);
    }
    return left;
  }

  #cleanArguments(): string[] {
    const { directory } = this;
    return [
      `${directory}/data`,
      `${directory}/exec`,
      `${directory}/docker.pid`,
      directory.slice(directory.lastIndexOf('/') + 1),
    ];
  }

  /** Ends the machine. @throws Error when anything of the engine is left behind */
  async close(): Promise<void> {
    const left = await this.dismantle();
    if (left.length > 0) throw new Error(`left behind: ${left.join('; ')}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
