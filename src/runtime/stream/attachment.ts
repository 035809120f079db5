import type { AttachClient, OutputName } from '../streams.ts';
import { DetachScanner } from './detach-keys.ts';
import { frame } from './frame.ts';
import type { InputFifo } from './input-fifo.ts';

/** What a client may be behind before the process waits for it. */
const BACKLOG_BYTES = 1 << 20;
/** A client that takes nothing for so long while the process waits is cut off. */
const STALL_MS = 300_000;

export interface AttachmentEvents {
  /** The backlog passed its limit, or fell under it again. */
  onBlocked(attachment: Attachment, blocked: boolean): void;
  onInputEnd(attachment: Attachment): void;
  onOver(attachment: Attachment): void;
}

/**
 * One client at a process. It slows the process down as dockerd's does, since a pipeline (`docker run … | gzip`) must
 * get every byte; but one that takes nothing for five minutes is cut off instead of holding the process for ever.
 */
export class Attachment {
  readonly #client: AttachClient;
  readonly #events: AttachmentEvents;
  #stall: NodeJS.Timeout | undefined;
  #over = false;

  constructor(client: AttachClient, input: InputFifo | undefined, scan: boolean, events: AttachmentEvents) {
    this.#client = client;
    this.#events = events;
    client.output.on('error', () => this.end());
    client.output.on('close', () => this.end());
    if (client.stdin && input) this.#followInput(client.stdin, input, scan);
  }

  write(stream: OutputName, chunk: Buffer): void {
    const { output, framing } = this.#client;
    if (this.#over || !this.#client[stream] || output.destroyed) return;
    // The chunk is the reader's own buffer.
    output.write(framing === 'raw' ? Buffer.from(chunk) : frame(stream, chunk));
    if (output.writableLength > BACKLOG_BYTES && this.#stall === undefined) this.#block();
  }

  end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#unblock();
    this.#client.stdin?.removeAllListeners('data');
    if (!this.#client.output.destroyed) this.#client.output.end();
    this.#events.onOver(this);
  }

  #followInput(stdin: NonNullable<AttachClient['stdin']>, input: InputFifo, scan: boolean): void {
    const scanner = new DetachScanner(scan ? (this.#client.detachKeys ?? Buffer.alloc(0)) : Buffer.alloc(0));
    stdin.on('data', (chunk: Buffer) => {
      if (this.#over) return;
      const { pass, detached } = scanner.scan(chunk);
      input.write(pass, stdin);
      if (!detached) return;
      this.end();
      this.#client.onDetach?.();
    });
    const ended = (): void => {
      if (!this.#over) this.#events.onInputEnd(this);
    };
    stdin.once('end', ended);
    stdin.once('close', ended);
    stdin.on('error', () => {});
  }

  #block(): void {
    const { output } = this.#client;
    let left = output.writableLength;
    this.#stall = setInterval(() => {
      if (output.writableLength === left) output.destroy();
      left = output.writableLength;
    }, STALL_MS);
    this.#stall.unref();
    output.once('drain', () => this.#unblock());
    this.#events.onBlocked(this, true);
  }

  #unblock(): void {
    if (this.#stall === undefined) return;
    clearInterval(this.#stall);
    this.#stall = undefined;
    this.#events.onBlocked(this, false);
  }
}
