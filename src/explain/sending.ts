import { familyOf, type Ip, isAny } from '../model/address.ts';
import type { ListenerFacts, RouteFacts } from '../model/kernel-facts.ts';
import type { Flying } from './hook.ts';
import type { Flow } from './policy.ts';
import { lookUp, type Routing, sourceFor } from './route.ts';
import type { Outcome, Trail } from './trail.ts';
import type { Space } from './world.ts';

/** A packet that a program sends; without a source the route gives it one. */
export type Sending = Omit<Flying, 'saddr'> & { readonly saddr?: Ip | undefined };

/** What routes are looked up by: of what comes in, or, without a device that it comes by, of what is sent here. */
export const flowOf = ({ daddr, saddr, iifname, mark, protocol, sport, dport }: Sending): Flow => ({
  ...{ to: daddr, from: saddr, iif: iifname || 'lo', mark, protocol, sport, dport },
});

/** Whether it leads anywhere. */
export const leads = (route: RouteFacts | undefined): route is RouteFacts =>
  route !== undefined && route.kind !== 'refusing';

/** The route and the source of what a program sends, or why it is not sent. */
export function begin(
  trail: Trail,
  space: Space,
  given: Sending,
): { readonly routing: Routing; readonly route: RouteFacts; readonly saddr: Ip } | Outcome {
  const { facts } = space;
  const { daddr, protocol } = given;
  const routing = trail.route(space, flowOf(given));
  const { route } = routing;
  if (!leads(route)) return trail.noRoute(space, daddr, routing);
  const saddr = given.saddr ?? sourceFor(facts, route, daddr);
  if (saddr === undefined) return trail.stop(space, { kind: 'no-route', to: daddr });
  // Once it has a source, the kernel asks again (ip_route_connect); what sends an echo, or IPv6, asks once.
  const again = given.saddr === undefined && ['tcp', 'udp'].includes(protocol) && familyOf(daddr) === 'ipv4';
  if (!again) return { routing, route, saddr };
  const sourced = lookUp(facts, flowOf({ ...given, saddr }));
  return leads(sourced.route)
    ? { routing: sourced, route: sourced.route, saddr }
    : trail.noRoute(space, daddr, sourced);
}

/** A datagram socket for every address answers from the one that the route back has, whichever was asked (ip(7)). */
export function answersFrom(
  { facts }: Space,
  { protocol, saddr, daddr }: Flying,
  listener: ListenerFacts | undefined,
): Ip {
  if (protocol !== 'udp' || listener === undefined || !isAny(listener.address)) return daddr;
  const { route } = lookUp(facts, { to: saddr, iif: 'lo', protocol });
  return (route && sourceFor(facts, route, saddr)) ?? daddr;
}
