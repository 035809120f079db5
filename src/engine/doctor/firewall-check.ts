import type { FirewallRule } from '../../kernel/firewall-rules.ts';
import { overlaps, type Prefix, parseInterfaceAddress, prefixOf } from '../../model/address.ts';
import type { Finding } from '../../model/finding.ts';
import { familiesOf } from '../../model/network.ts';
import { TABLE_NAME } from '../../plan/nft-text.ts';
import { missingRules } from '../../plan/placed-rule.ts';
import type { Ruleset } from '../../plan/rule.ts';
import { ruleset } from '../../plan/ruleset.ts';
import { SPOOF_GUARD } from '../../plan/spoof-guard.ts';
import type { HostLook } from './host-facts.ts';

type Look = Pick<HostLook, 'networks' | 'chains' | 'rules' | 'plan'>;

/** Rules of others that stand in the way of our bridges, and what somebody did to our own. */
export function checkFirewall(look: Look): readonly Finding[] {
  const ours = look.rules.filter(({ table }) => table === TABLE_NAME);
  const foreign = look.rules.filter(({ table }) => table !== TABLE_NAME);
  return [...chains(look, foreign), ...rules(look, foreign), ...ownTables(look, ours)];
}

const bridgesOf = ({ networks }: Look) => networks.filter((network) => network.driver === 'bridge');
const deletion = ({ family, table, chain, handle }: FirewallRule): string =>
  `sudo nft delete rule ${family} ${table} ${chain} handle ${handle}`;
const place = ({ family, table, chain }: FirewallRule): string => `table ${family} ${table}, chain ${chain}`;

function chains(look: Look, foreign: readonly FirewallRule[]): readonly Finding[] {
  return look.chains.flatMap(({ table, chain, why }): Finding[] => {
    const family = table.startsWith('ip6 ') ? 'ipv6' : table.startsWith('ip ') ? 'ipv4' : undefined;
    const own = foreign.filter((rule) => `${rule.family} ${rule.table}` === table && rule.chain === chain);
    const passes = (side: 'iifname' | 'oifname', name: string): boolean =>
      own.some(({ text }) => new RegExp(`^${side} "${name}" accept\\b`).test(text));
    const stopped = bridgesOf(look)
      .filter((network) => family === undefined || network[family] !== undefined)
      .filter((network) => !network.internal)
      .map(({ bridge }) => bridge.ifName)
      .filter((name) => !passes('iifname', name) || !passes('oifname', name));
    if (stopped.length === 0) return [];
    return [
      {
        kind: 'forward-chain',
        area: 'firewall',
        severity: 'error',
        subject: `${table} ${chain}`,
        sentence: `Chain ${chain} of table ${table} stops forwarded packets: neither published ports nor the way out of containers work.`,
        evidence: [`${why}, and no rule before it lets ${stopped.join(', ')} through`],
        fix: stopped.flatMap((name) =>
          (['iifname', 'oifname'] as const)
            .filter((side) => !passes(side, name))
            .map((side) => `sudo nft insert rule ${table} ${chain} ${side} ${name} accept`),
        ),
      },
    ];
  });
}

/** What every firewall has, and what drops nothing that belongs to a connection. */
const HARMLESS = /^ct state (invalid|\{? ?invalid ?\}?) drop/;
const UNCONDITIONAL = /^(drop|reject\b.*)( comment .*)?$/;

function rules(look: Look, foreign: readonly FirewallRule[]): readonly Finding[] {
  const names = bridgesOf(look).map(({ bridge }) => bridge.ifName as string);
  const subnets = bridgesOf(look).flatMap((network) => familiesOf(network).map(({ subnet }) => subnet));
  return forwarded(foreign)
    .filter(({ text }) => /\b(drop|reject)\b/.test(unquoted(text)))
    .filter(({ text }) => !HARMLESS.test(text) && !UNCONDITIONAL.test(text))
    .flatMap((rule): Finding[] => {
      const interfaces = [...rule.text.matchAll(/[io]ifname (?:!= )?"([^"]+)"/g)].map(
        (match) => match[1] ?? '',
      );
      const ours =
        interfaces.some((name) => names.some((own) => globbed(name, own))) ||
        prefixesIn(rule.text).some((prefix) => subnets.some((subnet) => overlaps(prefix, subnet)));
      // Somebody's rule about his own bridges is his.
      if (!ours && (interfaces.length > 0 || prefixesIn(rule.text).length > 0)) return [];
      return [
        {
          kind: 'forward-rule',
          area: 'firewall',
          severity: ours ? 'error' : 'warning',
          subject: `${rule.family} ${rule.table} ${rule.chain} ${rule.handle}`,
          sentence: ours
            ? 'A rule that is not ours drops packets of containers.'
            : 'A rule that is not ours drops some of the packets that are forwarded, those of containers too.',
          evidence: [`${place(rule)}: ${rule.text}`],
          fix: [deletion(rule)],
        },
      ];
    });
}

const unquoted = (text: string): string => text.replace(/"[^"]*"/g, '');
export const globbed = (pattern: string, name: string): boolean =>
  pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : pattern === name;

function prefixesIn(text: string): readonly Prefix[] {
  return [...unquoted(text).matchAll(/\b[sd]addr (?:!= )?(\S+)/g)].flatMap(([, word = '']) => {
    try {
      const whole = word.includes('/') ? word : `${word}/${word.includes(':') ? 128 : 32}`;
      return [prefixOf(parseInterfaceAddress(whole))];
    } catch {
      return [];
    }
  });
}

/** Rules that a forwarded packet passes: of base chains on its way, and of the chains they jump to. */
function forwarded(all: readonly FirewallRule[]): readonly FirewallRule[] {
  const key = (family: string, table: string, chain: string): string => `${family} ${table} ${chain}`;
  const reached = new Set(
    all
      .filter(({ hook }) => hook === 'forward' || hook === 'prerouting' || hook === 'postrouting')
      .map(({ family, table, chain }) => key(family, table, chain)),
  );
  for (let size = -1; size !== reached.size; ) {
    size = reached.size;
    for (const { family, table, chain, text } of all) {
      const to = /\b(?:jump|goto) (\S+)/.exec(unquoted(text))?.[1];
      if (to !== undefined && reached.has(key(family, table, chain))) reached.add(key(family, table, to));
    }
  }
  return all.filter(({ family, table, chain }) => reached.has(key(family, table, chain)));
}

function ownTables({ plan }: Look, ours: readonly FirewallRule[]): readonly Finding[] {
  const wanted: readonly Ruleset[] = [
    ruleset('ip', plan.acceptMark),
    ruleset('ip6', plan.acceptMark),
    SPOOF_GUARD,
  ];
  return wanted
    .filter(({ family }) => plan.tables.has(family))
    .flatMap((table) => {
      const listed = ours.filter(({ family }) => family === table.family);
      return ownTable(table, listed);
    });
}

function ownTable({ family, chains }: Ruleset, listed: readonly FirewallRule[]): readonly Finding[] {
  const wanted = chains.flatMap(({ name, rules }) => rules.map(({ id }) => ({ chain: name, id })));
  const there = listed.map((rule) => ({
    chain: rule.chain,
    id: /comment "([^"]*)"$/.exec(rule.text)?.[1],
    rule,
  }));
  const added = there.flatMap(({ chain, id, rule }) =>
    wanted.some((each) => each.chain === chain && each.id === id) ? [] : [rule],
  );
  const missing = missingRules(wanted, there).map(
    ({ chain, id }) => `chain ${chain}: the rule ${id} is missing`,
  );
  if (added.length === 0 && missing.length === 0) return [];
  return [
    {
      kind: 'own-table',
      area: 'firewall',
      severity: missing.length > 0 ? 'error' : 'warning',
      subject: `${family} ${TABLE_NAME}`,
      sentence: `Somebody changed the table ${family} ${TABLE_NAME}, which is the engine's own.`,
      evidence: [...added.map((rule) => `added in chain ${rule.chain}: ${rule.text}`), ...missing],
      fix:
        missing.length > 0
          ? [`sudo nft delete table ${family} ${TABLE_NAME}`, '# the engine makes it again within a second']
          : added.map(deletion),
    },
  ];
}
