import type { Family } from '../../model/address.ts';
import type { LegacyFirewall } from '../../model/kernel-facts.ts';
import { parseLegacyRule } from './legacy-rule.ts';
import type { ForeignChain, ForeignRule, ForeignTable, LegacyTool, Statement } from './rule.ts';

/** Which hooks a table has, and where it stands at them (linux/netfilter_ipv4.h, NF_IP_PRI_*). */
const TABLES: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  raw: { PREROUTING: -300, OUTPUT: -300 },
  mangle: { PREROUTING: -150, INPUT: -150, FORWARD: -150, OUTPUT: -150, POSTROUTING: -150 },
  nat: { PREROUTING: -100, INPUT: 100, OUTPUT: -100, POSTROUTING: 100 },
  filter: { INPUT: 0, FORWARD: 0, OUTPUT: 0 },
  security: { INPUT: 50, FORWARD: 50, OUTPUT: 50 },
};

const TOOLS: Readonly<Record<Family, LegacyTool>> = { ipv4: 'iptables-legacy', ipv6: 'ip6tables-legacy' };

/** Reads what `iptables-legacy-save` prints (iptables-save(8)). */
export function parseLegacy(firewall: LegacyFirewall): readonly ForeignTable[] {
  const { family, tables, listing } = firewall;
  const common = { family: family === 'ipv4' ? 'ip' : 'ip6', tool: TOOLS[family], sets: new Map() } as const;
  if (listing === undefined) return tables.map((name) => ({ ...common, name, chains: unreadable(name) }));
  return listing.split(/^\*/m).flatMap((part, i) => {
    const [name = '', ...lines] = part.split('\n');
    return i === 0 ? [] : [{ ...common, name, chains: parseChains(name, lines, family) }];
  });
}

function parseChains(table: string, lines: readonly string[], family: Family): readonly ForeignChain[] {
  const rules = new Map<string, ForeignRule[]>();
  const policies = new Map<string, string>();
  for (const line of lines) {
    const [, declared, policy = ''] = /^:(\S+) (\S+)/.exec(line) ?? [];
    if (declared !== undefined) {
      rules.set(declared, []);
      policies.set(declared, policy);
    }
    const [, chain = '', text = ''] = /^-A (\S+) ?(.*)$/.exec(line) ?? [];
    const before = rules.get(chain);
    const statements = parseLegacyRule(text, family, new Set(rules.keys()));
    before?.push({ handle: before.length + 1, text, statements });
  }
  return [...rules].map(([name, all]) => ({
    name,
    ...baseOf(table, name, policies.get(name) === 'DROP' ? 'drop' : 'accept'),
    rules: all,
  }));
}

function baseOf(table: string, chain: string, policy: 'accept' | 'drop'): Pick<ForeignChain, 'base'> {
  const priority = TABLES[table]?.[chain];
  if (priority === undefined) return {};
  // As with nft's type `route`, a mark set for what leaves from here changes its way.
  const type = table === 'nat' ? 'nat' : table === 'mangle' && chain === 'OUTPUT' ? 'route' : 'filter';
  return { base: { type, hook: chain.toLowerCase(), priority, policy } };
}

const UNREAD: readonly Statement[] = [
  { kind: 'unknown', text: '' },
  { kind: 'verdict', verdict: { kind: 'drop' } },
];

/** Of rules that nobody can list, nothing can be told. */
const unreadable = (table: string): readonly ForeignChain[] =>
  Object.keys(TABLES[table] ?? {}).map((name) => ({
    name,
    ...baseOf(table, name, 'accept'),
    rules: [
      { handle: 1, text: 'its rules, which iptables-legacy-save does not list here', statements: UNREAD },
    ],
  }));
