import { contains, familyOf, formatPrefix, type Ip, type Prefix, prefixOf } from '../model/address.ts';
import type { NamespaceFacts, PolicyRule } from '../model/kernel-facts.ts';
import type { Mark } from './foreign/evaluate.ts';
import type { PacketProtocol } from './packet.ts';

/** What policy rules look at (linux/flow.h, struct flowi). */
export interface Flow {
  readonly to: Ip;
  /** Absent: a program sends, and the route is to say with which source. */
  readonly from?: Ip | undefined;
  /** `lo` for what comes from here. */
  readonly iif: string;
  readonly mark?: Mark | undefined;
  /** Absent where the kernel asks without. */
  readonly protocol?: PacketProtocol;
  /** 0 is not known. */
  readonly sport?: number;
  readonly dport?: number;
}

/** IANA, protocol numbers. */
const NUMBERS: Readonly<Record<PacketProtocol, number>> = {
  icmp: 1,
  tcp: 6,
  udp: 17,
  'ipv6-icmp': 58,
  sctp: 132,
};

export type Truth = boolean | 'unknown';

/** Whether a rule is about the packet (net/core/fib_rules.c, fib_rule_match). */
export function ruleMatches(facts: Pick<NamespaceFacts, 'links'>, rule: PolicyRule, flow: Flow): Truth {
  const answers = conditions(facts, rule, flow);
  if (answers.includes(false)) return rule.not;
  return answers.includes('unknown') ? 'unknown' : !rule.not;
}

function conditions(
  { links }: Pick<NamespaceFacts, 'links'>,
  { from, to, iif, oif, mark, protocol, sport, dport, uid, others }: PolicyRule,
  flow: Flow,
): readonly Truth[] {
  const inside = (prefix: Prefix | undefined, address: Ip | undefined): Truth =>
    prefix === undefined || (address !== undefined && contains(prefix, address));
  const ports = (range: PolicyRule['sport'], port: number | undefined): Truth => {
    if (range === undefined) return true;
    if (port === 0) return 'unknown';
    return port !== undefined && range.first <= port && port <= range.last;
  };
  const set = flow.mark ?? 0;
  // Root of the namespace stands for what is handed on; what is sent from here is somebody's, and nobody knows whose.
  const owner: Truth = uid === undefined || (flow.iif === 'lo' ? 'unknown' : uid.first <= 0 && 0 <= uid.last);
  return [
    inside(from && prefixOf(from), flow.from),
    inside(to && prefixOf(to), flow.to),
    iif === undefined || iif === flow.iif,
    // Only of a socket that is bound to a device.
    oif === undefined,
    mark === undefined || (set === 'unknown' ? set : ((set ^ mark.value) & mark.mask) === 0),
    protocol === undefined || (flow.protocol !== undefined && NUMBERS[flow.protocol] === protocol),
    ports(sport, flow.sport),
    ports(dport, flow.dport),
    owner,
    ...others.map(
      (word): Truth =>
        // Only devices of a VRF have such a table.
        word === 'l3mdev' && links.every(({ kind }) => kind !== 'vrf') ? false : 'unknown',
    ),
  ];
}

const USUAL_TABLES = [253, 254, 255];

/** One of those that every namespace has, or that says no more than they do. */
export const isUsual = ({
  action,
  from,
  to,
  iif,
  oif,
  mark,
  protocol,
  sport,
  dport,
  uid,
  others,
}: PolicyRule) =>
  action.kind === 'lookup' &&
  USUAL_TABLES.includes(action.table) &&
  others.length === 0 &&
  [from, to, iif, oif, mark, protocol, sport, dport, uid].every((each) => each === undefined);

const TABLES: Readonly<Record<number, string>> = { 253: 'default', 254: 'main', 255: 'local' };
const hex = (value: number): string => `0x${value.toString(16)}`;
const span = ({ first, last }: { first: number; last: number }): string =>
  first === last ? `${first}` : `${first}-${last}`;

/** As ip-rule(8) has it, with `pref`. */
export function ruleWords(rule: PolicyRule): string {
  const { priority, not, from, to, iif, oif, mark, protocol, sport, dport, uid, suppress, others, action } =
    rule;
  const words = [
    `pref ${priority}`,
    not ? 'not' : undefined,
    `from ${from === undefined ? 'all' : formatPrefix(from)}`,
    to && `to ${formatPrefix(to)}`,
    mark && `fwmark ${hex(mark.value)}${mark.mask === 0xffff_ffff ? '' : `/${hex(mark.mask)}`}`,
    iif && `iif ${iif}`,
    oif && `oif ${oif}`,
    uid && `uidrange ${uid.first}-${uid.last}`,
    protocol === undefined ? undefined : `ipproto ${nameOf(protocol)}`,
    sport && `sport ${span(sport)}`,
    dport && `dport ${span(dport)}`,
    ...others,
    action.kind === 'lookup' && !others.includes('l3mdev')
      ? `lookup ${TABLES[action.table] ?? action.table}`
      : undefined,
    suppress === undefined ? undefined : `suppress_prefixlength ${suppress}`,
    action.kind === 'goto' ? `goto ${action.priority}` : undefined,
    action.kind === 'refusing' ? action.how : undefined,
    action.kind === 'nop' ? 'nop' : undefined,
  ];
  return words.filter(Boolean).join(' ');
}

const nameOf = (protocol: number): string =>
  Object.entries(NUMBERS).find(([, number]) => number === protocol)?.[0] ?? `${protocol}`;

/** The command that takes it out. */
export const ruleDeletion = (rule: PolicyRule): string =>
  `${rule.family === 'ipv4' ? 'ip' : 'ip -6'} rule del ${rule.others.length > 0 ? `pref ${rule.priority}` : ruleWords(rule)}`;

/** Whether the rule is of the family that the packet has. */
export const isOfFamily = ({ family }: PolicyRule, { to }: Flow): boolean => family === familyOf(to);
