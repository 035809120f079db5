import type { OutputName } from '../streams.ts';

/** What a log has in hand: output that is read and not yet in the log's file, a line's beginning above all. */
export interface LogIntake {
  /** Bytes of the log's file before the last of what is held: any behind them were written by a daemon that died there. */
  readonly logSize: number;
  /** Where the next bytes of an output are to be read to, if that matters. Valid until `keep` or `close`. */
  space(output: OutputName): Buffer | undefined;
  /** What is held and `chunk`, no longer than `space`, in one piece; all of it is held then. */
  join(output: OutputName, chunk: Buffer): Buffer;
  /** Of what `join` gave only its end, `rest`, is still held; the others are in the log, `logSize` bytes long now. @returns `rest` */
  keep(output: OutputName, rest: Buffer, logSize: number): Buffer;
  close(): void;
}

/** In this process's memory: a daemon that is killed loses it. */
export class MemoryIntake implements LogIntake {
  readonly logSize = Number.POSITIVE_INFINITY;
  readonly #held = { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) };

  space(): undefined {}

  join(output: OutputName, chunk: Buffer): Buffer {
    const held = this.#held[output];
    return held.length === 0 ? chunk : Buffer.concat([held, chunk]);
  }

  keep(output: OutputName, rest: Buffer): Buffer {
    // The chunk is the reader's own buffer: keep a copy.
    this.#held[output] = Buffer.from(rest);
    return rest;
  }

  close(): void {}
}
