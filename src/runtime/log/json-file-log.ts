import {
  closeSync,
  existsSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { basename, dirname } from 'node:path';
import { type LogWriter, OUTPUTS, type OutputName } from '../streams.ts';
import { type LogIntake, MemoryIntake } from './log-intake.ts';
import { LogJournal } from './log-journal.ts';
import { formatLogTime, nowNanoseconds } from './log-time.ts';

export interface JsonFileOptions {
  /** `<id>-json.log`; rotated files get `.1`, `.2`… */
  readonly path: string;
  /** Where to keep what is in hand, so that a killed daemon loses nothing of it; absent: in memory. Not for a reboot. */
  readonly journal?: string;
  /** Bytes after which the file is rotated; absent: never. */
  readonly maxSize?: number;
  /** Files kept, the current one among them: 1 or more. */
  readonly maxFiles?: number;
  /** `labels`, `env` of the log options: written with every line. */
  readonly attributes?: Readonly<Record<string, string>>;
}

export interface LogFollower {
  onWrite(): void;
  /** Before the current file is put aside: what is written so far can still be read from its descriptor. */
  onRotate(): void;
  onClose(): void;
}

/** A longer line is written in pieces, of which only the last carries the newline (moby daemon/logger/copier.go). */
const PIECE_BYTES = 16 * 1024;
const NEWLINE = 0x0a;
const NOTHING = Buffer.alloc(0);

/**
 * Docker's json-file log, writing side. Every whole line is in the file when `write` returns. With a journal every byte
 * that was read into `space` is in the log once, at whatever instruction a daemon is killed.
 */
export class JsonFileLog implements LogWriter {
  readonly options: JsonFileOptions;
  readonly #attributes: string;
  readonly #intake: LogIntake;
  readonly #followers = new Set<LogFollower>();
  #fd: number;
  #size: number;
  #closed = false;

  constructor(options: JsonFileOptions) {
    this.options = options;
    const attributes = options.attributes ?? {};
    this.#attributes = Object.keys(attributes).length === 0 ? '' : `,"attrs":${JSON.stringify(attributes)}`;
    mkdirSync(dirname(options.path), { recursive: true, mode: 0o710 });
    this.#fd = openSync(options.path, 'a+', 0o640);
    this.#size = fstatSync(this.#fd).size;
    this.#intake = openIntake(options.journal);
    if (this.#size > this.#intake.logSize) {
      ftruncateSync(this.#fd, this.#intake.logSize);
      this.#size = this.#intake.logSize;
    }
    this.#endBrokenLine();
    for (const output of OUTPUTS) this.#take(output, NOTHING);
  }

  space(output: OutputName): Buffer | undefined {
    return this.#closed ? undefined : this.#intake.space(output);
  }

  write(output: OutputName, chunk: Buffer): void {
    for (let rest = chunk; rest.length > 0 && !this.#closed; ) {
      const piece = rest.subarray(0, this.#intake.space(output)?.length);
      this.#take(output, piece);
      rest = rest.subarray(piece.length);
    }
  }

  #take(output: OutputName, chunk: Buffer): void {
    const time = formatLogTime(nowNanoseconds());
    let rest = this.#intake.join(output, chunk);
    let batch = '';
    for (;;) {
      const newline = rest.indexOf(NEWLINE);
      const whole = newline >= 0 && newline <= PIECE_BYTES;
      if (!whole && rest.length < PIECE_BYTES) break;
      const end = whole ? newline + 1 : PIECE_BYTES;
      batch += this.#record(output, rest.subarray(0, end), time);
      rest = rest.subarray(end);
      if (this.#isFull(batch.length)) {
        this.#append(batch);
        batch = '';
        rest = this.#intake.keep(output, rest, this.#size);
        this.#rotate();
        rest = this.#intake.keep(output, rest, this.#size);
      }
    }
    this.#append(batch);
    this.#intake.keep(output, rest, this.#size);
  }

  flush(): void {
    if (this.#closed) return;
    const time = formatLogTime(nowNanoseconds());
    for (const output of OUTPUTS) {
      const rest = this.#intake.join(output, NOTHING);
      if (rest.length > 0) this.#append(this.#record(output, rest, time));
      this.#intake.keep(output, NOTHING, this.#size);
    }
  }

  close(): void {
    if (this.#closed) return;
    this.flush();
    this.#closed = true;
    closeSync(this.#fd);
    this.#intake.close();
    for (const follower of [...this.#followers]) follower.onClose();
  }

  /** @returns ends the following; at once after `close` nothing is told any more */
  follow(follower: LogFollower): () => void {
    if (this.#closed) follower.onClose();
    else this.#followers.add(follower);
    return () => void this.#followers.delete(follower);
  }

  #record(output: OutputName, line: Buffer, time: string): string {
    return `{"log":${JSON.stringify(line.toString('utf8'))},"stream":"${output}"${this.#attributes},"time":"${time}"}\n`;
  }

  #isFull(added: number): boolean {
    return this.options.maxSize !== undefined && this.#size + added >= this.options.maxSize;
  }

  #append(batch: string): void {
    if (batch === '') return;
    const bytes = Buffer.from(batch);
    try {
      for (let done = 0; done < bytes.length; ) done += writeSync(this.#fd, bytes, done);
    } catch {
      // A full disk must not stop the container; the lines are lost, as with dockerd.
    }
    this.#size += bytes.length;
    for (const follower of [...this.#followers]) follower.onWrite();
  }

  #rotate(): void {
    const { path, maxFiles = 1 } = this.options;
    for (const follower of [...this.#followers]) follower.onRotate();
    closeSync(this.#fd);
    // Only as far as there is no gap: a daemon killed in here leaves one.
    let last = 1;
    while (last < maxFiles - 1 && existsSync(`${path}.${last}`)) last++;
    for (let number = Math.min(last, maxFiles - 1); number >= 1; number--) {
      const from = number === 1 ? path : `${path}.${number - 1}`;
      if (existsSync(from)) renameSync(from, `${path}.${number}`);
    }
    if (maxFiles === 1) rmSync(path, { force: true });
    this.#fd = openSync(path, 'a+', 0o640);
    this.#size = 0;
  }

  /** A daemon killed inside write(2) may leave a line without its end. */
  #endBrokenLine(): void {
    const last = Buffer.alloc(1);
    if (this.#size > 0 && readSync(this.#fd, last, 0, 1, this.#size - 1) === 1 && last[0] !== NEWLINE) {
      this.#append('\n');
    }
  }
}

function openIntake(journal: string | undefined): LogIntake {
  if (journal === undefined) return new MemoryIntake();
  try {
    mkdirSync(dirname(journal), { recursive: true, mode: 0o700 });
    return new LogJournal(journal);
  } catch {
    // A full /run must not stop the container.
    return new MemoryIntake();
  }
}

/** The `none` driver. */
export const noLog: LogWriter = { write() {}, flush() {}, close() {} };

/** All files of a log, oldest first; numbers may be missing. */
export function logFiles(path: string): readonly string[] {
  const name = basename(path);
  const numbers = (existsSync(dirname(path)) ? readdirSync(dirname(path)) : [])
    .filter((entry) => entry === name || entry.startsWith(`${name}.`))
    .map((entry) => Number(entry.slice(name.length + 1)))
    .filter((number) => !Number.isNaN(number));
  return numbers.sort((a, b) => b - a).map((number) => (number === 0 ? path : `${path}.${number}`));
}
