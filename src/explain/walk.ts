import { familyOf, type Ip } from '../model/address.ts';
import type { LinkFacts, RouteFacts } from '../model/kernel-facts.ts';
import type { Protocol } from '../model/port.ts';
import type { Flying } from './hook.ts';
import type { End } from './hop.ts';
import { arriveFromLan } from './lan.ts';
import { listenerFor } from './listener.ts';
import { reasonAtDoor } from './reverse-path.ts';
import { isLocal, linkNamed, linkOf, type Routing } from './route.ts';
import { answersFrom, begin, flowOf, leads, type Sending } from './sending.ts';
import { type Outcome, type Sent, Trail } from './trail.ts';
import type { Question, Way } from './way.ts';
import { arriveByTunnel, transmit } from './wire.ts';
import type { Space, Where, World } from './world.ts';

/** Longer ways are a loop. */
const MOST_HOPS = 24;

/**
 * The way of a connection's first packet from one network namespace to another, of its answer, and of what TCP sends after
 * that, as this kernel would take it: routes, rules of ours and of others by their priorities, NAT, bridges, the listener.
 */
export function walk(world: World, question: Question): Way {
  const trail = new Trail(world);
  const walker = new Walker(trail, question);
  const first = walker.begin();
  const outcome = first.kind === 'answered' && question.protocol === 'tcp' ? walker.goOn() : first;
  return { outcome, hops: trail.hops, gap: trail.gap };
}

class Walker {
  readonly #trail: Trail;
  readonly #question: Question;
  /** What the asker sent, to know the answer by. */
  #asked: Flying | undefined;
  #passed = 0;

  constructor(trail: Trail, question: Question) {
    this.#trail = trail;
    this.#question = question;
  }

  begin(): Outcome {
    const { from, to, protocol } = this.#question;
    this.#passed = 0;
    const packet: Omit<Flying, 'saddr'> = {
      iifname: '',
      oifname: '',
      daddr: to.address,
      sport: 0,
      dport: to.port ?? 0,
      protocol,
      toHost: false,
      state: 'new',
      dnat: false,
    };
    if (from.kind === 'inside') return this.#leave(from.space, { ...packet, saddr: this.#asked?.saddr });
    const { address, device, space } = from;
    const flying: Flying = { ...packet, saddr: address };
    this.#send(space, flying);
    const { host } = this.#trail.world;
    const link = linkNamed(host.facts, device);
    if (link === undefined) return this.#trail.stop(host, { kind: 'link', link: device, what: 'missing' });
    if (from.kind === 'elsewhere') return this.#go(arriveByTunnel(this.#trail, link, from.host, flying));
    const near = arriveFromLan(this.#trail, link, flying);
    return near === undefined ? this.#receive(host, link, flying) : this.#go(near);
  }

  /** The answer has come: the asker's next packet, by the way of the first. What it passes is not told, what stops it is. */
  goOn(): Outcome {
    const trail = this.#trail;
    const { hops } = trail;
    trail.leg = 'rest';
    const told = hops.length;
    const outcome = this.begin();
    if (outcome.kind !== 'stopped') hops.length = told;
    return outcome;
  }

  /** A program of the namespace sends. */
  #leave(space: Space, given: Sending): Outcome {
    const { facts } = space;
    const begun = begin(this.#trail, space, given);
    if ('kind' in begun) return begun;
    let { routing, route } = begun;
    const { saddr } = begun;
    const oifname = this.#deviceOf(space, route);
    const first = this.#trail.entering(space, { ...given, saddr, oifname, toHost: route.kind === 'local' });
    if (!this.#trail.back) this.#send(space, first);
    const full = this.#trail.full(space, first);
    if (full !== undefined) return this.#trail.stop(space, full);
    const { packet, stop, reroute } = this.#trail.pass(space, 'output', first, route);
    if (stop !== undefined) return this.#trail.stopByRule(space, stop, packet);
    if (packet.daddr !== first.daddr || reroute) {
      // ip_route_me_harder: by addresses and mark alone.
      routing = this.#trail.route(space, { to: packet.daddr, from: saddr, iif: 'lo', mark: packet.mark });
      if (!leads(routing.route)) return this.#trail.noRoute(space, packet.daddr, routing);
      route = routing.route;
    }
    const device = this.#deviceOf(space, route);
    if (route.kind === 'local') {
      const by = linkNamed(facts, 'lo');
      if (by === undefined || !by.up)
        return this.#trail.stop(space, { kind: 'link', link: 'lo', what: 'down' });
      const after = this.#trail.pass(
        space,
        'postrouting',
        { ...packet, iifname: '', oifname: device },
        route,
      );
      if (after.stop !== undefined) return this.#trail.stopByRule(space, after.stop, after.packet);
      this.#trail.remember(space, first, after.packet);
      return this.#receive(space, by, { ...after.packet, settled: true });
    }
    this.#routed(space, packet, routing, device);
    return this.#emit(space, route, packet, first);
  }

  /** @param first the packet as it came into the namespace, which connection tracking goes by */
  #emit(space: Space, route: RouteFacts, given: Flying, first: Flying): Outcome {
    const link = linkOf(space.facts, route.link);
    if (link === undefined) return this.#trail.stop(space, { kind: 'no-route', to: given.daddr });
    const { packet, stop } = this.#trail.pass(space, 'postrouting', { ...given, oifname: link.name }, route);
    if (stop !== undefined) return this.#trail.stopByRule(space, stop, packet);
    this.#trail.remember(space, first, packet);
    return this.#go(transmit(this.#trail, space, link, route.gateway ?? packet.daddr, packet));
  }

  #go(sent: Sent): Outcome {
    if (sent.kind === 'arrives') return this.#receive(sent.space, sent.link, sent.packet);
    if (sent.kind === 'leaves') return this.#left(sent.link, sent.packet);
    if (sent.kind !== 'tunnelled') return sent;
    if (this.#trail.back) return this.#home(this.#question.from.space, sent.packet);
    return { kind: 'left', device: sent.link.name, to: sent.packet.daddr };
  }

  /** Onto the network of an interface of the host. */
  #left(link: LinkFacts, packet: Flying): Outcome {
    const { host } = this.#trail.world;
    this.#trail.add({ kind: 'leave', device: link.name, to: packet.daddr });
    if (!link.carrier) return this.#trail.stop(host, { kind: 'link', link: link.name, what: 'no-carrier' });
    if (this.#trail.leg === 'ask') return this.#answerFromOutside(link, packet);
    if (this.#trail.leg === 'rest') return { kind: 'answered' };
    // Whoever asked is on this host, and what goes out is lost to him.
    if (this.#question.from.kind === 'inside') {
      return this.#trail.stop(host, { kind: 'left', device: link.name, to: packet.daddr });
    }
    return this.#home(this.#question.from.space, packet);
  }

  /** Nobody knows whether there is one; this host would take it as it takes all that comes in by that interface. */
  #answerFromOutside(link: LinkFacts, packet: Flying): Outcome {
    const trail = this.#trail;
    const left: Outcome = { kind: 'left', device: link.name, to: packet.daddr };
    if (this.#question.from.kind !== 'inside') return left;
    const told = trail.hops.length;
    const answer = this.#turn({ kind: 'outside' }, packet, packet.daddr);
    const near = arriveFromLan(trail, link, answer);
    let outcome = near === undefined ? this.#receive(trail.world.host, link, answer) : this.#go(near);
    if (outcome.kind === 'answered' && packet.protocol === 'tcp') {
      trail.hops.length = told;
      outcome = this.goOn();
    }
    if (outcome.kind === 'stopped' && outcome.obstacle.kind === 'rule') return outcome;
    trail.hops.length = told;
    return left;
  }

  #receive(space: Space, by: LinkFacts, given: Flying): Outcome {
    if (++this.#passed > MOST_HOPS) return this.#trail.stop(space, { kind: 'loop' });
    const { facts } = space;
    // Between two namespaces a packet loses its mark (skb_scrub_packet).
    const mark = given.settled ? (given.mark ?? 0) : 0;
    const toHost = isLocal(facts, given.daddr);
    const come: Flying = { ...given, mark, iifname: by.name, oifname: '', toHost };
    const first = given.settled ? come : this.#trail.entering(space, come);
    const full = given.settled ? undefined : this.#trail.full(space, first);
    if (full !== undefined) return this.#trail.stop(space, full);
    const { packet, stop } = this.#trail.pass(space, 'prerouting', first, undefined);
    if (stop !== undefined) return this.#trail.stopByRule(space, stop, packet);
    const routing = this.#trail.route(space, flowOf(packet));
    const { route } = routing;
    const reason = reasonAtDoor(facts, by, packet, route === undefined ? 'lo' : this.#deviceOf(space, route));
    if (reason !== undefined) return this.#trail.stop(space, reason);
    if (route?.kind === 'local') {
      const input = this.#trail.pass(space, 'input', packet, undefined);
      if (input.stop !== undefined) return this.#trail.stopByRule(space, input.stop, packet);
      if (!given.settled) this.#trail.remember(space, first, input.packet);
      return this.#deliver(space, by, input.packet);
    }
    if (!facts.settings.forwarding[familyOf(packet.daddr)]) {
      return this.#trail.stop(space, { kind: 'forwarding-off', to: packet.daddr });
    }
    const link = route === undefined || route.kind === 'refusing' ? undefined : linkOf(facts, route.link);
    if (route === undefined || link === undefined) {
      return this.#trail.noRoute(space, packet.daddr, routing);
    }
    this.#routed(space, packet, routing, link.name);
    const forward = this.#trail.pass(space, 'forward', { ...packet, oifname: link.name }, undefined);
    if (forward.stop !== undefined)
      return this.#trail.stopByRule(space, forward.stop, { ...packet, oifname: link.name });
    return this.#emit(space, route, { ...forward.packet, iifname: '' }, first);
  }

  #deliver(space: Space, by: LinkFacts, packet: Flying): Outcome {
    if (this.#trail.back) return this.#home(space, packet);
    if (this.#trail.leg === 'rest') return { kind: 'answered' };
    const at: End = { address: packet.daddr, port: packet.dport || undefined };
    const { protocol } = packet;
    let listener: ReturnType<typeof listenerFor>;
    if (protocol !== 'icmp' && protocol !== 'ipv6-icmp') {
      if (this.#isHeld(space, protocol, packet))
        return this.#trail.stop(space, { kind: 'held', at, protocol });
      listener = listenerFor(space.facts, by, protocol, packet);
      if (listener === undefined) {
        const others = space.facts.listeners.filter(
          (each) => each.protocol === protocol && each.port === packet.dport,
        );
        return this.#trail.stop(space, { kind: 'nothing-listens', at, protocol, others });
      }
    }
    this.#trail.add({ kind: 'deliver', where: space.where, to: at, protocol, listener });
    return this.#leave(space, this.#turn(space.where, packet, answersFrom(space, packet, listener)));
  }

  /** The answer to a packet, before it is sent. */
  #turn(where: Where, packet: Flying, saddr: Ip): Flying {
    const { daddr, sport, dport } = packet;
    this.#trail.leg = 'answer';
    const from: End = { address: daddr, port: dport || undefined };
    this.#trail.add({ kind: 'answer', where, from, to: { address: packet.saddr, port: undefined } });
    const ends = { saddr, daddr: packet.saddr, sport: dport, dport: sport };
    return { ...packet, ...ends, iifname: '', oifname: '', settled: false, mark: 0 };
  }

  /** The answer has come to a program: to the one that asked, from where it asked? */
  #home(space: Space, packet: Flying): Outcome {
    const asked = this.#asked;
    const { from } = this.#question;
    const right =
      asked !== undefined &&
      from.space === space &&
      packet.daddr === asked.saddr &&
      packet.saddr === asked.daddr &&
      packet.sport === asked.dport;
    if (right) return { kind: 'answered' };
    return this.#trail.stop(space, {
      kind: 'other-source',
      asked: { address: asked?.daddr ?? packet.daddr, port: asked?.dport || undefined },
      answers: { address: packet.saddr, port: packet.sport || undefined },
    });
  }

  #isHeld(space: Space, protocol: Protocol, { daddr, dport }: Flying): boolean {
    if (space.where.kind !== 'host') return false;
    const any = familyOf(daddr) === 'ipv4' ? '0.0.0.0' : '::';
    return [any, daddr].some((address) => this.#trail.world.held.has(`${protocol} ${address} ${dport}`));
  }

  #routed(space: Space, { daddr }: Flying, { route, rule }: Routing, device: string): void {
    this.#trail.add({ kind: 'route', where: space.where, to: daddr, gateway: route?.gateway, device, rule });
  }

  #deviceOf(space: Space, route: RouteFacts): string {
    return route.kind === 'local' ? 'lo' : (linkOf(space.facts, route.link)?.name ?? '');
  }

  #send(space: Space, packet: Flying): void {
    const { where } = space;
    const to: End = { address: packet.daddr, port: packet.dport || undefined };
    if (this.#trail.leg === 'rest') {
      this.#trail.add({ kind: 'follow', where, to });
      return;
    }
    this.#asked = packet;
    const { protocol, saddr } = packet;
    this.#trail.add({ kind: 'send', where, from: { address: saddr, port: undefined }, to, protocol });
  }
}
