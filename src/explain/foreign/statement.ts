import type { Entry, Statement, Verdict } from './rule.ts';
import { unquoted } from './token.ts';

/** Of a mark. */
export const ALL_BITS = 0xffff_ffff;

/** What a rule may look at, longest first: `ct state` before a lone word. */
const FIELDS: readonly string[] = [
  'fib saddr . mark . iif oif',
  'fib saddr . iif oif',
  'fib daddr . iif type',
  'fib daddr type',
  'fib saddr type',
  'meta l4proto',
  'meta nfproto',
  'meta protocol',
  'meta mark',
  'meta iifname',
  'meta oifname',
  'meta iif',
  'meta oif',
  'ip saddr',
  'ip daddr',
  'ip protocol',
  'ip6 saddr',
  'ip6 daddr',
  'ip6 nexthdr',
  'tcp sport',
  'tcp dport',
  'udp sport',
  'udp dport',
  'sctp sport',
  'sctp dport',
  'th sport',
  'th dport',
  'icmp type',
  'icmpv6 type',
  'ct state',
  'ct status',
  'ct mark',
  'ct direction',
  'ct original saddr',
  'ct original daddr',
  'ct original proto-dst',
  'ether saddr',
  'ether type',
  'iifname',
  'oifname',
  'iif',
  'oif',
  'mark',
];
const FIELD_WORDS = FIELDS.map((field) => field.split(' '));

/** The rest of a rule, read from its start. */
class Reader {
  readonly #tokens: readonly string[];
  #at = 0;

  constructor(tokens: readonly string[]) {
    this.#tokens = tokens;
  }

  get done(): boolean {
    return this.#at >= this.#tokens.length;
  }

  peek(ahead = 0): string {
    return this.#tokens[this.#at + ahead] ?? '';
  }

  next(): string {
    return this.#tokens[this.#at++] ?? '';
  }

  take(...words: readonly string[]): boolean {
    if (!words.every((word, i) => this.peek(i) === word)) return false;
    this.#at += words.length;
    return true;
  }

  /** What stands between braces, apart by commas. */
  list(): readonly (readonly string[])[] {
    const parts: string[][] = [[]];
    while (!this.done && !this.take('}')) {
      if (this.take(',')) parts.push([]);
      else parts.at(-1)?.push(this.next());
    }
    return parts.filter((part) => part.length > 0);
  }

  rest(): string {
    const words = this.#tokens.slice(this.#at).join(' ');
    this.#at = this.#tokens.length;
    return words;
  }
}

export function parseStatements(tokens: readonly string[]): readonly Statement[] {
  const reader = new Reader(tokens);
  const found: Statement[] = [];
  while (!reader.done) found.push(parseStatement(reader));
  return found;
}

function parseStatement(reader: Reader): Statement {
  const fields = readFields(reader);
  if (fields !== undefined) return parseMatch(reader, fields);
  const verdict = readVerdict(reader);
  if (verdict !== undefined) return { kind: 'verdict', verdict };
  if (reader.take('notrack')) return { kind: 'notrack' };
  if (skipEffect(reader)) return { kind: 'effect' };
  const from = reader.next();
  // `limit rate 5/second burst 5 packets`, `xt match physdev`: what follows belongs to it until something is known again.
  const words = [from];
  while (!reader.done && !isStart(reader)) words.push(reader.next());
  return { kind: 'unknown', text: words.join(' ') };
}

const VERDICT_WORDS = [
  'accept',
  'drop',
  'reject',
  'return',
  'continue',
  'jump',
  'goto',
  'masquerade',
  'dnat',
  'snat',
  'redirect',
];
const EFFECT_WORDS = ['counter', 'log', 'comment', 'notrack'];

const isStart = (reader: Reader): boolean =>
  VERDICT_WORDS.includes(reader.peek()) ||
  EFFECT_WORDS.includes(reader.peek()) ||
  FIELD_WORDS.some((words) => words.every((word, i) => reader.peek(i) === word));

function readFields(reader: Reader): readonly string[] | undefined {
  const fields: string[] = [];
  do {
    const words = FIELD_WORDS.find((candidate) => candidate.every((word, i) => reader.peek(i) === word));
    if (words === undefined) return undefined;
    reader.take(...words);
    fields.push(words.join(' ').replace(/^meta /, ''));
  } while (reader.take('.'));
  return fields;
}

function parseMatch(reader: Reader, fields: readonly string[]): Statement {
  if (reader.take('vmap')) {
    return {
      kind: 'vmap',
      fields,
      entries: reader.take('{') ? reader.list().map(parseElement) : setName(reader.next()),
    };
  }
  if (reader.take('set')) return parseSet(reader, fields);
  const mask = reader.take('&') ? Number(reader.next()) : undefined;
  const not = reader.take('!=');
  reader.take('==');
  // `ct state established,related` and the same in braces are one thing.
  const values = reader.take('{') ? reader.list().map(parseElement) : plainValues(reader);
  return { kind: 'match', fields, not, ...(mask !== undefined && { mask }), values };
}

const OPERATORS = ['&', '|', '^', '<<', '>>', 'and', 'or', 'xor', 'lshift', 'rshift'];

/** `meta mark set 0x1`, `meta mark set ct mark & 0xff`: but for the mark, nothing looks at what it changes. */
function parseSet(reader: Reader, fields: readonly string[]): Statement {
  const words: string[] = [];
  do {
    words.push(...(readFields(reader) ?? [reader.next()]));
  } while (OPERATORS.some((operator) => reader.take(operator)));
  if (fields.join() !== 'mark') return { kind: 'effect' };
  const value = words.length === 1 ? Number(words[0]) : Number.NaN;
  return { kind: 'set-mark', value: Number.isNaN(value) ? undefined : value, mask: ALL_BITS };
}

function plainValues(reader: Reader): readonly Entry[] | string {
  if (reader.peek().startsWith('@')) return setName(reader.next());
  const values: string[][] = [];
  do {
    const parts = [reader.next()];
    while (reader.take('.')) parts.push(reader.next());
    values.push(parts);
  } while (reader.take(','));
  return values.map((key) => ({ key: key.map(unquoted) }));
}

const setName = (token: string): string => token.replace(/^@/, '');

function readVerdict(reader: Reader): Verdict | undefined {
  const word = reader.peek();
  switch (word) {
    case 'accept':
    case 'drop':
    case 'return':
    case 'continue':
      reader.next();
      return { kind: word };
    case 'reject':
      reader.rest();
      return { kind: 'reject' };
    case 'jump':
    case 'goto':
      reader.next();
      return { kind: word, chain: reader.next() };
    case 'masquerade':
      reader.rest();
      return { kind: 'masquerade' };
    case 'dnat':
    case 'snat':
    case 'redirect': {
      reader.next();
      const to = /\bto (\S+)/.exec(` ${reader.rest()}`)?.[1] ?? '';
      return { kind: word, to };
    }
    default:
      return undefined;
  }
}

function skipEffect(reader: Reader): boolean {
  if (reader.take('counter')) {
    if (reader.take('packets')) reader.next();
    if (reader.take('bytes')) reader.next();
    if (reader.take('name')) reader.next();
    return true;
  }
  if (reader.take('comment')) {
    reader.next();
    return true;
  }
  if (reader.take('log')) {
    while (['prefix', 'level', 'flags', 'group', 'snaplen'].includes(reader.peek())) {
      reader.next();
      reader.next();
    }
    return true;
  }
  return false;
}

/** `10.0.0.1 . tcp`, `invalid : drop`, with what a set keeps beside it (`timeout 5s`, `counter …`). */
export function parseElement(tokens: readonly string[]): Entry {
  const colon = tokens.indexOf(':');
  const keyTokens = colon < 0 ? tokens : tokens.slice(0, colon);
  const extra = keyTokens.findIndex((token) =>
    ['timeout', 'expires', 'counter', 'comment', 'limit'].includes(token),
  );
  const parts = (extra < 0 ? keyTokens : keyTokens.slice(0, extra))
    .filter((token) => token !== '.')
    .map(unquoted);
  const verdict = colon < 0 ? undefined : readVerdict(new Reader(tokens.slice(colon + 1)));
  return { key: parts, ...(verdict && { verdict }) };
}
