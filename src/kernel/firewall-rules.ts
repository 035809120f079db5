import type { Nftables } from './nftables.ts';

/** A rule as nft(8) lists it, whoever made it. Those of iptables-nft are among them. */
export interface FirewallRule {
  /** `ip`, `ip6`, `inet`, `bridge`, `arp`, `netdev`. */
  readonly family: string;
  readonly table: string;
  readonly chain: string;
  /** Of a base chain; undefined for a chain that is jumped to. */
  readonly hook: string | undefined;
  readonly handle: number;
  /** In nft's language, without counters. */
  readonly text: string;
}

/** Every rule. Costs a listing, without elements of sets. */
export function firewallRules(nft: Nftables): readonly FirewallRule[] {
  return parseRules(nft.textWithHandles('list ruleset'));
}

/** A listing as nft(8) prints it with `-a`. */
export function parseRules(listing: string): readonly FirewallRule[] {
  const rules: FirewallRule[] = [];
  let [family, table, chain]: (string | undefined)[] = [];
  let hook: string | undefined;
  for (const line of listing.split('\n')) {
    const opened = /^\s*(?:table (\w+) (\S+)|chain (\S+)|(?:set|map|flowtable|ct \w+) \S+) \{/.exec(line);
    if (opened !== null) {
      if (opened[1] !== undefined) [family, table] = [opened[1], opened[2]];
      [chain, hook] = [opened[3], undefined];
      continue;
    }
    const base = /^\s*type \w+ hook (\w+)/.exec(line);
    if (base !== null) hook = base[1];
    const rule = /^\s*(\S.*?) # handle (\d+)$/.exec(line);
    if (rule === null || family === undefined || table === undefined || chain === undefined) continue;
    const text = (rule[1] ?? '').replace(/\bcounter (packets \d+ bytes \d+ )?/, '');
    rules.push({ family, table, chain, hook, handle: Number(rule[2]), text });
  }
  return rules;
}
