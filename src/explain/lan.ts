import type { Ip } from '../model/address.ts';
import type { LinkFacts } from '../model/kernel-facts.ts';
import type { Flying } from './hook.ts';
import { isLocal, linkOf } from './route.ts';
import type { Outcome, Sent, Trail } from './trail.ts';
import type { Space, World } from './world.ts';

/** The network of an interface of the host, on which containers are by a macvlan (drivers/net/macvlan.c). */

/** A container sends by its macvlan, to the neighbour that has the address `next`. */
export function sendByMacvlan(trail: Trail, space: Space, link: LinkFacts, next: Ip, packet: Flying): Sent {
  const { host } = trail.world;
  const parent = linkOf(host.facts, link.peer);
  if (parent === undefined) return trail.stop(space, { kind: 'link', link: link.name, what: 'missing' });
  trail.add({ kind: 'wire', from: link.name, to: parent.name, where: space.where });
  const dead = deadParent(trail, parent);
  if (dead !== undefined) return dead;
  const other = macvlanWith(trail.world, parent.index, next);
  if (other !== undefined && other.space !== space) {
    // The kernel hands on between those in bridge mode alone; what others send each other goes out by the wire.
    const apart = [link, other.link].find(({ macvlan }) => macvlan !== 'bridge');
    if (apart !== undefined)
      return trail.stop(host, {
        kind: 'macvlan-apart',
        parent: parent.name,
        mode: apart.macvlan ?? 'private',
      });
    return arrive(trail, other, packet);
  }
  if (isLocal(host.facts, next)) return trail.stop(host, { kind: 'macvlan-host' });
  return { kind: 'leaves', link: parent, packet };
}

/** The host sends by an interface of its own. */
export function sendToLan(trail: Trail, link: LinkFacts, next: Ip, packet: Flying): Sent {
  const { host } = trail.world;
  return macvlanWith(trail.world, link.index, next) === undefined
    ? { kind: 'leaves', link, packet }
    : trail.stop(host, { kind: 'macvlan-host' });
}

/** What comes in by an interface of the host for a container that is on its network; undefined: it is for none. */
export function arriveFromLan(trail: Trail, parent: LinkFacts, packet: Flying): Sent | undefined {
  const found = macvlanWith(trail.world, parent.index, packet.daddr);
  if (found === undefined) return undefined;
  const dead = deadParent(trail, parent);
  if (dead !== undefined) return dead;
  trail.add({ kind: 'wire', from: parent.name, to: found.link.name, where: found.space.where });
  return arrive(trail, found, packet);
}

function arrive(trail: Trail, { space, link }: Member, packet: Flying): Sent {
  if (!link.up) return trail.stop(space, { kind: 'link', link: link.name, what: 'down' });
  return { kind: 'arrives', space, link, packet };
}

/** A macvlan has no carrier where its parent has none. */
function deadParent(trail: Trail, { up, carrier, name }: LinkFacts): Outcome | undefined {
  if (up && carrier) return undefined;
  return trail.stop(trail.world.host, { kind: 'link', link: name, what: up ? 'no-carrier' : 'down' });
}

interface Member {
  readonly space: Space;
  readonly link: LinkFacts;
}

/** The container that has an address on the network of an interface of the host. */
function macvlanWith({ sandboxes }: World, parent: number, address: Ip): Member | undefined {
  for (const space of sandboxes) {
    const at = space.facts.addresses.find((each) => each.address === address);
    const link = at && linkOf(space.facts, at.link);
    if (link?.kind === 'macvlan' && link.peer === parent) return { space, link };
  }
  return undefined;
}
