import { familyOf } from '../../model/address.ts';
import { legacyDeletion } from '../foreign/legacy-words.ts';
import type { LegacyTool } from '../foreign/rule.ts';
import type { Obstacle, RuleRef } from '../hop.ts';
import type { Situation } from '../situation.ts';
import { inside } from './inside.ts';

type ByRule = Extract<Obstacle, { kind: 'rule' }>;
type Foreign = Extract<RuleRef, { by: 'other' }>;
type Stopped = ByRule & { readonly rule: Foreign };

/** What lets pass what a rule of somebody else's stops; null for one of the engine's. */
export function foreignRuleFix(situation: Situation, obstacle: ByRule): string | null {
  const { rule } = obstacle;
  if (rule.by === 'engine') return null;
  const stopped: Stopped = { ...obstacle, rule };
  const { tool } = rule;
  return tool === undefined
    ? acceptBefore(situation, stopped)
    : legacyFix(tool, stopped)
        .map((command) => inside(situation, obstacle.where, command))
        .join(' && ');
}

/** The rule taken out: where it ends nothing, none before it helps. */
export function foreignRuleDeletion(
  situation: Situation,
  { rule, where }: Pick<ByRule, 'rule' | 'where'>,
): string | null {
  if (rule.by === 'engine' || rule.rule === undefined) return null;
  const { tool, table, chain } = rule;
  const { text, handle } = rule.rule;
  return inside(
    situation,
    where,
    tool === undefined
      ? `nft delete rule ${table} ${chain} handle ${handle}`
      : legacyDeletion(tool, table, chain, text),
  );
}

/** A rule about something is taken out; of one about everything, and of a policy, this connection alone is excepted. */
function legacyFix(
  tool: LegacyTool,
  { rule: { table, chain, base, rule }, back, hook, packet }: Stopped,
): readonly string[] {
  const change = `${tool} -t ${table}`;
  if (rule !== undefined && !rule.text.startsWith('-j'))
    return [legacyDeletion(tool, table, chain, rule.text)];
  const { iifname, oifname, daddr, dport, protocol } = packet;
  const accept = (match: string, iif: string, oif: string): string =>
    [`${change} -I ${base}`, iif && `-i ${iif}`, oif && `-o ${oif}`, match, '-j ACCEPT']
      .filter(Boolean)
      .join(' ');
  const port = dport === 0 ? `-p ${protocol}` : `-p ${protocol} --dport ${dport}`;
  // The table raw comes before connection tracking.
  const answers = table === 'raw' ? `-d ${daddr}` : '-m conntrack --ctstate ESTABLISHED,RELATED';
  const there = accept(`-d ${daddr} ${port}`, iifname, oifname);
  const other = accept(answers, oifname, iifname);
  const rules = back ? [accept(answers, iifname, oifname)] : [there];
  return [...rules, ...(hook === 'forward' ? [other] : [])];
}

/**
 * Rules before the one that stops it, for this connection alone: what somebody else's firewall has is left as it is. An
 * accept ends its own base chain only, so it opens nothing else.
 */
function acceptBefore(situation: Situation, { rule, where, back, hook, packet }: Stopped): string {
  const { iifname, oifname, daddr, dport, protocol } = packet;
  const by = (words: readonly string[], iif: string, oif: string): string =>
    [
      `insert rule ${rule.table} ${rule.base}`,
      ...(iif === '' ? [] : [`iifname ${iif}`]),
      ...(oif === '' ? [] : [`oifname ${oif}`]),
      ...words,
      'accept',
    ].join(' ');
  const ip = familyOf(daddr) === 'ipv4' ? 'ip' : 'ip6';
  const port = dport === 0 ? [`meta l4proto ${protocol}`] : [`${protocol} dport ${dport}`];
  const answers = ['ct state established,related'];
  const there = by([`${ip} daddr ${daddr}`, ...port], iifname, oifname);
  const bridged = rule.table.startsWith('bridge ');
  if (bridged) {
    // Bridges know no connections of their own.
    const around = back ? by([`${ip} daddr ${daddr}`], iifname, oifname) : there;
    return inside(situation, where, `nft '${around}'`);
  }
  const rules = back
    ? [by(answers, iifname, oifname), ...(hook === 'forward' ? [by(answers, oifname, iifname)] : [])]
    : hook === 'forward'
      ? [there, by(answers, oifname, iifname)]
      : [there];
  return inside(situation, where, `nft '${rules.join('; ')}'`);
}
