import { invalid } from '../../model/errors.ts';

const DEFAULT_DETACH_KEYS = Buffer.from([0x10, 0x11]);

/**
 * `ctrl-p,ctrl-q` or single characters, comma separated, to the bytes a terminal sends (moby/term ascii.go).
 * The empty text is the default; the keys cannot be turned off, as in Docker.
 * @throws EngineError INVALID_PARAMETER
 */
export function parseDetachKeys(text: string): Buffer {
  if (text === '') return DEFAULT_DETACH_KEYS;
  const bytes = text.split(',').map((key) => {
    if (Buffer.byteLength(key) === 1) return key.charCodeAt(0);
    const control = /^ctrl-([a-z@[\]^_\\])$/.exec(key)?.[1];
    if (control === undefined) throw invalid(`Invalid detach keys (${text}) provided`);
    return control.toUpperCase().charCodeAt(0) & 0x1f;
  });
  return Buffer.from(bytes);
}

/** Finds the keys in what is typed, over the borders of chunks. */
export class DetachScanner {
  readonly #keys: Buffer;
  #matched = 0;

  constructor(keys: Buffer) {
    this.#keys = keys;
  }

  /** @returns the bytes that go on to the process; a begun match is held back until it fails */
  scan(chunk: Buffer): { readonly pass: Buffer; readonly detached: boolean } {
    if (this.#keys.length === 0) return { pass: chunk, detached: false };
    const pass: number[] = [];
    for (const byte of chunk) {
      if (byte === this.#keys[this.#matched]) {
        this.#matched++;
        if (this.#matched === this.#keys.length) return { pass: Buffer.from(pass), detached: true };
        continue;
      }
      pass.push(...this.#keys.subarray(0, this.#matched));
      this.#matched = byte === this.#keys[0] ? 1 : 0;
      if (this.#matched === 0) pass.push(byte);
    }
    return { pass: Buffer.from(pass), detached: false };
  }
}
