import { familyOf, type Ip, isAny } from '../model/address.ts';
import type { LinkFacts, RouteFacts } from '../model/kernel-facts.ts';
import type { Protocol } from '../model/port.ts';
import { type Flying, type HookOptions, passAll } from './hook.ts';
import type { End, Hop, MtuGap, Obstacle, Reason } from './hop.ts';
import { listenerFor } from './listener.ts';
import type { PacketProtocol } from './packet.ts';
import { reasonAtDoor } from './reverse-path.ts';
import { isLocal, linkNamed, linkOf, masqueradeAddress, routeTo, sourceFor } from './route.ts';
import { neighbourOn, segmentGap } from './segment.ts';
import { type Rewrite, restored, rewriteOf } from './tracking.ts';
import type { Space, World } from './world.ts';

/** Who asks whom. */
export interface Question {
  readonly from:
    | { readonly kind: 'inside'; readonly space: Space }
    /** Comes in by a device of the host. */
    | { readonly kind: 'outside'; readonly space: Space; readonly address: Ip; readonly device: string };
  readonly to: End;
  readonly protocol: PacketProtocol;
}

export type Outcome =
  | { readonly kind: 'answered' }
  /** It left this host, and beyond it nothing is known. */
  | { readonly kind: 'left'; readonly device: string; readonly to: Ip }
  | { readonly kind: 'stopped'; readonly obstacle: Obstacle };

export interface Way {
  readonly outcome: Outcome;
  readonly hops: readonly Hop[];
  readonly gap: MtuGap | undefined;
}

/** Longer ways are a loop. */
const MOST_HOPS = 24;
const UNKNOWN_PORT = 0;

/**
 * The way of a connection's first packet from one network namespace to another and of its answer, as this kernel would
 * take it: routes, rules of ours and of others by their priorities, NAT, bridges, the listener.
 */
export function walk(world: World, question: Question): Way {
  const walker = new Walker(world, question);
  const outcome = walker.begin();
  return { outcome, hops: walker.hops, gap: walker.gap };
}

class Walker {
  readonly hops: Hop[] = [];
  gap: MtuGap | undefined;
  readonly #world: World;
  readonly #question: Question;
  readonly #rewrites: Rewrite[] = [];
  /** What the asker sent, to know the answer by. */
  #asked: Flying | undefined;
  #back = false;
  #passed = 0;

  constructor(world: World, question: Question) {
    this.#world = world;
    this.#question = question;
  }

  begin(): Outcome {
    const { from, to, protocol } = this.#question;
    const packet: Omit<Flying, 'saddr'> = {
      iifname: '',
      oifname: '',
      daddr: to.address,
      sport: UNKNOWN_PORT,
      dport: to.port ?? UNKNOWN_PORT,
      protocol,
      toHost: false,
      state: 'new',
      dnat: false,
    };
    if (from.kind === 'inside') return this.#leave(from.space, packet);
    const { address, device, space } = from;
    const flying: Flying = { ...packet, saddr: address };
    this.#send(space, flying);
    const { host } = this.#world;
    const link = linkNamed(host.facts, device);
    if (link === undefined) return this.#stop(host, { kind: 'link', link: device, what: 'missing' });
    const direct = this.#macvlanWith(link.index, to.address);
    if (direct !== undefined) return this.#receive(direct.space, direct.link, flying);
    return this.#receive(host, link, flying);
  }

  /** A program of the namespace sends. */
  #leave(space: Space, given: Omit<Flying, 'saddr'> & { readonly saddr?: Ip }): Outcome {
    const { facts } = space;
    let route = routeTo(facts, given.daddr);
    if (route === undefined || route.kind === 'refusing') {
      return this.#noRoute(space, given.daddr, route);
    }
    const saddr = given.saddr ?? sourceFor(facts, route, given.daddr);
    if (saddr === undefined) return this.#stop(space, { kind: 'no-route', to: given.daddr });
    const first: Flying = {
      ...given,
      saddr,
      oifname: this.#deviceOf(space, route),
      toHost: route.kind === 'local',
    };
    if (!this.#back) this.#send(space, first);
    const full = this.#full(space, first);
    if (full !== undefined) return this.#stop(space, full);
    const { packet, stop } = this.#pass(space, 'output', first, route);
    if (stop !== undefined) return this.#stopByRule(space, stop, packet);
    if (packet.daddr !== first.daddr) {
      route = routeTo(facts, packet.daddr);
      if (route === undefined || route.kind === 'refusing') {
        return this.#noRoute(space, packet.daddr, route);
      }
    }
    const device = this.#deviceOf(space, route);
    if (route.kind === 'local') {
      const by = linkNamed(facts, 'lo');
      if (by === undefined || !by.up) return this.#stop(space, { kind: 'link', link: 'lo', what: 'down' });
      const after = this.#pass(space, 'postrouting', { ...packet, iifname: '', oifname: device }, route);
      if (after.stop !== undefined) return this.#stopByRule(space, after.stop, after.packet);
      this.#remember(space, first, after.packet);
      return this.#receive(space, by, { ...after.packet, settled: true });
    }
    this.#hop({ kind: 'route', where: space.where, to: packet.daddr, gateway: route.gateway, device });
    return this.#emit(space, route, packet, first);
  }

  /** @param first the packet as it came into the namespace, which connection tracking goes by */
  #emit(space: Space, route: RouteFacts, given: Flying, first: Flying): Outcome {
    const link = linkOf(space.facts, route.link);
    if (link === undefined) return this.#stop(space, { kind: 'no-route', to: given.daddr });
    const { packet, stop } = this.#pass(space, 'postrouting', { ...given, oifname: link.name }, route);
    if (stop !== undefined) return this.#stopByRule(space, stop, packet);
    this.#remember(space, first, packet);
    return this.#transmit(space, link, route.gateway ?? packet.daddr, packet);
  }

  #transmit(space: Space, link: LinkFacts, next: Ip, packet: Flying): Outcome {
    if (!link.up) return this.#stop(space, { kind: 'link', link: link.name, what: 'down' });
    const { host } = this.#world;
    if (space.where.kind === 'host') {
      return link.kind === 'bridge'
        ? this.#switch(link, undefined, link, next, packet)
        : this.#left(space, link, packet);
    }
    if (link.kind === 'macvlan') return this.#macvlan(space, link, next, packet);
    if (link.kind !== 'veth') return this.#left(space, link, packet);
    const port = linkOf(host.facts, link.peer);
    if (port === undefined) return this.#stop(space, { kind: 'link', link: link.name, what: 'missing' });
    this.#hop({ kind: 'wire', from: link.name, to: port.name, where: space.where });
    if (!port.up) return this.#stop(host, { kind: 'link', link: port.name, what: 'down' });
    const bridge = linkOf(host.facts, port.master);
    if (bridge === undefined) return this.#stop(host, { kind: 'link', link: port.name, what: 'no-port' });
    if (!bridge.up) return this.#stop(host, { kind: 'link', link: bridge.name, what: 'down' });
    this.gap ??= segmentGap(space, link, [{ link: port, where: host.where }]);
    const framed = { ...packet, mac: link.mac, iifname: port.name, oifname: '' };
    const guard = this.#pass(host, 'prerouting', framed, undefined, true);
    if (guard.stop !== undefined) return this.#stopByRule(host, guard.stop, framed);
    if (this.#isHosts(bridge, next)) {
      this.#hop({ kind: 'bridge', bridge: bridge.name, from: port.name, to: bridge.name });
      const input = this.#pass(host, 'input', { ...framed, oifname: bridge.name }, undefined, true);
      if (input.stop !== undefined) return this.#stopByRule(host, input.stop, framed);
      return this.#receive(host, bridge, packet);
    }
    return this.#switch(bridge, port, link, next, packet);
  }

  /** IPv4 is asked for at every device (arp(7), arp_ignore=0), IPv6 at its own alone. */
  #isHosts(bridge: LinkFacts, address: Ip): boolean {
    const { facts } = this.#world.host;
    if (familyOf(address) === 'ipv4') return isLocal(facts, address) && !address.startsWith('127.');
    return facts.addresses.some((each) => each.address === address && each.link === bridge.index);
  }

  /** @param port where it came in; undefined when the host itself sends. @param sender whose MTU it has */
  #switch(
    bridge: LinkFacts,
    port: LinkFacts | undefined,
    sender: LinkFacts,
    next: Ip,
    packet: Flying,
  ): Outcome {
    const { host } = this.#world;
    const found = neighbourOn(this.#world, bridge, next);
    if (found.kind === 'nobody') {
      return this.#stop(host, found.broken ?? { kind: 'nobody', address: next, device: bridge.name });
    }
    if (port !== undefined) {
      if (port.isolated && found.port.isolated) {
        return this.#stop(host, { kind: 'isolated-ports', bridge: bridge.name });
      }
      const passed = this.#passBridge(bridge, port, found.port, packet);
      if ('kind' in passed) return passed;
      packet = passed;
    }
    this.#hop({ kind: 'bridge', bridge: bridge.name, from: port?.name ?? bridge.name, to: found.port.name });
    if (found.kind === 'remote') {
      const { host: away, name, alive } = found.remote;
      this.#hop({ kind: 'tunnel', device: found.port.name, host: away, to: name });
      if (!alive) return this.#stop(host, { kind: 'host-away', host: away });
      return { kind: 'left', device: found.port.name, to: packet.daddr };
    }
    const { space, link } = found;
    if (!found.port.up) return this.#stop(host, { kind: 'link', link: found.port.name, what: 'down' });
    if (!link.up) return this.#stop(space, { kind: 'link', link: link.name, what: 'down' });
    const where = port === undefined ? host.where : this.#ownerOf(sender);
    this.gap ??= segmentGap({ where }, sender, [
      { link: found.port, where: host.where },
      { link, where: space.where },
    ]);
    this.#hop({ kind: 'wire', from: found.port.name, to: link.name, where: space.where });
    return this.#receive(space, link, packet);
  }

  /** What is handed on between two ports: the bridge's own hooks, and with br_netfilter those of IP. */
  #passBridge(bridge: LinkFacts, from: LinkFacts, to: LinkFacts, given: Flying): Flying | Outcome {
    const { host } = this.#world;
    const framed = { ...given, iifname: from.name, oifname: to.name };
    const forward = this.#pass(host, 'forward', framed, undefined, true);
    if (forward.stop !== undefined) return this.#stopByRule(host, forward.stop, framed);
    if (!host.facts.settings.bridgeFirewall[familyOf(given.saddr)]) return given;
    let packet: Flying = { ...given, toHost: false };
    for (const hook of ['prerouting', 'forward', 'postrouting'] as const) {
      const iifname = hook === 'postrouting' ? '' : bridge.name;
      const oifname = hook === 'prerouting' ? '' : bridge.name;
      const passed = this.#pass(host, hook, { ...packet, iifname, oifname }, undefined);
      if (passed.stop !== undefined) return this.#stopByRule(host, passed.stop, passed.packet);
      packet = passed.packet;
      const full = hook === 'prerouting' ? this.#full(host, packet) : undefined;
      if (full !== undefined) return this.#stop(host, full);
    }
    // What this namespace does not track may be tracked in the next.
    packet = { ...packet, state: given.state };
    this.#remember(host, given, packet);
    return packet;
  }

  #receive(space: Space, by: LinkFacts, given: Flying): Outcome {
    if (++this.#passed > MOST_HOPS) return this.#stop(space, { kind: 'loop' });
    const { facts } = space;
    const first: Flying = { ...given, iifname: by.name, oifname: '', toHost: isLocal(facts, given.daddr) };
    const full = given.settled ? undefined : this.#full(space, first);
    if (full !== undefined) return this.#stop(space, full);
    const { packet, stop } = this.#pass(space, 'prerouting', first, undefined);
    if (stop !== undefined) return this.#stopByRule(space, stop, packet);
    const reason = reasonAtDoor(facts, by, packet);
    if (reason !== undefined) return this.#stop(space, reason);
    const route = routeTo(facts, packet.daddr);
    if (route?.kind === 'local') {
      const input = this.#pass(space, 'input', packet, undefined);
      if (input.stop !== undefined) return this.#stopByRule(space, input.stop, packet);
      if (!given.settled) this.#remember(space, first, input.packet);
      return this.#deliver(space, by, input.packet);
    }
    if (!facts.settings.forwarding[familyOf(packet.daddr)]) {
      return this.#stop(space, { kind: 'forwarding-off', to: packet.daddr });
    }
    const link = route === undefined || route.kind === 'refusing' ? undefined : linkOf(facts, route.link);
    if (route === undefined || link === undefined) {
      return this.#noRoute(space, packet.daddr, route);
    }
    this.#hop({
      kind: 'route',
      where: space.where,
      to: packet.daddr,
      gateway: route.gateway,
      device: link.name,
    });
    const forward = this.#pass(space, 'forward', { ...packet, oifname: link.name }, undefined);
    if (forward.stop !== undefined)
      return this.#stopByRule(space, forward.stop, { ...packet, oifname: link.name });
    return this.#emit(space, route, { ...forward.packet, iifname: '' }, first);
  }

  #deliver(space: Space, by: LinkFacts, packet: Flying): Outcome {
    if (this.#back) return this.#home(space, packet);
    const at: End = { address: packet.daddr, port: packet.dport || undefined };
    const { protocol } = packet;
    let listener: ReturnType<typeof listenerFor>;
    if (protocol !== 'icmp' && protocol !== 'ipv6-icmp') {
      if (this.#isHeld(space, protocol, packet)) return this.#stop(space, { kind: 'held', at, protocol });
      listener = listenerFor(space.facts, by, protocol, packet);
      if (listener === undefined) {
        const others = space.facts.listeners.filter(
          (each) => each.protocol === protocol && each.port === packet.dport,
        );
        return this.#stop(space, { kind: 'nothing-listens', at, protocol, others });
      }
    }
    this.#hop({ kind: 'deliver', where: space.where, to: at, protocol, listener });
    this.#back = true;
    const from: End = { address: packet.daddr, port: packet.dport || undefined };
    this.#hop({ kind: 'answer', where: space.where, from, to: { address: packet.saddr, port: undefined } });
    return this.#leave(space, {
      ...packet,
      iifname: '',
      oifname: '',
      saddr: this.#answersFrom(space, packet, listener),
      daddr: packet.saddr,
      sport: packet.dport,
      dport: packet.sport,
      state: 'established',
      settled: false,
    });
  }

  /** A datagram socket for every address answers from the one that the route back has, whichever was asked (ip(7)). */
  #answersFrom(
    space: Space,
    { protocol, saddr, daddr }: Flying,
    listener: ReturnType<typeof listenerFor>,
  ): Ip {
    if (protocol !== 'udp' || listener === undefined || !isAny(listener.address)) return daddr;
    const route = routeTo(space.facts, saddr);
    return (route && sourceFor(space.facts, route, saddr)) ?? daddr;
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
    return this.#stop(space, {
      kind: 'other-source',
      asked: { address: asked?.daddr ?? packet.daddr, port: asked?.dport || undefined },
      answers: { address: packet.saddr, port: packet.sport || undefined },
    });
  }

  #left(space: Space, link: LinkFacts, packet: Flying): Outcome {
    this.#hop({ kind: 'leave', device: link.name, to: packet.daddr });
    if (!link.carrier) return this.#stop(space, { kind: 'link', link: link.name, what: 'no-carrier' });
    if (!this.#back) return { kind: 'left', device: link.name, to: packet.daddr };
    return this.#home(this.#question.from.space, packet);
  }

  #macvlan(space: Space, link: LinkFacts, next: Ip, packet: Flying): Outcome {
    const { host } = this.#world;
    const parent = linkOf(host.facts, link.peer);
    if (parent === undefined) return this.#stop(space, { kind: 'link', link: link.name, what: 'missing' });
    this.#hop({ kind: 'wire', from: link.name, to: parent.name, where: space.where });
    if (!parent.up) return this.#stop(host, { kind: 'link', link: parent.name, what: 'down' });
    const other = this.#macvlanWith(parent.index, next);
    if (other !== undefined && other.space !== space) return this.#receive(other.space, other.link, packet);
    if (isLocal(host.facts, next)) return this.#stop(host, { kind: 'macvlan-host' });
    return this.#left(space, link, packet);
  }

  #macvlanWith(parent: number, address: Ip): { readonly space: Space; readonly link: LinkFacts } | undefined {
    for (const space of this.#world.sandboxes) {
      const at = space.facts.addresses.find((each) => each.address === address);
      const link = at && linkOf(space.facts, at.link);
      if (link?.kind === 'macvlan' && link.peer === parent) return { space, link };
    }
    return undefined;
  }

  #pass(
    space: Space,
    hook: HookOptions['hook'],
    packet: Flying,
    route: RouteFacts | undefined,
    bridge = false,
  ) {
    const { facts } = space;
    const by = linkNamed(facts, packet.iifname);
    return passAll(
      {
        world: this.#world,
        space,
        hook,
        bridge,
        hops: this.hops,
        masquerade: () =>
          route === undefined
            ? facts.addresses.find(
                ({ link, address }) => link === by?.index && familyOf(address) === familyOf(packet.daddr),
              )?.address
            : masqueradeAddress(facts, route, linkNamed(facts, packet.oifname), packet.daddr),
        restore: (seen) => (bridge ? seen : restored(this.#rewrites, space, hook, seen)),
        returns: () => routeTo(facts, packet.saddr)?.link === by?.index,
        sourceType: () => (isLocal(facts, packet.saddr) ? 'local' : 'unicast'),
      },
      packet,
    );
  }

  #remember(space: Space, before: Flying, after: Flying): void {
    const rewrite = rewriteOf(space, before, after);
    if (rewrite !== undefined && after.state === 'new') this.#rewrites.push(rewrite);
  }

  /** The host's own table tracks every connection; a sandbox without rules tracks none. */
  #full(space: Space, packet: Flying): Reason | undefined {
    const { connections } = space.facts.settings;
    const tracks = space.where.kind === 'host' ? this.#world.own.ip !== undefined : space.foreign.length > 0;
    if (
      packet.state !== 'new' ||
      !tracks ||
      connections === undefined ||
      connections.count < connections.most
    ) {
      return undefined;
    }
    return { kind: 'conntrack-full', ...connections };
  }

  #isHeld(space: Space, protocol: Protocol, { daddr, dport }: Flying): boolean {
    if (space.where.kind !== 'host') return false;
    const any = familyOf(daddr) === 'ipv4' ? '0.0.0.0' : '::';
    return [any, daddr].some((address) => this.#world.held.has(`${protocol} ${address} ${dport}`));
  }

  #deviceOf(space: Space, route: RouteFacts): string {
    return route.kind === 'local' ? 'lo' : (linkOf(space.facts, route.link)?.name ?? '');
  }

  #ownerOf(link: LinkFacts): Space['where'] {
    const owner = this.#world.sandboxes.find(({ facts }) => facts.links.includes(link));
    return owner?.where ?? this.#world.host.where;
  }

  #send(space: Space, packet: Flying): void {
    this.#asked = packet;
    this.#hop({
      kind: 'send',
      where: space.where,
      from: { address: packet.saddr, port: undefined },
      to: { address: packet.daddr, port: packet.dport || undefined },
      protocol: packet.protocol,
    });
  }

  #hop(hop: Hop): void {
    this.hops.push(hop);
  }

  #stop({ where }: Pick<Space, 'where'>, reason: Reason): Outcome {
    const obstacle: Obstacle = { where, back: this.#back, ...reason };
    this.#hop({ kind: 'stop', obstacle });
    return { kind: 'stopped', obstacle };
  }

  #noRoute(space: Space, to: Ip, route: RouteFacts | undefined): Outcome {
    return this.#stop(space, {
      kind: 'no-route',
      to,
      refusing: route?.kind === 'refusing' ? route : undefined,
    });
  }

  #stopByRule(space: Space, stop: NonNullable<ReturnType<typeof passAll>['stop']>, packet: Flying): Outcome {
    const obstacle: Obstacle = { where: space.where, back: this.#back, kind: 'rule', ...stop, packet };
    return { kind: 'stopped', obstacle };
  }
}
