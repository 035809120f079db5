import { createHash } from 'node:crypto';
import type { RulesetResource } from './resource.ts';
import {
  type Chain,
  type Field,
  type Match,
  PRIORITIES,
  type Rule,
  type Ruleset,
  type SetDefinition,
} from './rule.ts';

const FIELDS: Readonly<Record<Field, string>> = {
  iifname: 'iifname',
  oifname: 'oifname',
  saddr: 'ip saddr',
  daddr: 'ip daddr',
  'daddr-type': 'fib daddr type',
  l4proto: 'meta l4proto',
  dport: 'th dport',
  'ct-state': 'ct state',
  'ct-status': 'ct status',
};

/** The whole table in nft(8) syntax, without elements. */
export function nftText(ruleset: Ruleset): string {
  return [
    `table ${ruleset.table} {`,
    ...ruleset.sets.map(setText),
    ...ruleset.chains.map(chainText),
    '}',
    '',
  ].join('\n');
}

/** The ruleset as the kernel edge takes it; its version is a hash of its text. */
export function rulesetResource(ruleset: Ruleset): RulesetResource {
  const text = nftText(ruleset);
  return { kind: 'ruleset', text, version: createHash('sha256').update(text).digest('hex').slice(0, 16) };
}

function setText(set: SetDefinition): string {
  const type = set.data === undefined ? join(set.key) : `${join(set.key)} : ${join(set.data)}`;
  const words = [
    `type ${type};`,
    ...(set.interval ? ['flags interval;'] : []),
    ...(set.counter ? ['counter;'] : []),
  ];
  return `  ${set.data === undefined ? 'set' : 'map'} ${set.name} { ${words.join(' ')} }`;
}

function chainText(chain: Chain): string {
  const lines = chain.rules.map((rule) => `    ${ruleText(rule)}`);
  if (chain.base !== undefined) {
    const { type, hook, priority } = chain.base;
    lines.unshift(`    type ${type} hook ${hook} priority ${PRIORITIES[priority]}; policy accept;`);
  }
  return [`  chain ${chain.name} {`, ...lines, '  }'].join('\n');
}

export function ruleText(rule: Rule): string {
  return [...rule.matches.map(matchText), verdictText(rule), `comment "${rule.id}"`].join(' ');
}

function matchText(match: Match): string {
  const operator = match.not ? '!= ' : '';
  if (match.kind === 'lookup') return `${joinFields(match.fields)} ${operator}@${match.set}`;
  const words = match.words.map((word) => quoted(match.field, word));
  const value = words.length === 1 ? words[0] : `{ ${words.join(', ')} }`;
  return `${FIELDS[match.field]} ${operator}${value}`;
}

function verdictText({ verdict }: Rule): string {
  switch (verdict.kind) {
    case 'accept':
    case 'drop':
    case 'masquerade':
      return verdict.kind;
    case 'jump':
      return `jump ${verdict.chain}`;
    case 'dnat':
    case 'snat': {
      // `ip to` is how nft tells that the data have a port as well.
      const to = verdict.to === 'address-and-port' ? 'ip to' : 'to';
      return `${verdict.kind} ${to} ${joinFields(verdict.fields)} map @${verdict.map}`;
    }
  }
}

const quoted = (field: Field, word: string): string =>
  field === 'iifname' || field === 'oifname' ? `"${word}"` : word;
const join = (words: readonly string[]): string => words.join(' . ');
const joinFields = (fields: readonly Field[]): string => join(fields.map((field) => FIELDS[field]));
