import { familyOf, type Ip } from '../model/address.ts';
import type { LinkFacts, RouteFacts } from '../model/kernel-facts.ts';
import { type Flying, type HookOptions, type Passage, passAll } from './hook.ts';
import type { Hop, MtuGap, Obstacle, Reason, RuleRef } from './hop.ts';
import type { Flow } from './policy.ts';
import { reverse } from './reverse-path.ts';
import { isLocal, linkNamed, lookUp, masqueradeAddress, type Routing } from './route.ts';
import { isRedirected, type Leg, type Rewrite, restored, rewriteOf, translated } from './tracking.ts';
import type { Space, World } from './world.ts';

export type Outcome =
  | { readonly kind: 'answered' }
  /** It left this host, and beyond it nothing is known. */
  | { readonly kind: 'left'; readonly device: string; readonly to: Ip }
  | { readonly kind: 'stopped'; readonly obstacle: Obstacle };

/** Where a packet is after a device has sent it: in another namespace, on the network of an interface, or stopped. */
export type Sent =
  | { readonly kind: 'arrives'; readonly space: Space; readonly link: LinkFacts; readonly packet: Flying }
  | { readonly kind: 'leaves'; readonly link: LinkFacts; readonly packet: Flying }
  | { readonly kind: 'tunnelled'; readonly link: LinkFacts; readonly packet: Flying }
  | Outcome;

/** How it ends where nothing was translated. */
const MISSED: readonly Reason['kind'][] = ['held', 'nothing-listens', 'other-source'];

/** What a packet leaves behind it: the hops, what was translated, and what stopped it. */
export class Trail {
  readonly world: World;
  readonly hops: Hop[] = [];
  leg: Leg = 'ask';
  gap: MtuGap | undefined;
  readonly #rewrites: Rewrite[] = [];
  /** Namespaces whose connection tracking has seen the question, and the answer. */
  readonly #seen: Readonly<Record<Leg, Set<Space>>> = { ask: new Set(), answer: new Set(), rest: new Set() };
  /** Where somebody's rule left it untracked, so that nothing translates it. */
  #untracked: { readonly space: Space; readonly rule: RuleRef } | undefined;

  constructor(world: World) {
    this.world = world;
  }

  /** The answer is on its way. */
  get back(): boolean {
    return this.leg === 'answer';
  }

  /** As connection tracking of the namespace takes it that it comes into, or begins in. */
  entering(space: Space, packet: Flying): Flying {
    const { ask, answer } = this.#seen;
    if (this.leg === 'ask') return { ...packet, state: 'new', dnat: false };
    const known = ask.has(space) && (this.leg === 'answer' || answer.has(space));
    const state = known ? 'established' : packet.protocol === 'udp' ? 'new' : 'invalid';
    const dnat = known && this.#rewrites.some((rewrite) => rewrite.space === space && isRedirected(rewrite));
    return { ...packet, state, dnat };
  }

  add(hop: Hop): void {
    this.hops.push(hop);
  }

  /** All chains at one hook. @param route by which it leaves, where that is known */
  pass(
    space: Space,
    hook: HookOptions['hook'],
    packet: Flying,
    route: RouteFacts | undefined,
    bridge = false,
  ): Passage {
    const { facts } = space;
    const by = linkNamed(facts, packet.iifname);
    const own = (): Ip | undefined =>
      facts.addresses.find(
        ({ link, address }) => link === by?.index && familyOf(address) === familyOf(packet.daddr),
      )?.address;
    const passage = passAll(
      {
        world: this.world,
        space,
        hook,
        bridge,
        hops: this.hops,
        masquerade: () =>
          route === undefined
            ? own()
            : masqueradeAddress(facts, route, linkNamed(facts, packet.oifname), packet.daddr),
        restore: (seen) =>
          bridge ? seen : (this.back ? restored : translated)(this.#rewrites, space, hook, seen),
        leg: this.leg,
        returns: () => by?.name === 'lo' || lookUp(facts, reverse(packet)).route?.link === by?.index,
        addressType: (address) => (isLocal(facts, address) ? 'local' : 'unicast'),
      },
      packet,
    );
    if (!bridge && passage.packet.state !== 'untracked') this.#seen[this.leg].add(space);
    if (passage.untracked !== undefined) this.#untracked ??= { space, rule: passage.untracked };
    return passage;
  }

  /** @param before the packet as it came into the namespace, which connection tracking goes by */
  remember(space: Space, before: Flying, after: Flying): void {
    const rewrite = rewriteOf(space, before, after);
    if (rewrite !== undefined && after.state === 'new') this.#rewrites.push(rewrite);
  }

  /** The host's own table tracks every connection; a sandbox without rules tracks none. */
  full(space: Space, packet: Flying): Reason | undefined {
    const { connections } = space.facts.settings;
    const tracks = space.where.kind === 'host' ? this.world.own.ip !== undefined : space.foreign.length > 0;
    if (packet.state !== 'new' || !tracks || connections === undefined) return undefined;
    return connections.count < connections.most ? undefined : { kind: 'conntrack-full', ...connections };
  }

  stop({ where }: Pick<Space, 'where'>, found: Reason): Outcome {
    const untracked = this.#untracked;
    const reason: Reason =
      untracked !== undefined && untracked.space.where === where && MISSED.includes(found.kind)
        ? { kind: 'untracked', rule: untracked.rule }
        : found;
    const obstacle: Obstacle = { where, ...this.#when(), ...reason };
    this.add({ kind: 'stop', obstacle });
    return { kind: 'stopped', obstacle };
  }

  /** The rule is the last hop already. */
  stopByRule(space: Space, stop: NonNullable<Passage['stop']>, packet: Flying): Outcome {
    const obstacle: Obstacle = { where: space.where, ...this.#when(), kind: 'rule', ...stop, packet };
    return { kind: 'stopped', obstacle };
  }

  #when(): { readonly back: boolean; readonly later?: true } {
    return { back: this.back, ...(this.leg === 'rest' && { later: true }) };
  }

  /** The kernel's choice; rules of which nothing can be told are noted. */
  route(space: Space, flow: Flow): Routing {
    const routing = lookUp(space.facts, flow);
    for (const rule of routing.undecided) {
      this.add({ kind: 'undecided', where: space.where, rule: { by: 'routing', rule } });
    }
    return routing;
  }

  noRoute(space: Space, to: Ip, { route, rule }: Pick<Routing, 'route' | 'rule'>): Outcome {
    const refusing = route?.kind === 'refusing' ? route : undefined;
    return this.stop(space, { kind: 'no-route', to, refusing, rule });
  }
}
