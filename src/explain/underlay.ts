import type { Ip } from '../model/address.ts';
import type { Flying } from './hook.ts';
import type { Flow } from './policy.ts';
import { linkOf, sourceFor } from './route.ts';
import type { Outcome, Trail } from './trail.ts';

/** RFC 7348 §5. */
const VXLAN_PORT = 4789;
/** The kernel takes it from a hash of what is inside. */
const UNKNOWN_PORT = 0;

/**
 * The packet around the packet, between this host and another: the host's own rules are asked about it too. Each
 * direction is a connection of its own, for the port it comes from is no answer's.
 * @returns what stopped it; undefined when it passes
 */
export function passUnderlay(trail: Trail, direction: 'out' | 'in', away: Ip): Outcome | undefined {
  const { host } = trail.world;
  const flow: Flow = { to: away, iif: 'lo', protocol: 'udp', sport: UNKNOWN_PORT, dport: VXLAN_PORT };
  const routing = trail.route(host, flow);
  const { route } = routing;
  if (route === undefined || route.kind === 'refusing') return trail.noRoute(host, away, routing);
  const own = sourceFor(host.facts, route, away);
  const link = linkOf(host.facts, route.link);
  if (own === undefined || link === undefined)
    return trail.noRoute(host, away, { route: undefined, rule: routing.rule });
  const outwards = direction === 'out';
  if (outwards && !link.up) return trail.stop(host, { kind: 'link', link: link.name, what: 'down' });
  const packet: Flying = {
    iifname: outwards ? '' : link.name,
    oifname: outwards ? link.name : '',
    saddr: outwards ? own : away,
    daddr: outwards ? away : own,
    sport: UNKNOWN_PORT,
    dport: VXLAN_PORT,
    protocol: 'udp',
    toHost: !outwards,
    state: 'new',
    dnat: false,
  };
  const hooks = outwards ? (['output', 'postrouting'] as const) : (['prerouting', 'input'] as const);
  for (const hook of hooks) {
    const { stop } = trail.pass(host, hook, packet, outwards ? route : undefined);
    if (stop === undefined) continue;
    return trail.stopByRule(host, stop, packet);
  }
  return undefined;
}
