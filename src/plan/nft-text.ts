import { createHash } from 'node:crypto';
import type { RulesetResource } from './resource.ts';
import {
  type Chain,
  type Field,
  type KeyType,
  type Match,
  PRIORITIES,
  type Rule,
  type Ruleset,
  type SetDefinition,
  type TableFamily,
} from './rule.ts';

/** The name of every table of ours; nobody else's is read or changed. */
export const TABLE_NAME = 'gangway';

/** `saddr` and `daddr` are of the table's family. */
const FIELDS: Readonly<Record<Exclude<Field, 'saddr' | 'daddr'>, string>> = {
  iifname: 'iifname',
  oifname: 'oifname',
  'daddr-type': 'fib daddr type',
  l4proto: 'meta l4proto',
  dport: 'th dport',
  'ct-state': 'ct state',
  'ct-status': 'ct status',
  'icmpv6-type': 'icmpv6 type',
  'ether-saddr': 'ether saddr',
  'arp-saddr': 'arp saddr ip',
  'ip-saddr': 'ip saddr',
  'ip6-saddr': 'ip6 saddr',
  'nd-target': '@th,64,128',
};

const fieldText = (field: Field, family: TableFamily): string =>
  field === 'saddr' || field === 'daddr' ? `${family} ${field}` : FIELDS[field];

/**
 * Rules that drop tell this nflog group of what they drop, with their id as the prefix (nft(8), "log statement"). While
 * nobody hears the group, that costs a packet that is dropped 0.3 µs, and every other packet nothing.
 */
export const DROP_LOG_GROUP = 4712;

/** The whole table in nft(8) syntax, without elements. @param logDrops the kernel can (`Kernel.canLogDrops`) */
export function nftText(ruleset: Ruleset, logDrops: boolean): string {
  return [
    `table ${ruleset.family} ${TABLE_NAME} {`,
    ...ruleset.sets.map(setText),
    ...ruleset.chains.map((chain) => chainText(chain, ruleset.family, logDrops)),
    '}',
    '',
  ].join('\n');
}

/** The ruleset as the kernel edge takes it; its version is a hash of its text. */
export function rulesetResource(ruleset: Ruleset, logDrops: boolean): RulesetResource {
  const text = nftText(ruleset, logDrops);
  const version = createHash('sha256').update(text).digest('hex').slice(0, 16);
  return { kind: 'ruleset', table: ruleset.family, text, version };
}

const TYPEOF: Partial<Record<KeyType, string>> = { nd_target: '@th,64,128', ifname: 'iifname' };

function setText(set: SetDefinition): string {
  // A set is `typeof` throughout or not at all.
  const raw = set.key.includes('nd_target');
  const key = raw ? join(set.key.map((type) => TYPEOF[type] ?? type)) : join(set.key);
  const type = set.data === undefined ? key : `${key} : ${join(set.data)}`;
  const words = [
    `${raw ? 'typeof' : 'type'} ${type};`,
    ...(set.interval ? ['flags interval;'] : []),
    ...(set.counter ? ['counter;'] : []),
  ];
  return `  ${set.data === undefined ? 'set' : 'map'} ${set.name} { ${words.join(' ')} }`;
}

function chainText(chain: Chain, family: TableFamily, logDrops: boolean): string {
  const lines = chain.rules.map((rule) => `    ${ruleText(rule, family, logDrops)}`);
  if (chain.base !== undefined) {
    const { type, hook, priority } = chain.base;
    lines.unshift(`    type ${type} hook ${hook} priority ${PRIORITIES[priority]}; policy accept;`);
  }
  return [`  chain ${chain.name} {`, ...lines, '  }'].join('\n');
}

function ruleText(rule: Rule, family: TableFamily, logDrops = false): string {
  const matches = rule.matches.map((match) => matchText(match, family));
  const logs = logDrops && rule.verdict.kind === 'drop';
  const log = logs ? [`log prefix "${rule.id}" group ${DROP_LOG_GROUP}`] : [];
  // Nothing is counted of what passes.
  const counter = rule.verdict.kind === 'drop' ? ['counter'] : [];
  return [...matches, ...counter, ...log, verdictText(rule, family), `comment "${rule.id}"`].join(' ');
}

function matchText(match: Match, family: TableFamily): string {
  if (match.kind === 'mark') return `meta mark & ${hex(match.mask)} == ${hex(match.mark)}`;
  const operator = match.not ? '!= ' : '';
  if (match.kind === 'lookup') return `${joinFields(match.fields, family)} ${operator}@${match.set}`;
  const words = match.words.map((word) => quoted(match.field, word));
  const value = words.length === 1 ? words[0] : `{ ${words.join(', ')} }`;
  return `${fieldText(match.field, family)} ${operator}${value}`;
}

function verdictText({ verdict }: Rule, family: TableFamily): string {
  switch (verdict.kind) {
    case 'accept':
    case 'drop':
    case 'masquerade':
    case 'notrack':
      return verdict.kind;
    case 'jump':
      return `jump ${verdict.chain}`;
    case 'dnat':
    case 'snat': {
      // The family before `to` is how nft tells that the data have a port as well.
      const to = verdict.to === 'address-and-port' ? `${family} to` : 'to';
      return `${verdict.kind} ${to} ${joinFields(verdict.fields, family)} map @${verdict.map}`;
    }
  }
}

const hex = (value: number): string => `0x${value.toString(16)}`;
const quoted = (field: Field, word: string): string =>
  field === 'iifname' || field === 'oifname' ? `"${word}"` : word;
const join = (words: readonly string[]): string => words.join(' . ');
const joinFields = (fields: readonly Field[], family: TableFamily): string =>
  join(fields.map((field) => fieldText(field, family)));
