import { TABLE_NAME } from '../plan/nft-text.ts';
import type { Nftables } from './nftables.ts';

/** A rule of somebody else that ends a packet's way. */
export interface ForeignRule {
  /** `ip`, `ip6`, `inet`, `bridge`, `arp`, `netdev`. */
  readonly family: string;
  readonly table: string;
  readonly chain: string;
  /** Of a base chain; undefined for a chain that is jumped to. */
  readonly hook: string | undefined;
  readonly handle: number;
  /** In nft's language. */
  readonly text: string;
}

/** Rules of others that drop or reject. Costs a listing, without elements of sets. */
export function foreignRules(nft: Nftables): readonly ForeignRule[] {
  return parseRules(nft.textWithHandles('list ruleset')).filter(
    ({ table, text }) => table !== TABLE_NAME && /\b(drop|reject)\b/.test(text.replace(/"[^"]*"/g, '')),
  );
}

/** A listing as nft(8) prints it with `-a`. */
export function parseRules(listing: string): readonly ForeignRule[] {
  const rules: ForeignRule[] = [];
  let [family, table, chain]: (string | undefined)[] = [];
  let hook: string | undefined;
  for (const line of listing.split('\n')) {
    const opened =
      /^\s*(?:table (\w+) (\S+)|chain (\S+)|(?:set|map|flowtable|ct \w+|counter|quota|limit) \S+) \{/.exec(
        line,
      );
    if (opened !== null) {
      if (opened[1] !== undefined) [family, table] = [opened[1], opened[2]];
      [chain, hook] = [opened[3], undefined];
      continue;
    }
    const base = /^\s*type \w+ hook (\w+)/.exec(line);
    if (base !== null) hook = base[1];
    const rule = /^\s*(\S.*?) # handle (\d+)$/.exec(line);
    if (rule === null || family === undefined || table === undefined || chain === undefined) continue;
    rules.push({ family, table, chain, hook, handle: Number(rule[2]), text: rule[1] ?? '' });
  }
  return rules;
}
