import { contains, type Ip, type Prefix } from '../model/address.ts';
import type { Protocol } from '../model/port.ts';
import type { ElementResource } from '../plan/resource.ts';
import type { Chain, Field, Match, Rule, Ruleset, SetName, TableFamily } from '../plan/rule.ts';

/** The first packet of a connection, as a rule sees it at one hook. */
export interface Packet {
  readonly iifname: string;
  readonly oifname: string;
  readonly saddr: Ip;
  readonly daddr: Ip;
  readonly dport: number;
  readonly protocol: Protocol;
  /** The destination address is one of the host's own. */
  readonly toHost: boolean;
  readonly state: 'new' | 'established' | 'untracked';
  /** Its destination was rewritten by an earlier hook. */
  readonly dnat: boolean;
}

export type Hook = NonNullable<Chain['base']>['hook'];

/** What one rule did with the packet; a rule that did not match does nothing. */
export type Effect =
  | { readonly kind: 'accept' | 'drop' | 'masquerade' | 'notrack'; readonly rule: string }
  | {
      readonly kind: 'dnat' | 'snat';
      readonly rule: string;
      readonly address: Ip;
      /** Absent: the port stays. */
      readonly port?: number;
    };

/** The elements of the ruleset's sets and maps, to be looked up as the kernel does. */
export class Elements {
  readonly #bySet = new Map<string, { readonly parts: readonly string[]; readonly value?: string }[]>();

  /** Those of one table; elements of others are left out. */
  constructor(family: TableFamily, elements: readonly ElementResource[]) {
    for (const { table, set, key, value } of elements) {
      if (table !== family) continue;
      const list = this.#bySet.get(set) ?? [];
      list.push({ parts: split(key), ...(value === undefined ? {} : { value }) });
      this.#bySet.set(set, list);
    }
  }

  /** The element's data, empty for a set; undefined when nothing matches. */
  find(set: SetName, key: readonly string[]): readonly string[] | undefined {
    const found = this.#bySet
      .get(set)
      ?.find(({ parts }) => parts.length === key.length && parts.every((part, i) => covers(part, key[i])));
    return found === undefined ? undefined : split(found.value ?? '');
  }
}

const split = (text: string): readonly string[] =>
  text === '' ? [] : text.split(' . ').map((part) => part.replace(/^"(.*)"$/, '$1'));

/** A part of a key is a value, a prefix or a range of ports. */
function covers(part: string, value: string | undefined): boolean {
  if (value === undefined) return false;
  if (part === value) return true;
  const prefix = /^([\da-f.:]+)\/(\d+)$/.exec(part);
  if (prefix !== null) {
    return contains({ address: prefix[1], length: Number(prefix[2]) } as Prefix, value as Ip);
  }
  const range = /^(\d+)-(\d+)$/.exec(part);
  return range !== null && Number(range[1]) <= Number(value) && Number(value) <= Number(range[2]);
}

/**
 * Sends the packet through the chains of one hook in their order of priority, as netfilter does: an `accept` ends its
 * chain only, a `drop` ends everything, a NAT verdict ends its chain and shows in what the later chains see.
 */
export function passHook(
  ruleset: Ruleset,
  elements: Elements,
  hook: Hook,
  packet: Packet,
): readonly Effect[] {
  const effects: Effect[] = [];
  let seen = packet;
  for (const chain of ruleset.chains.filter((candidate) => candidate.base?.hook === hook)) {
    // Connection tracking rewrites what follows the first packet by itself, and nothing that it does not track.
    if (chain.base?.type === 'nat' && seen.state !== 'new') continue;
    const effect = passChain(ruleset, elements, chain, seen);
    if (effect === undefined) continue;
    effects.push(effect);
    if (effect.kind === 'drop') break;
    if (effect.kind === 'notrack') seen = { ...seen, state: 'untracked' };
    if (effect.kind === 'dnat')
      seen = { ...seen, daddr: effect.address, dport: effect.port ?? seen.dport, dnat: true };
  }
  return effects;
}

function passChain(ruleset: Ruleset, elements: Elements, chain: Chain, packet: Packet): Effect | undefined {
  for (const rule of chain.rules) {
    if (!rule.matches.every((match) => matches(match, elements, packet))) continue;
    const effect = carryOut(ruleset, elements, rule, packet);
    if (effect !== undefined) return effect;
  }
  return undefined;
}

function carryOut(ruleset: Ruleset, elements: Elements, rule: Rule, packet: Packet): Effect | undefined {
  const { verdict } = rule;
  switch (verdict.kind) {
    case 'accept':
    case 'drop':
    case 'masquerade':
    case 'notrack':
      return { kind: verdict.kind, rule: rule.id };
    case 'jump': {
      const target = ruleset.chains.find((chain) => chain.name === verdict.chain);
      return target === undefined ? undefined : passChain(ruleset, elements, target, packet);
    }
    case 'dnat':
    case 'snat': {
      const [address, port] = elements.find(verdict.map, fieldValues(verdict.fields, packet)) ?? [];
      if (address === undefined) return undefined;
      return {
        kind: verdict.kind,
        rule: rule.id,
        address: address as Ip,
        ...(port === undefined ? {} : { port: Number(port) }),
      };
    }
  }
}

function matches(match: Match, elements: Elements, packet: Packet): boolean {
  // What is explained carries no mark.
  if (match.kind === 'mark') return match.mark === 0;
  const hit =
    match.kind === 'lookup'
      ? elements.find(match.set, fieldValues(match.fields, packet)) !== undefined
      : match.words.some((word) => covers(word, fieldValue(match.field, packet)));
  return hit !== (match.not ?? false);
}

const fieldValues = (fields: readonly Field[], packet: Packet): readonly string[] =>
  fields.map((field) => fieldValue(field, packet));

function fieldValue(field: Field, packet: Packet): string {
  switch (field) {
    case 'iifname':
    case 'oifname':
    case 'saddr':
    case 'daddr':
      return packet[field];
    case 'dport':
      return String(packet.dport);
    case 'l4proto':
      return packet.protocol;
    case 'daddr-type':
      return packet.toHost ? 'local' : 'unicast';
    case 'ct-state':
      return packet.state;
    case 'ct-status':
      return packet.dnat ? 'dnat' : 'confirmed';
    case 'ether-saddr':
    case 'arp-saddr':
    case 'ip-saddr':
    case 'ip6-saddr':
    case 'nd-target':
    case 'icmpv6-type':
      throw new Error(`${field} is no field of a routed packet`);
  }
}
