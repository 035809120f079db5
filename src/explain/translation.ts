import type { Ip } from '../model/address.ts';
import type { Decision } from './foreign/rule.ts';
import type { Flying, HookOptions } from './hook.ts';
import type { RuleRef } from './hop.ts';
import type { Effect } from './packet.ts';

/** Undefined: there is no address to translate to. */
export function translate(
  options: HookOptions,
  packet: Flying,
  effect: Effect | Decision,
): Flying | undefined {
  if (effect.kind === 'masquerade') {
    const saddr = options.masquerade();
    return saddr === undefined ? undefined : { ...packet, saddr };
  }
  if ('to' in effect) return translateForeign(options, packet, effect.kind, effect.to);
  if (effect.kind === 'dnat' && 'address' in effect) {
    return { ...packet, daddr: effect.address, dport: effect.port ?? packet.dport, dnat: true };
  }
  if (effect.kind === 'snat' && 'address' in effect) return { ...packet, saddr: effect.address };
  return packet;
}

/** `10.0.0.2:8080`, `:8080`, `[fd00::2]:80`, `10.0.0.2`. */
function translateForeign(
  options: HookOptions,
  packet: Flying,
  kind: string,
  to: string,
): Flying | undefined {
  const [, inBrackets, plain, port] =
    /^(?:\[([\da-f:]+)\]|([\d.]+|[\da-f:]*:[\da-f:]+(?!:\d)))?(?::(\d+))?$/.exec(to) ?? [];
  const address = (inBrackets ?? plain) as Ip | undefined;
  const dport = port === undefined ? packet.dport : Number(port);
  if (kind === 'snat') return address === undefined ? packet : { ...packet, saddr: address };
  const daddr = address ?? (kind === 'redirect' ? options.masquerade() : packet.daddr);
  return daddr === undefined ? undefined : { ...packet, daddr, dport, dnat: true };
}

export function pushNat(
  options: HookOptions,
  before: Flying,
  after: Flying,
  rule: RuleRef | undefined,
): void {
  const { where } = options.space;
  if (before.daddr !== after.daddr || before.dport !== after.dport) {
    options.hops.push({
      kind: 'nat',
      where,
      side: 'destination',
      rule,
      before: { address: before.daddr, port: before.dport || undefined },
      after: { address: after.daddr, port: after.dport || undefined },
    });
  }
  if (before.saddr !== after.saddr) {
    options.hops.push({
      kind: 'nat',
      where,
      side: 'source',
      rule,
      before: { address: before.saddr, port: before.sport || undefined },
      after: { address: after.saddr, port: after.sport || undefined },
    });
  }
}
