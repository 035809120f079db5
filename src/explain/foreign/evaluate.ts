import { contains, type Ip, parsePrefix } from '../../model/address.ts';
import type { Decision, Entry, ForeignChain, ForeignRule, ForeignTable, Statement, Verdict } from './rule.ts';
import { ALL_BITS } from './statement.ts';

/** What a foreign rule can ask of a packet; undefined is what cannot be told of it. */
export type Lookup = (field: string) => string | undefined;

/** What a chain of somebody else does with a packet. */
export interface Judgement {
  /** `none`: no rule of it decided, and its policy is accept. */
  readonly verdict: Decision | { readonly kind: 'none' };
  readonly chain: string;
  /** Absent: the policy. */
  readonly rule?: ForeignRule;
}

/** What rules that ended nothing did to a packet on its way. */
export interface Changes {
  mark?: Mark;
  untracked?: boolean;
  untrackedBy?: Undecided;
}

/** `unknown`: something was set that cannot be told. */
export type Mark = number | 'unknown';

/** Rules that would decide if they matched, and of which that cannot be told. */
export interface Undecided {
  readonly chain: string;
  readonly rule: ForeignRule;
}

type Truth = boolean | 'unknown';

/** Where a packet is sent through, and what is noted on the way. */
interface Run {
  readonly table: ForeignTable;
  readonly packet: Lookup;
  readonly undecided: Undecided[];
  readonly changes: Changes;
}

/**
 * Sends a packet through a base chain; what cannot be told is noted in `undecided` and taken as not matching. `changes`
 * is filled.
 */
export function judge(
  table: ForeignTable,
  chain: ForeignChain,
  asked: Lookup,
  undecided: Undecided[],
  changes: Changes = {},
): Judgement {
  const packet: Lookup = (field) => {
    const { mark, untracked } = changes;
    if (field === 'mark' && mark !== undefined) return mark === 'unknown' ? undefined : String(mark);
    if (field === 'ct state' && untracked) return 'untracked';
    return asked(field);
  };
  const found = runChain({ table, packet, undecided, changes }, chain, 0);
  if (found !== undefined) return found;
  if (chain.base?.policy === 'drop') return { verdict: { kind: 'drop' }, chain: chain.name };
  return { verdict: { kind: 'none' }, chain: chain.name };
}

/** NFT_JUMP_STACK_SIZE (linux/netfilter/nf_tables.h). */
const DEEPEST = 16;

/** @returns undefined when the chain ends, or returns, without a verdict */
function runChain(run: Run, chain: ForeignChain, depth: number): Judgement | undefined {
  const { table, undecided } = run;
  for (const rule of chain.rules) {
    const { matched, verdict } = apply(run, rule.statements);
    if (run.changes.untracked) run.changes.untrackedBy ??= { chain: chain.name, rule };
    if (verdict === undefined || verdict.kind === 'continue') continue;
    if (matched === 'unknown') undecided.push({ chain: chain.name, rule });
    if (matched !== true) continue;
    if (verdict.kind === 'return') return undefined;
    if (verdict.kind === 'jump' || verdict.kind === 'goto') {
      const target = table.chains.find(({ name }) => name === verdict.chain);
      const inner = target === undefined || depth > DEEPEST ? undefined : runChain(run, target, depth + 1);
      if (inner !== undefined) return inner;
      if (verdict.kind === 'goto') return undefined;
      continue;
    }
    return { verdict, chain: chain.name, rule };
  }
  return undefined;
}

function apply(
  { table, packet, changes }: Run,
  statements: readonly Statement[],
): { readonly matched: Truth; readonly verdict?: Verdict } {
  let matched: Truth = true;
  for (const statement of statements) {
    switch (statement.kind) {
      case 'effect':
        break;
      case 'unknown':
        matched = 'unknown';
        break;
      case 'set-mark':
        changes.mark = marked(packet('mark'), matched === true ? statement : UNKNOWN_MARK);
        break;
      case 'notrack':
        // Untracked, nothing of the engine's would translate it: that is to be told as well.
        if (matched !== true) return { matched, verdict: { kind: 'drop' } };
        changes.untracked = true;
        break;
      case 'verdict':
        return { matched, verdict: statement.verdict };
      case 'match': {
        const truth = matches(table, statement, packet);
        if (truth === false) return { matched: false };
        if (truth === 'unknown') matched = 'unknown';
        break;
      }
      case 'vmap': {
        const key = statement.fields.map((field) => read(field, packet));
        if (key.includes(ABSENT)) return { matched: false };
        if (key.includes(undefined)) return { matched: 'unknown', verdict: { kind: 'drop' } };
        const verdict = entriesOf(table, statement.entries)?.find((entry) => covers(entry, key))?.verdict;
        if (verdict !== undefined) return { matched, verdict };
        break;
      }
    }
  }
  return { matched };
}

const UNKNOWN_MARK = { value: undefined, mask: 0 } as const;

function marked(
  before: string | undefined,
  { value, mask }: Omit<Extract<Statement, { kind: 'set-mark' }>, 'kind'>,
): Mark {
  if (value === undefined) return 'unknown';
  if (mask === ALL_BITS) return value;
  return before === undefined ? 'unknown' : ((Number(before) & ~mask) ^ value) >>> 0;
}

/** Not the empty name, which an interface has that is not there: that one is other than `lo`. */
export const ABSENT = '\0';

function matches(table: ForeignTable, match: Extract<Statement, { kind: 'match' }>, packet: Lookup): Truth {
  const key = match.fields.map((field) => read(field, packet));
  if (key.includes(ABSENT)) return false;
  const entries = entriesOf(table, match.values);
  if (entries === undefined) return 'unknown';
  if (key.includes(undefined)) return 'unknown';
  const { mask } = match;
  const values = mask === undefined ? key : key.map((value) => String((Number(value) & mask) >>> 0));
  const hit = entries.some((entry) => covers(entry, values));
  return hit !== match.not;
}

const entriesOf = (table: ForeignTable, entries: readonly Entry[] | string): readonly Entry[] | undefined =>
  typeof entries === 'string' ? table.sets.get(entries) : entries;

/** `tcp dport` asks for TCP as well: of another packet it is absent. */
function read(field: string, packet: Lookup): string | undefined {
  const [layer = '', name = ''] = field.split(' ');
  if (['tcp', 'udp', 'sctp'].includes(layer) && packet('l4proto') !== layer) return ABSENT;
  if (layer === 'ip' && packet('nfproto') !== 'ipv4') return ABSENT;
  if (layer === 'ip6' && packet('nfproto') !== 'ipv6') return ABSENT;
  if (layer === 'icmp' && packet('l4proto') !== 'icmp') return ABSENT;
  if (layer === 'icmpv6' && packet('l4proto') !== 'ipv6-icmp') return ABSENT;
  switch (field) {
    case 'ip protocol':
    case 'ip6 nexthdr':
      return packet('l4proto');
    case 'iif':
      return packet('iifname');
    case 'oif':
      return packet('oifname');
    case 'protocol':
    case 'ether type':
      return packet('nfproto') === 'ipv4' ? 'ip' : 'ip6';
    case 'tcp flags':
      return packet('tcp flags');
    case 'icmp type':
    case 'icmpv6 type':
      return packet('echo');
    default:
      return ['ip', 'ip6', 'tcp', 'udp', 'sctp', 'th'].includes(layer) ? packet(name) : packet(field);
  }
}

const NAMES: Readonly<Record<string, string>> = {
  '1': 'icmp',
  '6': 'tcp',
  '17': 'udp',
  '58': 'ipv6-icmp',
  '132': 'sctp',
  icmpv6: 'ipv6-icmp',
};

function covers(entry: Entry, key: readonly (string | undefined)[]): boolean {
  // The default of a verdict map.
  if (entry.key.length === 1 && entry.key[0] === '*') return true;
  return entry.key.length === key.length && entry.key.every((word, i) => coversValue(word, key[i] ?? ''));
}

function coversValue(word: string, value: string): boolean {
  if (word === value || NAMES[word] === value) return true;
  if (word.endsWith('*') && value.startsWith(word.slice(0, -1))) return true;
  if (/^0x[\da-f]+$/.test(word)) return Number(word) === Number(value);
  const range = /^(\d+)-(\d+)$/.exec(word);
  if (range !== null) return Number(range[1]) <= Number(value) && Number(value) <= Number(range[2]);
  const prefix = /^([\da-f.:]+)\/(\d+)$/.exec(word);
  if (prefix !== null && /[.:]/.test(value)) return inPrefix(word, value);
  const [first, last] = word.split('-');
  if (first !== undefined && last !== undefined && /^[\d.]+$/.test(first) && /^[\d.]+$/.test(value)) {
    return number(first) <= number(value) && number(value) <= number(last);
  }
  return false;
}

function inPrefix(prefix: string, value: string): boolean {
  try {
    return contains(parsePrefix(prefix), value as Ip);
  } catch {
    return false;
  }
}

const number = (address: string): number =>
  address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
