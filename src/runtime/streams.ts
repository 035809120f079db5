import type { Readable, Writable } from 'node:stream';
import type { FifoKeeper } from './stream/fifo-keeper.ts';
import type { StdioPaths } from './tasks.ts';

/** One attached client of a process. */
export interface AttachClient {
  readonly stdin?: Readable;
  readonly output: Writable;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** `multiplexed`: Docker's 8-byte frame header before every chunk (without a tty); `raw` with one. */
  readonly framing: 'raw' | 'multiplexed';
  /** Bytes that end the attachment when typed (`ctrl-p,ctrl-q`); absent or empty: none. */
  readonly detachKeys?: Buffer;
  readonly onDetach?: () => void;
}

/**
 * The three streams of one process (a container's first, or an exec's): FIFOs on disk that outlive the daemon.
 * Output goes to the log (when there is one) and to every attached client. A client that is 1 MiB behind makes the
 * process wait, as dockerd does, so that a pipeline gets every byte; one that takes nothing for five minutes is cut off.
 */
export interface ProcessStreams {
  readonly paths: StdioPaths;
  /** @returns ends this attachment; stdin's end closes the process's stdin when `stdinOnce` was asked for */
  attach(client: AttachClient): () => void;
  /** Resolves when the process's outputs are at their end and every byte is written; at once after `close`. */
  drained(): Promise<void>;
  /** Ends all attachments, closes and unlinks the FIFOs. */
  close(): void;
}

export interface StreamsOptions {
  /** Where the FIFOs live; made when absent. */
  readonly directory: string;
  readonly terminal: boolean;
  readonly stdin: boolean;
  readonly stdinOnce: boolean;
  readonly log?: LogWriter;
  /** Holds the outputs open while no daemon runs; an exec's need none. */
  readonly keeper?: FifoKeeper;
  /** `Tasks.closeStdin` of this process. Called again after a pause when it rejects: the process may not exist yet. */
  readonly closeStdin?: () => Promise<void>;
}

export const OUTPUTS = ['stdout', 'stderr'] as const;
export type OutputName = (typeof OUTPUTS)[number];

/** A container's log driver, writing side: json-file with rotation, or none. */
export interface LogWriter {
  /** Where the next chunk is to be read to; absent: anywhere. Valid until `write` or `close`. */
  space?(stream: OutputName): Buffer | undefined;
  write(stream: OutputName, chunk: Buffer): void;
  /** Writes what is left without a newline. */
  flush(): void;
  /** After the streams: what they read to is gone. */
  close(): void;
}
