import { familyOf, type Ip } from '../model/address.ts';
import type { LinkFacts } from '../model/kernel-facts.ts';
import type { Flying } from './hook.ts';
import { sendByMacvlan, sendToLan } from './lan.ts';
import { isLocal, linkOf } from './route.ts';
import { neighbourOn, segmentGap } from './segment.ts';
import type { Outcome, Sent, Trail } from './trail.ts';
import { passUnderlay } from './underlay.ts';
import type { Space, Where, World } from './world.ts';

/** Out by a device, to the neighbour that has the address `next`. */
export function transmit(trail: Trail, space: Space, link: LinkFacts, next: Ip, packet: Flying): Sent {
  if (!link.up) return trail.stop(space, { kind: 'link', link: link.name, what: 'down' });
  if (space.where.kind === 'host') {
    return link.kind === 'bridge'
      ? handOn(trail, link, undefined, link, next, packet)
      : sendToLan(trail, link, next, packet);
  }
  if (link.kind === 'macvlan') return sendByMacvlan(trail, space, link, next, packet);
  if (link.kind === 'veth') return byVeth(trail, space, link, next, packet);
  return { kind: 'leaves', link, packet };
}

function byVeth(trail: Trail, space: Space, link: LinkFacts, next: Ip, packet: Flying): Sent {
  const { host } = trail.world;
  const port = linkOf(host.facts, link.peer);
  if (port === undefined) return trail.stop(space, { kind: 'link', link: link.name, what: 'missing' });
  trail.add({ kind: 'wire', from: link.name, to: port.name, where: space.where });
  if (!port.up) return trail.stop(host, { kind: 'link', link: port.name, what: 'down' });
  const bridge = linkOf(host.facts, port.master);
  if (bridge === undefined) return trail.stop(host, { kind: 'link', link: port.name, what: 'no-port' });
  if (!bridge.up) return trail.stop(host, { kind: 'link', link: bridge.name, what: 'down' });
  trail.gap ??= segmentGap(space, link, [{ link: port, where: host.where }]);
  const framed = { ...packet, mac: link.mac, iifname: port.name, oifname: '' };
  const guard = trail.pass(host, 'prerouting', framed, undefined, true);
  if (guard.stop !== undefined) return trail.stopByRule(host, guard.stop, framed);
  if (!isHosts(trail.world, bridge, next)) return handOn(trail, bridge, port, link, next, packet);
  trail.add({ kind: 'bridge', bridge: bridge.name, from: port.name, to: bridge.name });
  const input = trail.pass(host, 'input', { ...framed, oifname: bridge.name }, undefined, true);
  if (input.stop !== undefined) return trail.stopByRule(host, input.stop, framed);
  return { kind: 'arrives', space: host, link: bridge, packet };
}

/** What another host's container sent comes out of the tunnel, which is a port of the network's bridge. */
export function arriveByTunnel(trail: Trail, tunnel: LinkFacts, away: Ip, packet: Flying): Sent {
  const { host } = trail.world;
  trail.add({ kind: 'tunnel', device: tunnel.name, host: away, to: undefined });
  const inwards = passUnderlay(trail, 'in', away);
  if (inwards !== undefined) return inwards;
  if (!tunnel.up) return trail.stop(host, { kind: 'link', link: tunnel.name, what: 'down' });
  const bridge = linkOf(host.facts, tunnel.master);
  if (bridge === undefined) return trail.stop(host, { kind: 'link', link: tunnel.name, what: 'no-port' });
  if (!bridge.up) return trail.stop(host, { kind: 'link', link: bridge.name, what: 'down' });
  const framed = { ...packet, iifname: tunnel.name, oifname: '' };
  const guard = trail.pass(host, 'prerouting', framed, undefined, true);
  if (guard.stop !== undefined) return trail.stopByRule(host, guard.stop, framed);
  return handOn(trail, bridge, tunnel, tunnel, packet.daddr, packet);
}

/** IPv4 is asked for at every device (arp(7), arp_ignore=0), IPv6 at its own alone. */
function isHosts({ host: { facts } }: World, bridge: LinkFacts, address: Ip): boolean {
  if (familyOf(address) === 'ipv4') return isLocal(facts, address) && !address.startsWith('127.');
  return facts.addresses.some((each) => each.address === address && each.link === bridge.index);
}

/**
 * A bridge gives a packet to the port behind which the address is.
 * @param port where it came in; undefined when the host itself sends. @param sender whose MTU it has
 */
function handOn(
  trail: Trail,
  bridge: LinkFacts,
  port: LinkFacts | undefined,
  sender: LinkFacts,
  next: Ip,
  given: Flying,
): Sent {
  const { world } = trail;
  const { host } = world;
  let packet = given;
  const found = neighbourOn(world, bridge, next);
  if (found.kind === 'nobody') {
    return trail.stop(host, found.broken ?? { kind: 'nobody', address: next, device: bridge.name });
  }
  if (port !== undefined) {
    if (port.isolated && found.port.isolated) {
      return trail.stop(host, { kind: 'isolated-ports', bridge: bridge.name });
    }
    const passed = passBetween(trail, bridge, port, found.port, packet);
    if ('kind' in passed) return passed;
    packet = passed;
  }
  trail.add({ kind: 'bridge', bridge: bridge.name, from: port?.name ?? bridge.name, to: found.port.name });
  if (found.kind === 'remote') {
    const { host: away, name, alive } = found.remote;
    trail.add({ kind: 'tunnel', device: found.port.name, host: away, to: name });
    const outwards = passUnderlay(trail, 'out', away);
    if (outwards !== undefined) return outwards;
    if (!alive) return trail.stop(host, { kind: 'host-away', host: away });
    // The answer has to come in again; one that is an answer itself has nothing behind it.
    const inwards = trail.back ? undefined : passUnderlay(trail, 'in', away);
    return inwards ?? { kind: 'tunnelled', link: found.port, packet };
  }
  const { space, link } = found;
  if (!found.port.up) return trail.stop(host, { kind: 'link', link: found.port.name, what: 'down' });
  if (!link.up) return trail.stop(space, { kind: 'link', link: link.name, what: 'down' });
  trail.gap ??= segmentGap({ where: port === undefined ? host.where : ownerOf(world, sender) }, sender, [
    { link: found.port, where: host.where },
    { link, where: space.where },
  ]);
  trail.add({ kind: 'wire', from: found.port.name, to: link.name, where: space.where });
  return { kind: 'arrives', space, link, packet };
}

const ownerOf = ({ sandboxes, host }: World, link: LinkFacts): Where =>
  (sandboxes.find(({ facts }) => facts.links.includes(link)) ?? host).where;

/** What is handed on between two ports: the bridge's own hooks, and with br_netfilter those of IP. */
function passBetween(
  trail: Trail,
  bridge: LinkFacts,
  from: LinkFacts,
  to: LinkFacts,
  given: Flying,
): Flying | Outcome {
  const { host } = trail.world;
  const framed = { ...given, iifname: from.name, oifname: to.name };
  const forward = trail.pass(host, 'forward', framed, undefined, true);
  if (forward.stop !== undefined) return trail.stopByRule(host, forward.stop, framed);
  if (!host.facts.settings.bridgeFirewall[familyOf(given.saddr)]) return given;
  let packet = trail.entering(host, { ...given, toHost: false });
  for (const hook of ['prerouting', 'forward', 'postrouting'] as const) {
    const iifname = hook === 'postrouting' ? '' : bridge.name;
    const oifname = hook === 'prerouting' ? '' : bridge.name;
    const passed = trail.pass(host, hook, { ...packet, iifname, oifname }, undefined);
    if (passed.stop !== undefined) return trail.stopByRule(host, passed.stop, passed.packet);
    packet = passed.packet;
    const full = hook === 'prerouting' ? trail.full(host, packet) : undefined;
    if (full !== undefined) return trail.stop(host, full);
  }
  trail.remember(host, given, packet);
  return packet;
}
