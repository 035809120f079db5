import { familyOf } from '../model/address.ts';
import type { LinkFacts, NamespaceFacts } from '../model/kernel-facts.ts';
import type { Flying } from './hook.ts';
import type { Reason } from './hop.ts';
import type { Flow } from './policy.ts';
import { isLocal, lookUp } from './route.ts';

const STRICT = 1;

/** The way back to where a packet says it comes from, as reverse path filters ask for it. @param iif whence that would come */
export const reverse = ({ saddr, daddr, protocol, sport, dport }: Flying, iif = 'lo'): Flow => ({
  ...{ to: saddr, from: daddr, iif, protocol, sport, dport },
});

/** What the kernel asks of a packet that comes in, between the firewall and the route (ip-sysctl, rp_filter, route_localnet). @param out by which it would go on; `lo`: nowhere */
export function reasonAtDoor(
  facts: NamespaceFacts,
  by: LinkFacts,
  packet: Flying,
  out: string,
): Reason | undefined {
  if (by.name === 'lo') return undefined;
  return familyOf(packet.saddr) === 'ipv4' ? ofIpv4(facts, by, packet, out) : ofIpv6(facts, by, packet);
}

function ofIpv4(facts: NamespaceFacts, by: LinkFacts, packet: Flying, out: string): Reason | undefined {
  const { saddr, daddr } = packet;
  const device = by.name;
  for (const address of [daddr, saddr]) {
    if (address.startsWith('127.') && facts.settings.routeLocalnet[device] !== true) {
      return { kind: 'martian', device, address };
    }
  }
  if (isLocal(facts, saddr)) return { kind: 'martian', device, address: saddr };
  const mode = facts.settings.rpFilter[device] ?? 0;
  if (mode === 0) return undefined;
  const back = lookUp(facts, reverse(packet, out)).route;
  const right = back !== undefined && back.kind !== 'refusing' && (mode !== STRICT || back.link === by.index);
  return right ? undefined : { kind: 'rp-filter', device, source: saddr };
}

function ofIpv6(facts: NamespaceFacts, by: LinkFacts, { saddr, daddr }: Flying): Reason | undefined {
  const device = by.name;
  if (saddr === '::1') return { kind: 'martian', device, address: saddr };
  if (daddr !== '::1') return undefined;
  // The kernel takes what a bridge shows it for ::1 only where br_netfilter has not translated it already.
  if (by.kind === 'bridge' && facts.settings.bridgeFirewall.ipv6) return { kind: 'bridge-firewall' };
  const here = facts.routes.some(
    ({ to, kind, link }) => to?.address === '::1' && kind === 'local' && link === by.index,
  );
  return here ? undefined : { kind: 'martian', device, address: daddr };
}
