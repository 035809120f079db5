import { readdirSync, readlinkSync } from 'node:fs';
import koffi, { type TypeObject } from 'koffi';
import { KernelError } from './kernel.ts';
import { setCloseOnExec, withoutSignals } from './libc.ts';

const NFT_CTX_OUTPUT_JSON = 1 << 4;
const NFT_CTX_OUTPUT_STATELESS = 1 << 2;
const NFT_CTX_OUTPUT_HANDLE = 1 << 3;
const NFT_CTX_OUTPUT_NUMERIC_PRIO = 1 << 8;
const NFT_CTX_OUTPUT_TERSE = 1 << 11;

/** libnftables' words for a kernel error, with its errno. */
const WORDS: readonly (readonly [string, string])[] = [
  ['No such file or directory', 'ENOENT'],
  ['File exists', 'EEXIST'],
  ['Device or resource busy', 'EBUSY'],
  ['Operation not permitted', 'EPERM'],
  ['Operation not supported', 'EOPNOTSUPP'],
  ['Cannot allocate memory', 'ENOMEM'],
];

interface Library {
  create(flags: number): unknown;
  free(context: unknown): void;
  freeAside(context: unknown, done: () => void): void;
  run(context: unknown, commands: string): number;
  output(context: unknown): string;
  error(context: unknown): string;
  bufferOutput(context: unknown): number;
  bufferError(context: unknown): number;
  setOutputFlags(context: unknown, flags: number): void;
}

let library: Library | undefined;

/** Loaded at the first use: a machine without nftables can then say so in words. @throws KernelError ENOENT */
function load(): Library {
  if (library !== undefined) return library;
  try {
    const nft = koffi.load('libnftables.so.1');
    const context = koffi.pointer('nft_ctx', koffi.opaque());
    const func = (name: string, result: TypeObject | string, args: (TypeObject | string)[]) =>
      nft.func(name, result, args) as unknown;
    const free = nft.func('nft_ctx_free', 'void', [context]);
    library = {
      create: func('nft_ctx_new', context, ['uint32_t']),
      free,
      freeAside: free.async,
      run: func('nft_run_cmd_from_buffer', 'int', [context, 'const char *']),
      output: func('nft_ctx_get_output_buffer', 'const char *', [context]),
      error: func('nft_ctx_get_error_buffer', 'const char *', [context]),
      bufferOutput: func('nft_ctx_buffer_output', 'int', [context]),
      bufferError: func('nft_ctx_buffer_error', 'int', [context]),
      setOutputFlags: func('nft_ctx_output_set_flags', 'void', [context, 'unsigned int']),
    } as Library;
    return library;
  } catch (cause) {
    throw new KernelError('libnftables.so.1 (Debian package libnftables1) is missing', 'ENOENT', undefined, {
      cause,
    });
  }
}

/** libnftables(3): nft's own language, in this process. Acts in the network namespace it was made in. */
export class Nftables {
  readonly #library = load();
  readonly #context: unknown;

  /** @throws KernelError */
  constructor() {
    const before = new Set(openFiles());
    this.#context = this.#library.create(0);
    // libnftables opens its netlink socket without close-on-exec.
    for (const file of openFiles()) if (!before.has(file)) setCloseOnExec(Number.parseInt(file, 10));
    this.#library.bufferOutput(this.#context);
    this.#library.bufferError(this.#context);
  }

  /** All of the commands or none (nft(8): one batch is one transaction). @throws KernelError with nft's words */
  run(commands: string): void {
    this.#run(commands, 0);
  }

  /** The output of a `list` command, parsed. @throws KernelError ENOENT when there is no such object */
  json(command: string): unknown {
    const output = this.#run(command, NFT_CTX_OUTPUT_JSON);
    return output === '' ? { nftables: [] } : JSON.parse(output);
  }

  /** In nft's language, without elements and counters. */
  text(command: string): string {
    return this.#run(command, NFT_CTX_OUTPUT_STATELESS | NFT_CTX_OUTPUT_TERSE);
  }

  /** In nft's language with elements and handles, priorities as numbers. @throws KernelError ENOENT when there is no such object */
  listing(command: string): string {
    return this.#run(command, NFT_CTX_OUTPUT_STATELESS | NFT_CTX_OUTPUT_HANDLE | NFT_CTX_OUTPUT_NUMERIC_PRIO);
  }

  /** The same, each object with the handle that names it in a command. */
  textWithHandles(command: string): string {
    return this.#run(command, NFT_CTX_OUTPUT_STATELESS | NFT_CTX_OUTPUT_TERSE | NFT_CTX_OUTPUT_HANDLE);
  }

  close(): void {
    this.#library.free(this.#context);
  }

  /** On a thread of the pool: tables this socket owns go with it, and the kernel waits for all that pass them. */
  closeAside(): Promise<void> {
    return new Promise((resolve) => this.#library.freeAside(this.#context, () => resolve()));
  }

  #run(commands: string, flags: number): string {
    this.#library.setOutputFlags(this.#context, flags);
    // It waits by select(2), which a signal ends, after the kernel has done what it was told.
    const result = withoutSignals(() => this.#library.run(this.#context, commands));
    // Both buffers are emptied by being read.
    const output = this.#library.output(this.#context);
    const words = this.#library.error(this.#context);
    if (result === 0) return output;
    const errno = WORDS.find(([text]) => words.includes(text))?.[1] ?? 'EINVAL';
    throw new KernelError(`nft: ${describe(words, commands)}`, errno);
  }
}

/**
 * The error's first line, and what the marks below the command point at. Of several lines libnftables 1.0.6 always
 * prints the first one, so the marks mean something only where there is one.
 */
function describe(words: string, commands: string): string {
  const [error = '', line = '', marks = ''] = words.split('\n');
  const start = marks.indexOf('^');
  const what = error.replace(/^(\S*: )?Error: (Could not process rule: )?/, '');
  if (commands.trim().includes('\n') || start < 0) return what;
  return `${what}: ${line.slice(start, marks.lastIndexOf('^') + 1)}`;
}

/** `fd target`: the number alone may have been that of the listing itself, closed since. */
const openFiles = (): readonly string[] =>
  readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [`${fd} ${readlinkSync(`/proc/self/fd/${fd}`)}`];
    } catch {
      return [];
    }
  });
