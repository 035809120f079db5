import type { RawConfig } from './flags.ts';
import type { RawPool } from './values.ts';

/** Reads values of the merged configuration by kind; what flags or file have checked already is trusted. */
export class OptionReader {
  readonly #raw: RawConfig;
  constructor(raw: RawConfig) {
    this.#raw = raw;
  }
  text(key: string): string | undefined {
    const value = this.#raw[key];
    return typeof value === 'string' && value !== '' ? value : undefined;
  }
  flag(key: string, fallback: boolean): boolean {
    const value = this.#raw[key];
    return typeof value === 'boolean' ? value : fallback;
  }
  number(key: string): number | undefined {
    const value = this.#raw[key];
    return typeof value === 'number' ? value : undefined;
  }
  list(key: string): readonly string[] {
    return (this.#raw[key] as readonly string[] | undefined) ?? [];
  }
  record<T>(key: string): Readonly<Record<string, T>> {
    return (this.#raw[key] as Readonly<Record<string, T>> | undefined) ?? {};
  }
  pools(): readonly RawPool[] {
    return (this.#raw['default-address-pools'] as readonly RawPool[] | undefined) ?? [];
  }
}
