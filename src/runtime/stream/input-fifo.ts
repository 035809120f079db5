import { constants, openSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeFifo } from '../../kernel/fifo.ts';

const RETRY_MS = [10, 20, 50, 100, 250] as const;

/** The writing side of a process's stdin. */
export class InputFifo {
  readonly #socket: Socket;
  #ended = false;

  constructor(path: string) {
    makeFifo(path);
    // Read-write: opening needs no reader, and writing before the shim has come is no EPIPE.
    this.#socket = new Socket({
      fd: openSync(path, constants.O_RDWR | constants.O_NONBLOCK),
      readable: false,
      writable: true,
    });
    this.#socket.on('error', () => {});
  }

  /** Writes, and holds `source` back while the process does not read. */
  write(chunk: Buffer, source: Readable): void {
    if (this.#ended || chunk.length === 0 || this.#socket.write(chunk)) return;
    source.pause();
    this.#socket.once('drain', () => source.resume());
  }

  /**
   * Gives the process its end of file. The shim holds a writer of its own, which `closeInShim` closes; it rejects
   * while the shim has not opened the FIFO yet, and what was written would be lost if this end closed before.
   */
  async end(closeInShim: () => void | Promise<void>): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    for (let attempt = 0; !this.#socket.destroyed; attempt++) {
      try {
        await closeInShim();
        break;
      } catch {
        await sleep(RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)], undefined, { ref: false });
      }
    }
    // Called when all before it is written; `drain` comes only after a write that asked for a pause.
    this.#socket.write(Buffer.alloc(0), () => this.#socket.destroy());
  }

  close(): void {
    this.#ended = true;
    this.#socket.destroy();
  }
}
