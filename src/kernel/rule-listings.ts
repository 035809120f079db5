import type { ProbeRule } from '../model/probe.ts';
import { TABLE_NAME } from '../plan/nft-text.ts';
import type { TraceFamily } from './nft-trace.ts';
import type { Nftables } from './nftables.ts';

/** Chains as they are listed, to tell the rule a trace speaks of by its handle. Each is listed once. */
export class RuleListings {
  readonly #nft: Nftables;
  readonly #listings = new Map<string, string>();

  constructor(nft: Nftables) {
    this.#nft = nft;
  }

  /** The rule as long as it is there. */
  rule(family: TraceFamily, table: string, chain: string, handle: number): ProbeRule | undefined {
    const line = this.#listing(family, table, chain)
      .split('\n')
      .find((each) => each.endsWith(` # handle ${handle}`));
    if (line === undefined) return undefined;
    const text = line.replace(/ # handle \d+$/, '').trim();
    return { own: table === TABLE_NAME, comment: / comment "([^"]*)"/.exec(text)?.[1], text };
  }

  /** The hook of a base chain. */
  hook(family: TraceFamily, table: string, chain: string): string | undefined {
    return /\btype \w+ hook (\w+)/.exec(this.#listing(family, table, chain))?.[1];
  }

  /** From now on chains are listed again. */
  forget(): void {
    this.#listings.clear();
  }

  #listing(family: TraceFamily, table: string, chain: string): string {
    const key = `${family} ${table} ${chain}`;
    const known = this.#listings.get(key);
    if (known !== undefined) return known;
    let text = '';
    try {
      text = this.#nft.textWithHandles(`list chain ${key}`);
    } catch {
      // Gone meanwhile.
    }
    this.#listings.set(key, text);
    return text;
  }
}
