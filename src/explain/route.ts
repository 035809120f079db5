import { bitsOf, contains, familyOf, type Ip, ipToBigInt, prefixOf } from '../model/address.ts';
import {
  type LinkFacts,
  LOCAL_TABLE,
  MAIN_TABLE,
  type NamespaceFacts,
  type PolicyRule,
  type RouteFacts,
} from '../model/kernel-facts.ts';
import { type Flow, isOfFamily, isUsual, ruleMatches } from './policy.ts';

/** What the kernel finds for a packet. */
export interface Routing {
  /** Undefined: network is unreachable. */
  readonly route: RouteFacts | undefined;
  /** The policy rule that led to the route or that says no; one that every namespace has is not told. */
  readonly rule: PolicyRule | undefined;
  /** Rules that would have decided, and of which it cannot be told whether they are about the packet; taken as if not. */
  readonly undecided: readonly PolicyRule[];
}

/** The route the kernel chooses: policy rules one after the other, until a table has one (net/core/fib_rules.c, fib_rules_lookup). */
export function lookUp(facts: NamespaceFacts, flow: Flow): Routing {
  const undecided: PolicyRule[] = [];
  let from = 0;
  for (const rule of facts.rules) {
    const { action, suppress, priority } = rule;
    if (priority < from || action.kind === 'nop' || !isOfFamily(rule, flow)) continue;
    const truth = ruleMatches(facts, rule, flow);
    if (truth === false) continue;
    let route: RouteFacts | undefined;
    if (action.kind === 'lookup') {
      route = bestIn(facts, action.table, flow.to);
      if (route === undefined || route.kind === 'throw') continue;
      if (suppress !== undefined && (route.to?.length ?? 0) <= suppress) continue;
    }
    if (truth === 'unknown') {
      undecided.push(rule);
      continue;
    }
    if (action.kind === 'goto') from = action.priority;
    else return { route, rule: isUsual(rule) ? undefined : rule, undecided };
  }
  return { route: undefined, rule: undefined, undecided };
}

/** Of one table: the longest prefix, the lowest metric. */
function bestIn({ routes }: NamespaceFacts, table: number, to: Ip): RouteFacts | undefined {
  const family = familyOf(to);
  return routes
    .filter((route) => route.family === family && route.table === table && covers(route, to))
    .toSorted((a, b) => (b.to?.length ?? 0) - (a.to?.length ?? 0) || a.metric - b.metric)[0];
}

/** What a kernel without policy rules would choose. */
export const usualRoute = (facts: NamespaceFacts, to: Ip): RouteFacts | undefined =>
  bestIn(facts, LOCAL_TABLE, to) ?? bestIn(facts, MAIN_TABLE, to);

const covers = ({ to: prefix }: RouteFacts, to: Ip): boolean =>
  prefix === undefined || contains(prefixOf(prefix), to);

/** Whether the namespace takes it for itself. */
export const isLocal = (facts: NamespaceFacts, address: Ip): boolean =>
  bestIn(facts, LOCAL_TABLE, address)?.kind === 'local';

export const linkOf = (facts: NamespaceFacts, index: number): LinkFacts | undefined =>
  facts.links.find((link) => link.index === index);

export const linkNamed = (facts: NamespaceFacts, name: string): LinkFacts | undefined =>
  facts.links.find((link) => link.name === name);

/**
 * The source a packet gets that has none yet: the route's, else one of the link that is in the next hop's subnet (inet_select_addr), for
 * IPv6 the one that has most in common with where it goes (RFC 6724 §5, rule 8).
 */
export function sourceFor(facts: NamespaceFacts, route: RouteFacts, to: Ip): Ip | undefined {
  if (route.source !== undefined) return route.source;
  if (route.kind === 'local') return to;
  const family = familyOf(to);
  const all = facts.addresses.filter(({ address }) => familyOf(address) === family && isUsable(address));
  const own = all.filter(({ link }) => link === route.link);
  const near = route.gateway ?? to;
  const chosen =
    family === 'ipv4'
      ? (own.find((each) => contains(prefixOf(each), near)) ?? own[0])
      : own.toSorted((a, b) => common(b.address, to) - common(a.address, to))[0];
  return (chosen ?? all.toSorted((a, b) => a.link - b.link)[0])?.address;
}

/**
 * The source that masquerading gives: one of the device it leaves by, else the first of any other (inet_select_addr,
 * ipv6_dev_get_saddr).
 */
export function masqueradeAddress(
  facts: NamespaceFacts,
  route: RouteFacts,
  device: LinkFacts | undefined,
  to: Ip,
): Ip | undefined {
  const by = route.kind === 'local' ? device : linkOf(facts, route.link);
  return sourceFor(facts, { ...route, kind: 'unicast', source: undefined, link: by?.index ?? 0 }, to);
}

const isUsable = (address: Ip): boolean =>
  !address.startsWith('127.') && address !== '::1' && !address.startsWith('fe80:');

/** Leading bits that are the same. */
function common(a: Ip, b: Ip): number {
  const difference = ipToBigInt(a) ^ ipToBigInt(b);
  return bitsOf(a) - difference.toString(2).length + (difference === 0n ? 1 : 0);
}
