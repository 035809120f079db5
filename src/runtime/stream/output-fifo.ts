import { closeSync, readSync } from 'node:fs';
import { Socket } from 'node:net';
import { makeFifo, openFifo } from '../../kernel/fifo.ts';

/** For readers without a space of their own: a read and its callback are one step of the event loop. */
const BUFFER = Buffer.allocUnsafeSlow(64 * 1024);

/**
 * The reading side of a process's output. A chunk is handed on in the same turn in which it was read; what is not read
 * yet stays in the pipe.
 */
export class OutputFifo {
  readonly #socket: Socket;
  readonly #reader: number;
  readonly #onChunk: (chunk: Buffer) => void;
  readonly #space: () => Buffer;
  readonly #end: Promise<void>;
  #keeper: number | undefined;
  #open = true;

  /**
   * @param onChunk its argument is valid only during the call
   * @param space where the next chunk is to be read to; undefined: anywhere
   */
  constructor(path: string, onChunk: (chunk: Buffer) => void, space: () => Buffer | undefined) {
    makeFifo(path);
    const { reader, keeper } = openFifo(path);
    this.#reader = reader;
    this.#keeper = keeper;
    this.#onChunk = onChunk;
    this.#space = () => space() ?? BUFFER;
    this.#socket = new Socket({
      fd: reader,
      readable: true,
      writable: false,
      onread: {
        buffer: this.#space,
        callback: (length, buffer) => {
          onChunk((buffer as Buffer).subarray(0, length));
          return true;
        },
      },
    });
    this.#end = new Promise((resolve) => {
      const over = (): void => {
        this.#open = false;
        resolve();
      };
      this.#socket.on('end', over);
      this.#socket.on('error', over);
      this.#socket.on('close', over);
    });
    this.#socket.resume();
  }

  /** Stops reading at the kernel's pipe: nothing is held in memory. */
  pause(): void {
    if (this.#open) this.#socket.pause();
  }

  resume(): void {
    if (this.#open) this.#socket.resume();
  }

  /**
   * Reads to the end of what the process wrote. A child that outlives it may hold the pipe open: dockerd waits two
   * seconds for that, and so is done here.
   */
  async drain(timeoutMs: number): Promise<void> {
    this.resume();
    this.#closeKeeper();
    const timer = Promise.withResolvers<void>();
    const timeout = setTimeout(timer.resolve, timeoutMs);
    await Promise.race([this.#end, timer.promise]);
    clearTimeout(timeout);
    if (!this.#open) return;
    this.#readRest();
    this.close();
  }

  close(): void {
    this.#closeKeeper();
    this.#open = false;
    this.#socket.destroy();
  }

  #readRest(): void {
    try {
      for (;;) {
        const buffer = this.#space();
        const length = readSync(this.#reader, buffer);
        if (length === 0) return;
        this.#onChunk(buffer.subarray(0, length));
      }
    } catch {
      // EAGAIN: empty.
    }
  }

  #closeKeeper(): void {
    if (this.#keeper !== undefined) closeSync(this.#keeper);
    this.#keeper = undefined;
  }
}
