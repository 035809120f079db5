import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  type AttachClient,
  OUTPUTS,
  type OutputName,
  type ProcessStreams,
  type StreamsOptions,
} from '../streams.ts';
import type { StdioPaths } from '../tasks.ts';
import { Attachment } from './attachment.ts';
import { InputFifo } from './input-fifo.ts';
import { OutputFifo } from './output-fifo.ts';

/** As long dockerd waits for the outputs' end after a process has exited. */
const DRAIN_MS = 2000;

/** Makes the FIFOs, or opens those of a process that runs from before a restart of the daemon. @throws KernelError */
export function openStreams(options: StreamsOptions): ProcessStreams {
  return new FifoStreams(options);
}

class FifoStreams implements ProcessStreams {
  readonly paths: StdioPaths;
  readonly #options: StreamsOptions;
  readonly #outputs: readonly OutputFifo[];
  readonly #input: InputFifo | undefined;
  readonly #attachments = new Set<Attachment>();
  readonly #blockers = new Set<Attachment>();
  #drained: Promise<void> | undefined;
  #closed = false;

  constructor(options: StreamsOptions) {
    this.#options = options;
    mkdirSync(options.directory, { recursive: true, mode: 0o700 });
    const path = (name: string): string => join(options.directory, name);
    this.paths = {
      ...(options.stdin ? { stdin: path('stdin') } : {}),
      stdout: path('stdout'),
      ...(options.terminal ? {} : { stderr: path('stderr') }),
      terminal: options.terminal,
    };
    const names: readonly OutputName[] = options.terminal ? ['stdout'] : OUTPUTS;
    this.#outputs = names.map(
      (name) =>
        new OutputFifo(
          path(name),
          (chunk) => this.#deliver(name, chunk),
          () => options.log?.space?.(name),
        ),
    );
    for (const output of this.#outputPaths()) options.keeper?.hold(output);
    this.#input = options.stdin ? new InputFifo(path('stdin')) : undefined;
  }

  attach(client: AttachClient): () => void {
    const attachment: Attachment = new Attachment(client, this.#input, this.#options.terminal, {
      onBlocked: (who, blocked) => this.#setBlocked(who, blocked),
      onInputEnd: (who) => this.#inputEnded(who),
      onOver: (who) => this.#attachments.delete(who),
    });
    if (this.#closed) attachment.end();
    else this.#attachments.add(attachment);
    return () => attachment.end();
  }

  drained(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    if (this.#drained === undefined) this.#dropKept();
    this.#drained ??= Promise.all(this.#outputs.map((output) => output.drain(DRAIN_MS))).then(() => {
      this.#options.log?.flush();
      this.#endAttachments();
    });
    return this.#drained;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#drained === undefined) this.#dropKept();
    this.#options.log?.flush();
    this.#endAttachments();
    for (const output of this.#outputs) output.close();
    this.#input?.close();
    for (const name of ['stdin', 'stdout', 'stderr'])
      rmSync(join(this.#options.directory, name), { force: true });
  }

  #outputPaths(): readonly string[] {
    return [this.paths.stdout, this.paths.stderr].filter((path) => path !== undefined);
  }

  #dropKept(): void {
    for (const path of this.#outputPaths()) this.#options.keeper?.drop(path);
  }

  #deliver(stream: OutputName, chunk: Buffer): void {
    for (const attachment of this.#attachments) attachment.write(stream, chunk);
    // Last: the log may need the chunk's place for the next.
    this.#options.log?.write(stream, chunk);
  }

  #setBlocked(who: Attachment, blocked: boolean): void {
    if (blocked) this.#blockers.add(who);
    else this.#blockers.delete(who);
    // A process that has ended waits for nobody.
    if (this.#closed) return;
    for (const output of this.#outputs) {
      if (this.#blockers.size > 0 && this.#drained === undefined) output.pause();
      else output.resume();
    }
  }

  /** moby container/stream/attach.go: without StdinOnce, or with a terminal, the end of the input ends the attachment. */
  #inputEnded(who: Attachment): void {
    if (!this.#options.stdinOnce || this.#options.terminal) {
      who.end();
      return;
    }
    this.#input?.end(this.#options.closeStdin ?? (() => {}));
  }

  #endAttachments(): void {
    for (const attachment of [...this.#attachments]) attachment.end();
  }
}
