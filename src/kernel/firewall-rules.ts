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

/** A base chain: it says what becomes of packets that none of its rules decides over. */
export interface FirewallChain {
  readonly family: string;
  readonly table: string;
  readonly chain: string;
  readonly hook: string;
  readonly policy: string;
}

/** Everything of the packet filter, whoever made it. */
export interface Firewall {
  readonly chains: readonly FirewallChain[];
  readonly rules: readonly FirewallRule[];
}

/** Costs a listing, without elements of sets. */
export function firewall(nft: Nftables): Firewall {
  return parseFirewall(nft.textWithHandles('list ruleset'));
}

/** A listing as nft(8) prints it with `-a`. */
export function parseFirewall(listing: string): Firewall {
  const chains: FirewallChain[] = [];
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
    if (family === undefined || table === undefined || chain === undefined) continue;
    const base = /^\s*type \w+ hook (\w+)/.exec(line);
    if (base?.[1] !== undefined) {
      hook = base[1];
      chains.push({ family, table, chain, hook, policy: /policy (\w+);/.exec(line)?.[1] ?? 'accept' });
      continue;
    }
    const rule = /^\s*(\S.*?) # handle (\d+)$/.exec(line);
    if (rule === null) continue;
    const text = (rule[1] ?? '').replace(/\bcounter (packets \d+ bytes \d+ )?/, '');
    rules.push({ family, table, chain, hook, handle: Number(rule[2]), text });
  }
  return { chains, rules };
}
