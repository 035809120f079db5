import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import type { LogWriter } from '../streams.ts';
import { formatLogTime, nowNanoseconds } from './log-time.ts';

export interface JsonFileOptions {
  /** `<id>-json.log`; rotated files get `.1`, `.2`… */
  readonly path: string;
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

/** Docker's json-file log, writing side. Every whole line is in the file when `write` returns. */
export class JsonFileLog implements LogWriter {
  readonly options: JsonFileOptions;
  readonly #attributes: string;
  readonly #partial: Record<'stdout' | 'stderr', Buffer> = {
    stdout: Buffer.alloc(0),
    stderr: Buffer.alloc(0),
  };
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
    this.#endBrokenLine();
  }

  write(stream: 'stdout' | 'stderr', chunk: Buffer): void {
    if (this.#closed) return;
    const time = formatLogTime(nowNanoseconds());
    const held = this.#partial[stream];
    let rest = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    let batch = '';
    for (;;) {
      const newline = rest.indexOf(NEWLINE);
      const whole = newline >= 0 && newline <= PIECE_BYTES;
      if (!whole && rest.length < PIECE_BYTES) break;
      const end = whole ? newline + 1 : PIECE_BYTES;
      batch += this.#record(stream, rest.subarray(0, end), time);
      rest = rest.subarray(end);
      if (this.#isFull(batch.length)) {
        this.#append(batch);
        batch = '';
        this.#rotate();
      }
    }
    // The chunk is the reader's own buffer: keep a copy.
    this.#partial[stream] = Buffer.from(rest);
    this.#append(batch);
  }

  flush(): void {
    const time = formatLogTime(nowNanoseconds());
    for (const stream of ['stdout', 'stderr'] as const) {
      const rest = this.#partial[stream];
      if (rest.length > 0) this.#append(this.#record(stream, rest, time));
      this.#partial[stream] = Buffer.alloc(0);
    }
  }

  close(): void {
    if (this.#closed) return;
    this.flush();
    this.#closed = true;
    closeSync(this.#fd);
    for (const follower of [...this.#followers]) follower.onClose();
  }

  /** @returns ends the following; at once after `close` nothing is told any more */
  follow(follower: LogFollower): () => void {
    if (this.#closed) follower.onClose();
    else this.#followers.add(follower);
    return () => void this.#followers.delete(follower);
  }

  #record(stream: string, line: Buffer, time: string): string {
    return `{"log":${JSON.stringify(line.toString('utf8'))},"stream":"${stream}"${this.#attributes},"time":"${time}"}\n`;
  }

  #isFull(added: number): boolean {
    return this.options.maxSize !== undefined && this.#size + added >= this.options.maxSize;
  }

  #append(batch: string): void {
    if (batch === '' || this.#closed) return;
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
    for (let number = maxFiles - 1; number >= 1; number--) {
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

/** The `none` driver. */
export const noLog: LogWriter = { write() {}, flush() {}, close() {} };

/** All files of a log, oldest first. */
export function logFiles(path: string): readonly string[] {
  const files = existsSync(path) ? [path] : [];
  for (let number = 1; existsSync(`${path}.${number}`); number++) files.unshift(`${path}.${number}`);
  return files;
}
