import { TABLE_NAME } from '../plan/nft-text.ts';
import type { Nftables } from './nftables.ts';

/** A chain of somebody else that decides over forwarded packets after or before ours, and lets none through by default. */
export interface ForeignChain {
  /** `ip filter` */
  readonly table: string;
  readonly chain: string;
  readonly why: 'policy drop' | 'last rule drops' | 'last rule rejects';
}

/**
 * Chains at the forward hook that drop what no rule of theirs accepts: ufw, firewalld, `iptables -P FORWARD DROP`. An
 * accept of ours ends only our own chain (nft(8), "verdict statements"), so they have the last word. Rules of
 * iptables-legacy are not seen by nft.
 */
export function foreignChains(nft: Nftables): readonly ForeignChain[] {
  const found: ForeignChain[] = [];
  for (const { chain } of entries(nft.json('list chains'))) {
    const { family, table, name, hook, policy, type } = chain ?? {};
    if (hook !== 'forward' || type !== 'filter' || table === TABLE_NAME || family === 'bridge') continue;
    const why = policy === 'drop' ? 'policy drop' : lastRule(nft, `${family} ${table} ${name}`);
    if (why !== undefined) found.push({ table: `${family} ${table}`, chain: String(name), why });
  }
  return found;
}

function lastRule(nft: Nftables, chain: string): ForeignChain['why'] | undefined {
  const rules = entries(nft.json(`list chain ${chain}`)).flatMap(({ rule }) => (rule ? [rule] : []));
  const expressions = rules.at(-1)?.expr;
  const last: unknown = Array.isArray(expressions) ? expressions.at(-1) : undefined;
  if (typeof last !== 'object' || last === null) return undefined;
  // Only what has no condition before it decides over everything.
  const conditions = (expressions as readonly object[]).filter((each) => 'match' in each);
  if (conditions.length > 0) return undefined;
  if ('drop' in last) return 'last rule drops';
  return 'reject' in last ? 'last rule rejects' : undefined;
}

interface Entry {
  readonly chain?: Readonly<Record<string, unknown>>;
  readonly rule?: Readonly<Record<string, unknown>>;
}

function entries(listing: unknown): readonly Entry[] {
  const list = (listing as { readonly nftables?: unknown }).nftables;
  return Array.isArray(list) ? (list as readonly Entry[]) : [];
}
