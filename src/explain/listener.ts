import { familyOf, isAny } from '../model/address.ts';
import type { LinkFacts, ListenerFacts, NamespaceFacts } from '../model/kernel-facts.ts';
import type { Protocol } from '../model/port.ts';
import type { Flying } from './hook.ts';

/** The socket that takes the packet: one bound to the very address before one for all (ip(7), ipv6(7)). */
export function listenerFor(
  facts: NamespaceFacts,
  by: LinkFacts,
  protocol: Protocol,
  { daddr, dport }: Pick<Flying, 'daddr' | 'dport'>,
): ListenerFacts | undefined {
  const family = familyOf(daddr);
  const fitting = facts.listeners.filter(({ address, link, v6only, ...listener }) => {
    if (listener.protocol !== protocol || listener.port !== dport) return false;
    if (link !== 0 && link !== by.index) return false;
    if (address === daddr) return true;
    // An IPv6 socket may be bound to an IPv4 address (RFC 4291 §2.5.5.2).
    if (address === `::ffff:${daddr}`) return !v6only;
    return isAny(address) && (familyOf(address) === family || (family === 'ipv4' && !v6only));
  });
  return fitting.find(({ address }) => !isAny(address)) ?? fitting[0];
}
