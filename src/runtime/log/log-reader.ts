import { closeSync, openSync, readSync } from 'node:fs';
import { Readable } from 'node:stream';
import { frame } from '../stream/frame.ts';
import type { OutputName } from '../streams.ts';
import { type JsonFileLog, logFiles } from './json-file-log.ts';
import { findTail } from './log-tail.ts';
import { padLogTime, parseLogTime } from './log-time.ts';

export interface ReadLogsOptions {
  readonly path: string;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** Nanoseconds since the epoch, inclusive. */
  readonly since?: bigint;
  /** Nanoseconds since the epoch, inclusive. */
  readonly until?: bigint;
  readonly timestamps: boolean;
  readonly details: boolean;
  /** Lines from the end; absent: all. */
  readonly tail?: number;
  /** The open log to follow until it is closed; absent: what is there now. */
  readonly follow?: JsonFileLog;
  /** `raw` for a container with a terminal. */
  readonly framing: 'raw' | 'multiplexed';
}

interface LogRecord {
  readonly log: string;
  readonly stream: OutputName;
  readonly time: string;
  readonly attrs?: Readonly<Record<string, string>>;
}

const BLOCK = 64 * 1024;
const NEWLINE = 0x0a;

/** A container's log as `GET /containers/ID/logs` sends it. Destroy the stream to stop following. */
export function readLogs(options: ReadLogsOptions): Readable {
  const abort = new AbortController();
  const stream = Readable.from(framedLines(options, abort.signal), { objectMode: false });
  // A generator that waits for the next line does not notice that its reader has gone.
  stream.once('close', () => abort.abort());
  return stream;
}

async function* framedLines(options: ReadLogsOptions, signal: AbortSignal): AsyncGenerator<Buffer> {
  for await (const lines of lineBatches(options, signal)) {
    const framed: Buffer[] = [];
    for (const line of lines) {
      const record = parseRecord(line);
      if (record === undefined || !options[record.stream]) continue;
      if (options.since !== undefined || options.until !== undefined) {
        const time = parseLogTime(record.time) ?? 0n;
        if (options.since !== undefined && time < options.since) continue;
        if (options.until !== undefined && time > options.until) {
          if (framed.length > 0) yield Buffer.concat(framed);
          return;
        }
      }
      const text = Buffer.from(formatRecord(record, options));
      framed.push(options.framing === 'raw' ? text : frame(record.stream, text));
    }
    if (framed.length > 0) yield Buffer.concat(framed);
  }
}

function parseRecord(line: string): LogRecord | undefined {
  try {
    const record = JSON.parse(line) as LogRecord;
    return record.stream === 'stdout' || record.stream === 'stderr' ? record : undefined;
  } catch {
    // Cut off by the death of a daemon.
    return undefined;
  }
}

function formatRecord(record: LogRecord, options: ReadLogsOptions): string {
  let text = record.log;
  if (options.details) {
    const pairs = Object.entries(record.attrs ?? {}).map(([key, value]) => `${encode(key)}=${encode(value)}`);
    text = `${pairs.sort().join(',')} ${text}`;
  }
  return options.timestamps ? `${padLogTime(record.time)} ${text}` : text;
}

const encode = (text: string): string => encodeURIComponent(text).replaceAll('%20', '+');

/** Lines in the order of writing, some at a time, over the borders of rotated files. */
async function* lineBatches(options: ReadLogsOptions, signal: AbortSignal): AsyncGenerator<string[]> {
  const files = logFiles(options.path);
  const start =
    options.tail === undefined || files.length === 0 ? { file: 0, offset: 0 } : findTail(files, options.tail);
  const open = files.slice(start.file).map((file) => openSync(file, 'r'));
  let wake = Promise.withResolvers<void>();
  let over = options.follow === undefined;
  const end = (): void => {
    over = true;
    wake.resolve();
  };
  signal.addEventListener('abort', end);
  let rotated = false;
  const unfollow = options.follow?.follow({
    onWrite: () => {
      // The first write after a rotation: the new file is there now.
      if (rotated) open.push(openSync(options.path, 'r'));
      rotated = false;
      wake.resolve();
    },
    onRotate: () => {
      // Two rotations without a write between them leave no file that was not opened.
      rotated = true;
    },
    onClose: end,
  });
  try {
    let offset = start.offset;
    let rest: Buffer = Buffer.alloc(0);
    const block = Buffer.alloc(BLOCK);
    while (!signal.aborted) {
      const fd = open[0];
      const length = fd === undefined ? 0 : readSync(fd, block, 0, BLOCK, offset);
      if (length > 0) {
        offset += length;
        const bytes = Buffer.concat([rest, block.subarray(0, length)]);
        const last = bytes.lastIndexOf(NEWLINE);
        rest = Buffer.from(bytes.subarray(last + 1));
        if (last >= 0) yield bytes.toString('utf8', 0, last).split('\n');
      } else if (fd !== undefined && open.length > 1) {
        closeSync(fd);
        open.shift();
        offset = 0;
        rest = Buffer.alloc(0);
      } else if (over) {
        return;
      } else {
        await wake.promise;
        wake = Promise.withResolvers();
      }
    }
  } finally {
    signal.removeEventListener('abort', end);
    unfollow?.();
    for (const fd of open) closeSync(fd);
  }
}
