import { contains, type Ip, isIpv4, type Prefix } from '../model/address.ts';
import type { Protocol } from '../model/port.ts';
import type { ElementResource } from '../plan/resource.ts';
import type { Chain, Field, Match, Rule, Ruleset, SetName, TableFamily } from '../plan/rule.ts';

/** The first packet of a connection, as a rule sees it at one hook. */
export interface Packet {
  readonly iifname: string;
  readonly oifname: string;
  readonly saddr: Ip;
  readonly daddr: Ip;
  /** 0 without ports. */
  readonly dport: number;
  readonly protocol: PacketProtocol;
  /** The destination address is one of the host's own. */
  readonly toHost: boolean;
  /** `invalid`: of no connection that its namespace knows. */
  readonly state: 'new' | 'established' | 'untracked' | 'invalid';
  /** Its destination was rewritten by an earlier hook. */
  readonly dnat: boolean;
  /** What rules set; absent is 0. */
  readonly mark?: number | 'unknown';
  /** Of the frame it is in, where a bridge looks at it. */
  readonly mac?: string;
}

/** Without a port asked, what ping sends. */
export type PacketProtocol = Protocol | 'icmp' | 'ipv6-icmp';

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

interface Covering {
  readonly parts: readonly string[];
  readonly value: string;
}

/** The elements of the ruleset's sets and maps, to be looked up as the kernel does. */
export class Elements {
  readonly #exact = new Map<string, string>();
  /** Prefixes and ranges, by set. */
  readonly #covering = new Map<string, Covering[]>();

  /** Those of one table; elements of others are left out. */
  constructor(family: TableFamily, elements: readonly ElementResource[]) {
    for (const { table, set, key, value = '' } of elements) {
      if (table !== family) continue;
      const parts = split(key);
      if (!parts.some(isCovering)) {
        this.#exact.set(keyOf(set, parts), value);
        continue;
      }
      const list = this.#covering.get(set) ?? [];
      list.push({ parts, value });
      this.#covering.set(set, list);
    }
  }

  /** The element's data, empty for a set; undefined when nothing matches. */
  find(set: SetName, key: readonly string[]): readonly string[] | undefined {
    const found =
      this.#exact.get(keyOf(set, key)) ??
      this.#covering
        .get(set)
        ?.find(
          ({ parts }) => parts.length === key.length && parts.every((part, i) => covers(part, key[i] ?? '')),
        )?.value;
    return found === undefined ? undefined : split(found);
  }
}

const keyOf = (set: string, parts: readonly string[]): string => [set, ...parts].join(' ');
const isCovering = (part: string): boolean => part.includes('/') || RANGE.test(part);
const RANGE = /^(\d+)-(\d+)$/;

const split = (text: string): readonly string[] =>
  text === '' ? [] : text.split(' . ').map((part) => part.replace(/^"(.*)"$/, '$1'));

/** A part of a key is a value, a prefix or a range of ports. */
function covers(part: string, value: string): boolean {
  if (part === value) return true;
  const prefix = /^([\da-f.:]+)\/(\d+)$/.exec(part);
  if (prefix !== null) {
    return contains({ address: prefix[1], length: Number(prefix[2]) } as Prefix, value as Ip);
  }
  const range = RANGE.exec(part);
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

/** One chain and those it jumps to. @returns undefined when no rule decides */
export function passChain(
  ruleset: Ruleset,
  elements: Elements,
  chain: Chain,
  packet: Packet,
): Effect | undefined {
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
      const key = fieldValues(verdict.fields, packet);
      const [address, port] = (key && elements.find(verdict.map, key)) ?? [];
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
  if (match.kind === 'mark') {
    const { mark = 0 } = packet;
    return mark !== 'unknown' && (mark & match.mask) >>> 0 === match.mark;
  }
  if (match.kind === 'lookup') {
    const key = fieldValues(match.fields, packet);
    return key !== undefined && (elements.find(match.set, key) !== undefined) !== (match.not ?? false);
  }
  const value = fieldValue(match.field, packet);
  if (value === undefined) return false;
  return match.words.some((word) => covers(word, value)) !== (match.not ?? false);
}

/** Undefined when the packet lacks one of them: nft leaves the rule then, whatever it compares with. */
function fieldValues(fields: readonly Field[], packet: Packet): readonly string[] | undefined {
  const values = fields.map((field) => fieldValue(field, packet));
  return values.every((value) => value !== undefined) ? values : undefined;
}

function fieldValue(field: Field, packet: Packet): string | undefined {
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
      return packet.mac;
    case 'ip-saddr':
      return isIpv4(packet.saddr) ? packet.saddr : undefined;
    case 'ip6-saddr':
      return isIpv4(packet.saddr) ? undefined : packet.saddr;
    case 'arp-saddr':
    case 'nd-target':
    case 'icmpv6-type':
      return undefined;
  }
}
