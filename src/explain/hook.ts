import { familyOf, type Ip } from '../model/address.ts';
import { PRIORITIES } from '../plan/rule.ts';
import { ABSENT, type Changes, judge, type Lookup, type Undecided } from './foreign/evaluate.ts';
import type { Decision } from './foreign/rule.ts';
import type { Hop, RuleRef } from './hop.ts';
import { type Effect, type Hook, type Packet, passChain } from './packet.ts';
import type { Leg } from './tracking.ts';
import { pushNat, translate } from './translation.ts';
import type { Space, World } from './world.ts';

/** A packet on its way; `dport` is 0 where it is the asker's own, that nobody knows. */
export interface Flying extends Packet {
  /** 0 where it is not known. */
  readonly sport: number;
  /** NAT of this namespace is settled for the connection: it passed here a moment ago, by `lo`. */
  readonly settled?: boolean;
}

export interface Passage {
  readonly packet: Flying;
  /** A mark was set where the kernel looks for the route anew. */
  readonly reroute?: boolean;
  /** Of somebody else, that left it untracked. */
  readonly untracked?: RuleRef | undefined;
  readonly stop?: { readonly rule: RuleRef; readonly verdict: 'drop' | 'reject'; readonly hook: string };
}

export interface HookOptions {
  readonly world: World;
  readonly space: Space;
  readonly hook: Hook | 'input';
  readonly bridge?: boolean;
  readonly hops: Hop[];
  /** The address that masquerading gives. */
  readonly masquerade: () => Ip | undefined;
  /** What connection tracking does with an answer at this hook. */
  readonly restore: (packet: Flying) => Flying;
  /** Strict reverse path: what a rule with `fib saddr . iif` asks. */
  readonly returns: () => boolean;
  /** To routing, in this namespace. */
  readonly addressType: (address: Ip) => 'local' | 'unicast';
  readonly leg: Leg;
}

/** netfilter's NAT at this hook: source at the two last ones, destination at the first ones (linux/netfilter_ipv4.h). */
const NAT_PRIORITY: Readonly<Record<HookOptions['hook'], number>> = {
  prerouting: PRIORITIES.dstnat,
  output: PRIORITIES.dstnat,
  forward: Number.NaN,
  input: PRIORITIES.srcnat,
  postrouting: PRIORITIES.srcnat,
};

/** NF_IP_PRI_CONNTRACK: what is to stay untracked has to be marked so before. */
const CONNTRACK = -200;

interface Link {
  readonly priority: number;
  readonly type: string;
  readonly pass: (packet: Flying) => {
    readonly effect: Effect | Decision | undefined;
    readonly rule: RuleRef;
    readonly changes?: Omit<Changes, 'untracked'> & { readonly untracked?: RuleRef };
  };
}

/** All chains at one hook of a namespace, ours and others', in their order; a drop ends it, an accept its own chain only. */
export function passAll(options: HookOptions, given: Flying): Passage {
  const links = chainsAt(options, given);
  let packet = given;
  let restored = packet.state !== 'established';
  const settle = (): void => {
    if (restored) return;
    packet = options.restore(packet);
    restored = true;
  };
  let reroute = false;
  let untrackedBy: RuleRef | undefined;
  let rival: { readonly priority: number; readonly packet: Flying } | undefined;
  let translated = packet.settled === true;
  for (const link of links) {
    if (link.priority >= NAT_PRIORITY[options.hook]) settle();
    if (link.type === 'nat' && (packet.state !== 'new' || translated)) {
      // Of two at one priority the kernel asks the younger one first, and nothing tells which that is.
      if (rival !== undefined && rival.priority === link.priority) noteRival(options, link, rival.packet);
      continue;
    }
    const { effect, rule, changes = {} } = link.pass(packet);
    const { mark, untracked } = changes;
    if (mark !== undefined && mark !== (packet.mark ?? 0)) {
      packet = { ...packet, mark };
      reroute ||= link.type === 'route';
    }
    if (untracked !== undefined && link.priority < CONNTRACK) {
      untrackedBy ??= untracked;
      packet = { ...packet, state: 'untracked' };
      restored = true;
    }
    if (effect === undefined) continue;
    const { where } = options.space;
    switch (effect.kind) {
      case 'accept':
        if (link.type !== 'nat')
          options.hops.push({ kind: 'rule', where, verdict: 'accept', hook: options.hook, rule });
        break;
      case 'notrack':
        packet = { ...packet, state: 'untracked' };
        restored = true;
        break;
      case 'drop':
      case 'reject':
        options.hops.push({ kind: 'rule', where, verdict: effect.kind, hook: options.hook, rule });
        return { packet, stop: { rule, verdict: effect.kind, hook: options.hook } };
      default: {
        const next = translate(options, packet, effect);
        if (next === undefined) return { packet, stop: { rule, verdict: 'drop', hook: options.hook } };
        translated = true;
        rival = { priority: link.priority, packet };
        pushNat(options, packet, next, rule);
        packet = next;
      }
    }
  }
  settle();
  return { packet, reroute, untracked: untrackedBy };
}

/** Another's rule that would translate what has been translated by one of the same priority. */
function noteRival(options: HookOptions, link: Link, packet: Flying): void {
  const { effect, rule } = link.pass(packet);
  if (rule.by !== 'other' || effect === undefined || effect.kind === 'accept') return;
  options.hops.push({ kind: 'undecided', where: options.space.where, rule });
}

function chainsAt(options: HookOptions, packet: Flying): readonly Link[] {
  const { world, space, hook, hops } = options;
  const family = options.bridge ? 'bridge' : familyOf(packet.saddr) === 'ipv4' ? 'ip' : 'ip6';
  const links: Link[] = [];
  const own = space.where.kind === 'host' ? world.own[family] : undefined;
  for (const chain of own?.ruleset.chains ?? []) {
    if (own === undefined || chain.base?.hook !== hook) continue;
    links.push({
      priority: PRIORITIES[chain.base.priority],
      type: chain.base.type,
      pass: (seen) => {
        const effect = passChain(own.ruleset, own.elements, chain, seen);
        return { effect, rule: { by: 'engine', id: effect?.rule ?? '' } };
      },
    });
  }
  for (const table of space.foreign) {
    const fits = table.family === family || (table.family === 'inet' && family !== 'bridge');
    if (!fits) continue;
    for (const chain of table.chains) {
      if (chain.base?.hook !== hook) continue;
      const { tool } = table;
      const place =
        tool === undefined ? { table: `${table.family} ${table.name}` } : { table: table.name, tool };
      links.push({
        priority: chain.base.priority,
        type: chain.base.type,
        pass: (seen) => {
          const undecided: Undecided[] = [];
          const changes: Changes = {};
          const judgement = judge(
            table,
            chain,
            lookup(options, seen, chain.base?.priority ?? 0),
            undecided,
            changes,
          );
          for (const each of undecided) {
            const rule: RuleRef = {
              by: 'other',
              ...place,
              chain: each.chain,
              base: chain.name,
              rule: each.rule,
            };
            hops.push({ kind: 'undecided', where: space.where, rule });
          }
          const { verdict } = judgement;
          const { untrackedBy } = changes;
          const untracked: RuleRef | undefined = untrackedBy && {
            by: 'other',
            ...place,
            base: chain.name,
            ...untrackedBy,
          };
          return {
            changes: {
              ...(changes.mark !== undefined && { mark: changes.mark }),
              ...(untracked && { untracked }),
            },
            effect: verdict.kind === 'none' ? undefined : verdict,
            rule: {
              by: 'other',
              ...place,
              chain: judgement.chain,
              base: chain.name,
              rule: judgement.rule,
            },
          };
        },
      });
    }
  }
  return links.sort((a, b) => a.priority - b.priority);
}

/** What foreign rules ask of the packet; marks of connections are 0. */
function lookup(options: HookOptions, packet: Flying, priority: number): Lookup {
  const port = (value: number): string | undefined => (value === 0 ? undefined : String(value));
  const early = priority < CONNTRACK && TRACKING.includes(options.hook) && packet.settled !== true;
  const state = early && packet.state !== 'untracked' ? 'invalid' : packet.state;
  // Of no connection there is nothing to compare.
  const ofConnection = (value: string): string =>
    state === 'invalid' || state === 'untracked' ? ABSENT : value;
  return (field) => {
    switch (field) {
      case 'nfproto':
        return familyOf(packet.saddr);
      case 'l4proto':
        return packet.protocol;
      case 'iifname':
      case 'oifname':
      case 'saddr':
      case 'daddr':
        return packet[field];
      case 'sport':
        return port(packet.sport);
      case 'dport':
        return port(packet.dport);
      case 'mark':
        return packet.mark === 'unknown' ? undefined : String(packet.mark ?? 0);
      case 'ct mark':
        return ofConnection('0');
      case 'tcp flags':
        return FLAGS[options.leg];
      case 'ct state':
        return state;
      case 'ct status':
        return ofConnection(packet.dnat ? 'dnat' : 'confirmed');
      case 'ct direction':
        return ofConnection(options.leg === 'answer' && state !== 'new' ? 'reply' : 'original');
      case 'fib daddr type':
      case 'fib daddr . iif type':
        return options.addressType(packet.daddr);
      case 'fib saddr type':
        return options.addressType(packet.saddr);
      case 'fib saddr . iif oif':
      case 'fib saddr . mark . iif oif':
        return options.returns() ? 'exists' : 'missing';
      case 'ether saddr':
        return packet.mac;
      case 'echo':
        return options.leg === 'ask' ? 'echo-request' : 'echo-reply';
      default:
        return undefined;
    }
  };
}

/** Where connection tracking begins. */
const TRACKING: readonly string[] = ['prerouting', 'output'];

const FLAGS: Readonly<Record<Leg, string>> = { ask: 'syn', answer: 'syn-ack', rest: 'ack' };
