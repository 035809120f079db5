import { spawn } from 'node:child_process';
import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import { makeFifo } from '../../kernel/fifo.ts';

const SCRIPT = fileURLToPath(new URL('./fifo-keeper.sh', import.meta.url));

/**
 * One small process beside containerd that holds the containers' output FIFOs open. A pipe's content goes with its last
 * descriptor (pipe(7)): without it, what a container wrote last would be lost when it ends while no daemon runs.
 * Started with the first container and found again by every later daemon.
 */
export class FifoKeeper {
  readonly #directory: string;
  readonly #log: Logger;
  #control: number | undefined;

  /** @param directory for its control FIFO and pidfile; made when absent */
  constructor(directory: string, log: Logger) {
    this.#directory = directory;
    this.#log = log;
  }

  hold(path: string): void {
    this.#say(`hold ${path}\n`);
  }

  /** The end of file comes a moment later, when the keeper has closed it too. */
  drop(path: string): void {
    this.#say(`drop ${path}\n`);
  }

  /** The keeper's pid; undefined when there is none. */
  pid(): number | undefined {
    try {
      const pid = Number(readFileSync(join(this.#directory, 'pid'), 'utf8'));
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(this.#controlPath) ? pid : undefined;
    } catch {
      return undefined;
    }
  }

  /** Leaves the keeper running. */
  release(): void {
    if (this.#control !== undefined) closeSync(this.#control);
    this.#control = undefined;
  }

  /** Ends it: when nothing is to be kept any more. */
  stop(): void {
    this.release();
    const pid = this.pid();
    rmSync(this.#controlPath, { force: true });
    if (pid !== undefined) process.kill(pid, 'SIGTERM');
  }

  get #controlPath(): string {
    return join(this.#directory, 'control');
  }

  /** A line is shorter than PIPE_BUF, so it is written whole or not at all. */
  #say(line: string): void {
    try {
      this.#control ??= this.#connect();
      writeSync(this.#control, line);
    } catch (error) {
      this.#log.warn({ err: error }, 'the keeper of output FIFOs does not listen');
    }
  }

  #connect(): number {
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    makeFifo(this.#controlPath);
    if (this.pid() === undefined) this.#spawn();
    // Both ends, or opening would fail until the keeper has opened its own.
    return openSync(this.#controlPath, constants.O_RDWR | constants.O_NONBLOCK);
  }

  #spawn(): void {
    const child = spawn('/bin/bash', [SCRIPT, this.#controlPath], {
      detached: true,
      cwd: '/',
      stdio: 'ignore',
      env: { PATH: '/usr/bin:/bin' },
    });
    child.on('error', (error) =>
      this.#log.warn({ err: error }, 'the keeper of output FIFOs cannot be started'),
    );
    if (child.pid !== undefined) writeFileSync(join(this.#directory, 'pid'), String(child.pid));
    child.unref();
  }
}
