import { closeSync, constants, fstatSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { bootId } from '../../kernel/boot.ts';
import { MappedFile } from '../../kernel/mapped-file.ts';
import { OUTPUTS, type OutputName } from '../streams.ts';
import type { LogIntake } from './log-intake.ts';

const BOOT_ID = Buffer.from(bootId());
/** In the header, behind the boot's id: which of everything is valid, a bit each, and two sizes of the log. */
const VALID_AT = 64;
const SIZES_AT = 72;
const HEADER_BYTES = 4096;
/** Two for each output: a line's beginning, 16 KiB at the most, and behind it what is read next. */
const REGION_BYTES = 24 * 1024;
const FILE_BYTES = HEADER_BYTES + 4 * REGION_BYTES;
const SIZE_BIT = 1;
const REGION_BITS = { stdout: 2, stderr: 4 } as const;
/** Where nothing is read to yet. No byte of UTF-8 has this value: only binary output can end in it. */
const BLANK = 0xff;

/**
 * What a log has in hand, in the pages of a file: read(2) puts output straight there, so that at every instruction each byte
 * is in the pipe, here, or in the log. A daemon that is killed loses none, and its successor writes none twice: it cuts
 * the log back to the size noted here and takes up what is held.
 *
 * Of the size and of each output's region there are two that take turns; the one that is not valid is made ready, then
 * one store makes it valid. Blank bytes tell where a region's content ends, since read(2) leaves no note of it.
 */
export class LogJournal implements LogIntake {
  readonly logSize: number;
  readonly #path: string;
  readonly #file: MappedFile;
  readonly #valid: Int32Array;
  readonly #sizes: Float64Array;
  readonly #held: Record<OutputName, number>;

  /** @param path made when absent, and anew after a reboot, when it and the log may be of two times. @throws Error of the file system, KernelError */
  constructor(path: string) {
    this.#path = path;
    const fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
    try {
      if (!isOfThisBoot(fd)) format(fd);
      this.#file = new MappedFile(fd, FILE_BYTES);
    } finally {
      closeSync(fd);
    }
    const { buffer } = this.#file.bytes;
    this.#valid = new Int32Array(buffer, VALID_AT, 1);
    this.#sizes = new Float64Array(buffer, SIZES_AT, 2);
    this.logSize = this.#sizes[this.#bit(SIZE_BIT)] ?? 0;
    this.#held = {
      stdout: contentLength(this.#region('stdout')),
      stderr: contentLength(this.#region('stderr')),
    };
  }

  space(output: OutputName): Buffer {
    return this.#region(output).subarray(this.#held[output]);
  }

  join(output: OutputName, chunk: Buffer): Buffer {
    const space = this.space(output);
    if (chunk.buffer !== space.buffer || chunk.byteOffset !== space.byteOffset) space.set(chunk);
    this.#held[output] += chunk.length;
    return this.#region(output).subarray(0, this.#held[output]);
  }

  keep(output: OutputName, rest: Buffer, logSize: number): Buffer {
    const flips = SIZE_BIT | REGION_BITS[output];
    const next = this.#region(output, flips);
    next.set(rest);
    next.fill(BLANK, rest.length);
    this.#sizes[this.#bit(SIZE_BIT, flips)] = logSize;
    Atomics.xor(this.#valid, 0, flips);
    this.#held[output] = rest.length;
    return next.subarray(0, rest.length);
  }

  close(): void {
    rmSync(this.#path, { force: true });
    this.#file.unmap();
  }

  #bit(bit: number, flips = 0): 0 | 1 {
    return (Atomics.load(this.#valid, 0) ^ flips) & bit ? 1 : 0;
  }

  #region(output: OutputName, flips = 0): Buffer {
    const number = 2 * OUTPUTS.indexOf(output) + this.#bit(REGION_BITS[output], flips);
    const start = HEADER_BYTES + number * REGION_BYTES;
    return this.#file.bytes.subarray(start, start + REGION_BYTES);
  }
}

function isOfThisBoot(fd: number): boolean {
  const id = Buffer.alloc(BOOT_ID.length);
  readSync(fd, id, 0, id.length, 0);
  return fstatSync(fd).size === FILE_BYTES && id.equals(BOOT_ID);
}

/** Written rather than made long: a page that finds no room later would end this process (SIGBUS). */
function format(fd: number): void {
  const bytes = Buffer.alloc(FILE_BYTES, BLANK);
  bytes.fill(0, 0, HEADER_BYTES);
  bytes.writeDoubleLE(Number.POSITIVE_INFINITY, SIZES_AT);
  if (writeSync(fd, bytes, 0, bytes.length, 0) < bytes.length)
    throw new Error('no room for the journal of a log');
  writeSync(fd, BOOT_ID, 0, BOOT_ID.length, 0);
}

function contentLength(region: Buffer): number {
  let length = region.length;
  while (length > 0 && region[length - 1] === BLANK) length--;
  return length;
}
