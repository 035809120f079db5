import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import type { ExecConfig } from '@docker/node-sdk';
import { z } from 'zod';
import { conflict, errors, invalid } from '../../model/errors.ts';
import { buildProcess } from '../../runtime/spec/build-process.ts';
import { RootfsReader } from '../../runtime/spec/rootfs-reader.ts';
import { lookupUser } from '../../runtime/spec/user.ts';
import { parseDetachKeys } from '../../runtime/stream/detach-keys.ts';
import { frame } from '../../runtime/stream/frame.ts';
import { openStreams } from '../../runtime/stream/process-streams.ts';
import type { ProcessStreams } from '../../runtime/streams.ts';
import { startFailure } from '../container/launch.ts';
import type { Lifecycle } from '../container/lifecycle.ts';

const execBody = z.looseObject({
  AttachStdin: z.boolean().nullish(),
  AttachStdout: z.boolean().nullish(),
  AttachStderr: z.boolean().nullish(),
  DetachKeys: z.string().nullish(),
  Tty: z.boolean().nullish(),
  Env: z.array(z.string()).nullish(),
  Cmd: z.array(z.string()).nullish(),
  Privileged: z.boolean().nullish(),
  User: z.string().nullish(),
  WorkingDir: z.string().nullish(),
  ConsoleSize: z.tuple([z.number(), z.number()]).nullish(),
});

/** One `docker exec`, from its creation until some time after its end. */
export interface Exec {
  readonly id: string;
  readonly containerId: string;
  readonly config: ExecConfig;
  running: boolean;
  started: boolean;
  /** Null until it has ended. */
  exitCode: number | null;
  pid: number;
}

/** Ended execs are kept for clients that inspect them late (moby daemon/exec.go: until the next sweep after 5 min). */
const KEEP_MS = 5 * 60_000;

/** As dockerd's events have it: with a blank behind a program without arguments. */
function commandText({ Cmd: [program = '', ...rest] = [] }: ExecConfig): string {
  return `${program} ${rest.join(' ')}`;
}

/** Execs are of this daemon's life only, as Docker's are. */
export class Execs {
  readonly #lifecycle: Lifecycle;
  readonly #execs = new Map<string, Exec>();
  readonly #open = new Map<
    string,
    { readonly streams: ProcessStreams; readonly ended: PromiseWithResolvers<number> }
  >();

  constructor(lifecycle: Lifecycle) {
    this.#lifecycle = lifecycle;
    lifecycle.containers.platform.tasks.onExit((exit) => {
      if (exit.execId !== '') void this.#ended(exit.execId, exit.exitStatus);
    });
  }

  /** @throws EngineError NOT_FOUND, CONFLICT when the container does not run, INVALID_PARAMETER */
  create(ref: string, body: unknown): Exec {
    const parsed = execBody.safeParse(body ?? {});
    if (!parsed.success) throw invalid(`invalid exec configuration: ${z.prettifyError(parsed.error)}`);
    const config = Object.fromEntries(
      Object.entries(parsed.data).filter(([, value]) => value !== null),
    ) as ExecConfig;
    const container = this.#lifecycle.containers.lookUp(ref);
    if ((config.Cmd ?? []).length === 0) throw invalid('no exec command specified');
    if (config.DetachKeys) parseDetachKeys(config.DetachKeys);
    if (container.state.status === 'paused') {
      throw conflict(`Container ${ref} is paused, unpause the container before exec`);
    }
    if (container.state.status !== 'running') throw errors.containerNotRunning(container.id);
    const exec: Exec = {
      id: randomBytes(32).toString('hex'),
      containerId: container.id,
      config,
      running: false,
      started: false,
      exitCode: null,
      pid: 0,
    };
    this.#execs.set(exec.id, exec);
    this.#publish(exec, `exec_create: ${commandText(config)}`);
    return exec;
  }

  /** @throws EngineError NOT_FOUND */
  get(id: string): Exec {
    const exec = this.#execs.get(id);
    if (exec === undefined) throw errors.noSuchExec(id);
    return exec;
  }

  idsOf(containerId: string): readonly string[] {
    return [...this.#execs.values()]
      .filter((exec) => exec.containerId === containerId && exec.running)
      .map((exec) => exec.id);
  }

  /**
   * Starts it. @param connect called when nothing but the start itself can fail, gives the client's connection
   * @returns when it runs; `ended` resolves to the exit code
   */
  async start(
    exec: Exec,
    connect: (() => Duplex) | undefined,
    options: { readonly tty: boolean; readonly consoleSize?: readonly [number, number] },
  ): Promise<{ readonly ended: Promise<number> }> {
    const { containers, host } = this.#lifecycle;
    const { tasks, images, config: daemon } = containers.platform;
    if (exec.started) {
      throw conflict(
        exec.running
          ? `Error: Exec command ${exec.id} is already running`
          : `Error: Exec command ${exec.id} has already run`,
      );
    }
    const container = containers.get(exec.containerId);
    if (container.state.status === 'paused')
      throw conflict(`Container ${container.id} is paused, unpause the container before exec`);
    if (container.state.status !== 'running') throw errors.containerNotRunning(container.id);
    exec.started = true;
    const rootfs = await images.rootfsMounts(container.id);
    const process = buildProcess({
      config: container.config,
      hostConfig: container.hostConfig,
      hostname: container.config.Hostname ?? '',
      user: lookupUser(
        new RootfsReader(rootfs),
        exec.config.User || container.config.User || '',
        container.hostConfig.GroupAdd ?? [],
      ),
      host,
      defaultUlimits: Object.values(daemon.defaultUlimits),
      exec: {
        ...exec.config,
        ...(options.consoleSize && { ConsoleSize: [...options.consoleSize] as [number, number] }),
      },
    });
    const directory = this.#lifecycle.streams.directory(container.id, exec.id);
    const streams = openStreams({
      directory,
      terminal: exec.config.Tty ?? false,
      stdin: exec.config.AttachStdin ?? false,
      stdinOnce: true,
      closeStdin: () => tasks.closeStdin(container.id, exec.id),
    });
    const open = { streams, ended: Promise.withResolvers<number>() };
    this.#open.set(exec.id, open);
    const detachKeys = parseDetachKeys(exec.config.DetachKeys ?? '');
    let connection: Duplex | undefined;
    try {
      await tasks.addExec(
        container.id,
        exec.id,
        process as unknown as Record<string, unknown>,
        streams.paths,
      );
      if (connect !== undefined) {
        connection = connect();
        streams.attach({
          ...(exec.config.AttachStdin ? { stdin: connection } : {}),
          output: connection,
          stdout: exec.config.AttachStdout ?? true,
          stderr: exec.config.AttachStderr ?? true,
          framing: exec.config.Tty ? 'raw' : 'multiplexed',
          detachKeys,
          onDetach: () => this.#publish(exec, 'exec_detach'),
        });
      }
      exec.running = true;
      this.#publish(exec, `exec_start: ${commandText(exec.config)}`);
      const { pid } = await tasks.startExec(container.id, exec.id);
      exec.pid = pid;
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      exec.running = false;
      exec.exitCode = startFailure(message).exitCode;
      this.#open.delete(exec.id);
      // dockerd takes 126 for every failure that is not "not found".
      if (exec.exitCode === 128) exec.exitCode = 126;
      // Too late for a status: dockerd says it in the stream.
      const words = Buffer.from(`${message}\r\n`);
      connection?.write(exec.config.Tty ? words : frame('stdout', words));
      streams.close();
      rmSync(directory, { recursive: true, force: true });
      await tasks.deleteExec(container.id, exec.id).catch(() => undefined);
      this.#forgetLater(exec.id);
      if (connection === undefined) throw error;
      return { ended: Promise.resolve(exec.exitCode) };
    }
    return { ended: open.ended.promise };
  }

  async resize(exec: Exec, columns: number, rows: number): Promise<void> {
    if (!exec.running) throw conflict(`exec ${exec.id} is not running`);
    await this.#lifecycle.containers.platform.tasks.resize(exec.containerId, exec.id, columns, rows);
  }

  async #ended(id: string, exitCode: number): Promise<void> {
    const exec = this.#execs.get(id);
    const open = this.#open.get(id);
    if (exec === undefined || open === undefined) return;
    await open.streams.drained();
    exec.running = false;
    exec.exitCode = exitCode;
    this.#open.delete(id);
    open.streams.close();
    rmSync(this.#lifecycle.streams.directory(exec.containerId, id), { recursive: true, force: true });
    await this.#lifecycle.containers.platform.tasks.deleteExec(exec.containerId, id).catch(() => undefined);
    this.#publish(exec, 'exec_die', { exitCode: String(exitCode) });
    open.ended.resolve(exitCode);
    this.#forgetLater(id);
  }

  #forgetLater(id: string): void {
    setTimeout(() => this.#execs.delete(id), KEEP_MS).unref();
  }

  #publish(exec: Exec, action: string, attributes: Readonly<Record<string, string>> = {}): void {
    const container = this.#lifecycle.containers.find(exec.containerId);
    if (container !== undefined)
      this.#lifecycle.containers.publish(container, action, { execID: exec.id, ...attributes });
  }
}
