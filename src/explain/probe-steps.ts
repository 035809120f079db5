import type { Cause } from '../model/cause.ts';
import type { ProbeDecision, ProbeFacts, ProbeHop, ProbePlace, ProbeRequest } from '../model/probe.ts';
import { destinationOf, sourceOf, type Tuple } from '../model/tuple.ts';
import { causeOfRule } from './rule-cause.ts';

/** What the live packet met, in the order it did; `detail` is a short sentence. */
export interface ProbeStep {
  readonly kind:
    | 'send'
    | 'link'
    | 'accept'
    | 'drop'
    | 'dnat'
    | 'masquerade'
    | 'deliver'
    | 'answer'
    | 'refused'
    | 'lost'
    | 'not-sent';
  /** An own rule's id; of others family, table, chain and the rule as nft writes it. */
  readonly rule?: string;
  readonly from?: string;
  readonly to?: string;
  readonly detail: string;
}

/** The live part of an answer of `gangway why`. */
export interface ProbeReport {
  /** Null where a packet cannot tell: none was sent, or a datagram left the host and nothing is known of it. */
  readonly reachable: boolean | null;
  readonly cause: Cause | null;
  readonly steps: readonly ProbeStep[];
}

/** Whose namespaces the packet passed, in the words of the question. */
export interface ProbeNames {
  readonly from: string;
  readonly to: string;
}

const WAYS: readonly ProbePlace[] = ['from', 'host', 'to'];

/** The facts in steps, and what follows from them. */
export function explainProbe(facts: ProbeFacts, request: ProbeRequest, names: ProbeNames): ProbeReport {
  const { outcome } = facts;
  if (outcome.kind === 'not-sent')
    return { reachable: null, cause: null, steps: [{ kind: 'not-sent', detail: outcome.why }] };
  const legs = legsOf(facts.hops.filter(({ direction }) => direction === 'there'));
  const there = legs.flat();
  const back = WAYS.toReversed().flatMap((place) =>
    facts.hops.filter((hop) => hop.place === place && hop.direction === 'back'),
  );
  const place = placeNames(names);
  const steps: ProbeStep[] = [
    sendStep(facts, request, names),
    ...legs.flatMap((leg) => wayThrough(leg, place)),
    ...back.flatMap((hop) => (isDrop(hop) ? [dropStep(hop, place, 'the answer is dropped')] : [])),
  ];
  const reachable = reached(facts, request, there, back);
  if (reachable !== false) return { reachable, cause: null, steps: [...steps, goodEnd(facts, there)] };
  const cause = causeOf(facts, request, there, back);
  return { reachable, cause, steps: [...steps, badEnd(facts, there, back, cause)] };
}

/** Each namespace is passed once, but for the sender's own, where it may be that the packet comes back to. */
function legsOf(there: readonly ProbeHop[]): readonly (readonly ProbeHop[])[] {
  const [from, host, to] = WAYS.map((place) => there.filter((hop) => hop.place === place));
  const out = (from ?? []).findIndex((hop) => hop.waypoint && hop.hook === 'postrouting') + 1;
  const away = out === 0 ? from : from?.slice(0, out);
  const returned = out === 0 ? [] : from?.slice(out);
  return [away, host, returned, to].filter((leg) => leg !== undefined && leg.length > 0) as ProbeHop[][];
}

function reached(
  { outcome, dropped }: ProbeFacts,
  { to, toNetns, from }: ProbeRequest,
  there: readonly ProbeHop[],
  back: readonly ProbeHop[],
): boolean | null {
  if (outcome.kind === 'answered') return true;
  if (outcome.kind !== 'silence' || to.protocol !== 'udp' || there.some(isDrop) || dropped.some(isTelling)) {
    return false;
  }
  if (isAnsweredElsewhere(there, back)) return false;
  // Most programs do not answer an empty datagram. One without a listener would have been refused.
  if (isDelivered(there)) return true;
  const last = there.findLast(isRouted);
  const left = last?.hook === 'postrouting' && (last.place === 'host' || from === toNetns);
  return left && toNetns === undefined ? null : false;
}

function causeOf(
  facts: ProbeFacts,
  request: ProbeRequest,
  there: readonly ProbeHop[],
  back: readonly ProbeHop[],
): Cause {
  const { outcome } = facts;
  const drop = there.find(isDrop) ?? back.find(isDrop);
  if (drop !== undefined) return causeOfDrop(drop, request);
  if (outcome.kind === 'refused') return 'nothing-listens';
  const reasons = new Set(facts.dropped.map(({ reason }) => reason));
  if (facts.conntrackFull) return 'conntrack-full';
  if (reasons.has('IP_RPFILTER')) return 'rp-filter';
  if (reasons.has('PKT_TOO_BIG') || (outcome.kind === 'failed' && outcome.errno === 'EMSGSIZE')) return 'mtu';
  // Held for a published port: what comes there was not translated.
  if (reasons.has('SOCKET_FILTER')) return 'own-rules-missing';
  if (reasons.has('NO_SOCKET')) return 'nothing-listens';
  // No rule that nft knows: iptables-legacy, or a program of BPF. Before the packet came to the host, it was a question
  // for its neighbour that was dropped.
  if (reasons.has('NETFILTER_DROP') && there.some(({ place }) => place === 'host')) return 'foreign-rule';
  const last = there.findLast(isRouted);
  if (last?.place === 'host' && last.hook === 'prerouting') {
    return facts.forwarding ? 'no-route' : 'forwarding-off';
  }
  if (outcome.kind === 'failed') return 'no-route';
  if (isAnsweredElsewhere(there, back)) return 'answer-from-elsewhere';
  const answers = back.some(({ place }) => place === 'to');
  // A handshake that came to its end has an answer, or there is no way for it.
  if (request.toNetns !== undefined && request.to.protocol === 'tcp' && isDelivered(there) && !answers)
    return 'no-route';
  return request.toNetns !== undefined && !isDelivered(there) ? 'link-broken' : 'no-answer';
}

function causeOfDrop(hop: ProbeHop, { from }: ProbeRequest): Cause {
  const rule = hop.decision?.rule;
  if (rule?.own !== true) return 'foreign-rule';
  return causeOfRule(rule.comment ?? '', {
    sender: isSender(from) ? from : 'container',
    sameBridge: hop.iif !== undefined && hop.iif === hop.oif,
  });
}

/** Others are of copies, or of what the far end of a wire made of it. */
const TELLING: ReadonlySet<string> = new Set([
  'NETFILTER_DROP',
  'NO_SOCKET',
  'IP_RPFILTER',
  'SOCKET_FILTER',
  'PKT_TOO_BIG',
]);
const isTelling = ({ reason }: ProbeFacts['dropped'][number]): boolean => TELLING.has(reason);
const isSender = (from: ProbeRequest['from']): from is 'host' | 'outside' =>
  from === 'host' || from === 'outside';
const isDrop = (hop: ProbeHop): boolean => hop.decision?.verdict === 'drop';
const isDelivered = (there: readonly ProbeHop[]): boolean => there.some(isArrival);
const isArrival = (hop: ProbeHop): boolean => hop.waypoint && hop.hook === 'input' && isRouted(hop);
/** What came to the sender's end is no answer to what it asked. */
function isAnsweredElsewhere(there: readonly ProbeHop[], back: readonly ProbeHop[]): boolean {
  const [sent] = there;
  const came = back.find((hop) => hop.place === sent?.place && isArrival(hop));
  return sent !== undefined && came !== undefined && sourceOf(came.tuple) !== destinationOf(sent.tuple);
}
/** Seen by IP; a bridge has hooks of the same names. */
const isRouted = ({ table }: ProbeHop): boolean => !table.startsWith('bridge ');

function sendStep({ sent, standIn }: ProbeFacts, { to }: ProbeRequest, { from }: ProbeNames): ProbeStep {
  const what = { tcp: 'a SYN', udp: 'an empty datagram', icmp: 'an echo request' }[to.protocol];
  const who = standIn === undefined ? from : `a client at ${standIn}, made for this,`;
  return {
    kind: 'send',
    ...(sent && { from: sourceOf(sent), to: destinationOf(sent) }),
    detail: `${who} sends ${what}`,
  };
}

type PlaceName = Readonly<Record<ProbePlace, string>>;
const placeNames = ({ from, to }: ProbeNames): PlaceName => ({ from, host: 'the host', to });

/** The hops of one namespace: where it came in, what decided, what was rewritten, where it left. */
function wayThrough(hops: readonly ProbeHop[], place: PlaceName): readonly ProbeStep[] {
  const steps: ProbeStep[] = [];
  const [first] = hops;
  if (first?.iif !== undefined) {
    steps.push({ kind: 'link', to: first.iif, detail: `comes into ${place[first.place]} by ${first.iif}` });
  }
  for (const [index, hop] of hops.entries()) {
    const next = hops.slice(index + 1).find(isRouted);
    const rewritten = next === undefined ? [] : translation(hop, next.tuple);
    steps.push(...rewritten);
    if (isDrop(hop)) steps.push(dropStep(hop, place, 'dropped'));
    else if (rewritten.length === 0 && !hop.waypoint) steps.push(...acceptSteps(hop));
  }
  const left = (hop: ProbeHop): boolean => hop.waypoint && hop.hook === 'postrouting';
  // The bridge's hook knows by which of its ports.
  const out = hops.find((hop) => left(hop) && !isRouted(hop)) ?? hops.find(left);
  if (out?.oif !== undefined) {
    steps.push({ kind: 'link', from: out.oif, detail: `leaves ${place[out.place]} by ${out.oif}` });
  }
  const end = hops.find(isArrival);
  if (end !== undefined) {
    const to = destinationOf(end.tuple);
    steps.push({ kind: 'deliver', to, detail: `delivered in ${place[end.place]}, to ${to}` });
  }
  return steps;
}

/** What a chain's rule made of the packet, as the next chain sees it. */
function translation(hop: ProbeHop, after: Tuple): readonly ProbeStep[] {
  const { table, tuple: before, decision } = hop;
  if (decision?.by !== 'rule' || decision.verdict !== 'accept' || !isRouted(hop)) return [];
  const rule = { rule: ruleName(table, decision) };
  const steps: ProbeStep[] = [];
  const [from, to] = [destinationOf(before), destinationOf(after)];
  if (from !== to) steps.push({ kind: 'dnat', ...rule, from, to, detail: `${from} becomes ${to}` });
  const [source, changed] = [sourceOf(before), sourceOf(after)];
  if (source !== changed) {
    const detail = `the source ${source} becomes ${changed}`;
    steps.push({ kind: 'masquerade', ...rule, from: source, to: changed, detail });
  }
  return steps;
}

function acceptSteps({ table, hook, decision }: ProbeHop): readonly ProbeStep[] {
  if (decision?.verdict !== 'accept' || decision.by !== 'rule') return [];
  const rule = ruleName(table, decision);
  return [{ kind: 'accept', rule, detail: `let through at ${hook ?? decision.chain}` }];
}

function dropStep({ place, table, hook, decision }: ProbeHop, names: PlaceName, what: string): ProbeStep {
  return {
    kind: 'drop',
    ...(decision && { rule: ruleName(table, decision) }),
    detail: `${what} in ${names[place]} at ${hook ?? decision?.chain ?? 'a chain'}`,
  };
}

function ruleName(table: string, { rule, by, chain }: ProbeDecision): string {
  if (rule?.own && rule.comment !== undefined) return rule.comment;
  const what = by === 'policy' ? 'policy drop' : (rule?.text ?? 'a rule that is gone');
  return `${table} ${chain}: ${what}`;
}

function goodEnd({ outcome, connection }: ProbeFacts, there: readonly ProbeHop[]): ProbeStep {
  if (outcome.kind === 'answered') {
    const from = connection && sourceOf(connection.reply);
    const rewritten = connection && from !== destinationOf(connection.original);
    return {
      kind: 'answer',
      ...(from !== undefined && { from }),
      detail: rewritten ? `answered by ${from}, translated back` : 'answered',
    };
  }
  return {
    kind: 'deliver',
    detail: isDelivered(there)
      ? 'taken by a program, which does not answer an empty datagram'
      : 'left this host; a datagram is not acknowledged',
  };
}

function badEnd(
  { outcome, dropped }: ProbeFacts,
  there: readonly ProbeHop[],
  back: readonly ProbeHop[],
  cause: Cause,
): ProbeStep {
  const reasons = [...new Set(dropped.map(({ reason }) => reason))].join(', ');
  const kernel = reasons === '' ? '' : ` (the kernel says ${reasons})`;
  if (outcome.kind === 'refused') {
    const refuser = there.some(isDrop) ? 'a firewall refuses it' : 'nothing listens: refused';
    return { kind: 'refused', detail: `${refuser}${kernel}` };
  }
  if (outcome.kind === 'failed')
    return { kind: 'lost', detail: `the sender is told ${outcome.errno}${kernel}` };
  if (cause === 'answer-from-elsewhere') {
    const from = back.filter(isArrival).map(({ tuple }) => sourceOf(tuple));
    return { kind: 'lost', detail: `an answer comes from ${from[0]}, which was not asked` };
  }
  const far = cause === 'no-answer' ? 'no answer comes' : 'nothing comes back';
  return { kind: 'lost', detail: `${far}${kernel}` };
}
