import { contains, familyOf, type Ip, isLoopback, prefixOf } from '../model/address.ts';
import type { Cause } from '../model/cause.ts';
import { isAddressed } from '../model/network.ts';
import { causeOf, causeOfState, networkOfAddress, networksOf } from './diagnosis.ts';
import type { Hop } from './hop.ts';
import { misleadingIn, obstacleOf } from './misleading.ts';
import { stoppedNameQuestion } from './name-question.ts';
import { isLocal } from './route.ts';
import { type ContainerFacts, holderOf, type Situation, sandboxOwner } from './situation.ts';
import { type Asker, type Attempt, FAR, type Plan, planQuestion } from './target.ts';
import { walk } from './walk.ts';
import type { Question, Way } from './way.ts';
import type { Space, World } from './world.ts';

/** What the model says of a question. */
export interface Verdict {
  readonly reachable: boolean;
  /** Of a connection that does not come about, or of one that carries small packets alone (`mtu`). */
  readonly cause: Cause | undefined;
  readonly plan: Plan;
  /** The connection that was looked at; absent where nothing could be tried. */
  readonly attempt: Attempt | undefined;
  readonly way: Way | undefined;
  /** The container whose state is the cause. */
  readonly culprit: ContainerFacts | undefined;
  /** By address it would be reached; the name is what fails. */
  readonly byAddress: Ip | undefined;
}

export function decide(situation: Situation): Verdict {
  const plan = planQuestion(situation, hostAddresses(situation.world.host));
  const base = {
    reachable: false,
    plan,
    attempt: undefined,
    way: undefined,
    culprit: undefined,
    byAddress: undefined,
  };
  const { from, to } = plan;
  if (from.kind === 'container') {
    const cause = causeOfState(ownerOrSelf(situation, from.container)) ?? causeOfState(from.container);
    if (cause !== undefined) return { ...base, cause, culprit: from.container };
  }
  if (to.kind === 'nobody') return { ...base, cause: 'name-unknown' };
  if (to.kind === 'container') {
    const cause = causeOfState(to.container);
    // A paused one has its addresses, and what stands before them is the nearer cause.
    if (cause !== undefined && cause !== 'container-paused') return { ...base, cause, culprit: to.container };
    if (sandboxOwner(situation, to.container)?.endpoints.length === 0) {
      const self = from.kind === 'container' && from.container.id === to.container.id;
      if (!self) return { ...base, cause: 'no-network', culprit: to.container };
    }
  }
  const unnamed = situation.lookup?.by === 'gangway' && nameQuestion(situation, from);
  if (unnamed) return { ...base, cause: 'foreign-rule', way: unnamed };
  const tried = plan.attempts.map((attempt) => tryOne(situation, plan, attempt));
  const good = tried.find(({ reachable }) => reachable);
  if (plan.nameMissing) return nameless(situation, plan, good ?? tried[0]);
  return good ?? worst(tried) ?? { ...base, cause: noAttempt(plan) };
}

const hostAddresses = ({ facts }: Space): ReadonlySet<Ip> =>
  new Set(facts.addresses.map(({ address }) => address));

const ownerOrSelf = (situation: Situation, container: ContainerFacts): ContainerFacts =>
  sandboxOwner(situation, container) ?? container;

function tryOne(situation: Situation, plan: Plan, attempt: Attempt): Verdict {
  const { world, wanted } = situation;
  const question = questionOf(situation, plan.from, attempt);
  if (question === undefined) {
    const nowhere = { plan, attempt, way: undefined, culprit: undefined, byAddress: undefined };
    return { reachable: false, cause: 'no-route', ...nowhere };
  }
  const way = walk(world, question);
  const verdict = judge(situation, plan, attempt, way);
  if (verdict.reachable || verdict.cause === 'container-paused') return verdict;
  const asWanted = judge(situation, plan, attempt, walk({ ...world, own: wanted }, question));
  return asWanted.reachable ? { ...verdict, cause: 'own-rules-missing' } : verdict;
}

function questionOf(situation: Situation, from: Asker, attempt: Attempt): Question | undefined {
  const { world, asked, containers } = situation;
  const v6 = familyOf(attempt.address) === 'ipv6';
  const protocol = asked.port === undefined ? (v6 ? 'ipv6-icmp' : 'icmp') : asked.protocol;
  const to = { address: attempt.address, port: attempt.port };
  if (from.kind === 'outside') {
    const elsewhere = from.address === undefined ? undefined : tunnelFrom(world, from.address);
    if (elsewhere !== undefined)
      return { from: { kind: 'elsewhere', space: OUTSIDE, ...elsewhere }, to, protocol };
    const client = clientOf(situation, from, attempt.address);
    return client && { from: { kind: 'outside', space: OUTSIDE, ...client }, to, protocol };
  }
  const space = spaceOf(world, containers, from);
  return space && { from: { kind: 'inside', space }, to, protocol };
}

function spaceOf(
  world: World,
  containers: readonly ContainerFacts[],
  from: Exclude<Asker, { kind: 'outside' }>,
): Space | undefined {
  const owner = from.kind === 'host' ? undefined : sandboxOwner({ containers }, from.container);
  if (owner === undefined) return world.host;
  return world.sandboxes.find(({ where }) => where.kind === 'container' && where.id === owner.id);
}

function nameQuestion({ world, containers }: Situation, from: Asker): Way | undefined {
  const space = from.kind === 'container' ? spaceOf(world, containers, from) : undefined;
  return space && stoppedNameQuestion(world, space);
}

/** Who outside asks, and by which device of the host he comes in; undefined where there is no such one. */
function clientOf(
  { world, uplink, networks, containers }: Situation,
  { address: given, internet }: Extract<Asker, { kind: 'outside' }>,
  to: Ip,
): { readonly address: Ip; readonly device: string } | undefined {
  const family = familyOf(to);
  const lan = networkOfAddress({ networks }, holderOf({ containers }, to), to);
  if (lan?.driver === 'macvlan') {
    const { subnet, gateway, defaultGateway } = lan[family] ?? {};
    const near = uplink?.neighbours.find((each) => subnet !== undefined && contains(subnet, each));
    const example = internet
      ? FAR.find((each) => familyOf(each) === family)
      : (near ?? defaultGateway ?? gateway?.address);
    const address = given ?? example;
    return address && { address, device: lan.macvlan.parent };
  }
  const address = given ?? uplink?.neighbours.find((each) => familyOf(each) === family);
  if (uplink === undefined || address === undefined || familyOf(address) !== family) return undefined;
  return { address, device: deviceTo(world, address) ?? uplink.device };
}

/** The tunnel by which a container of another host comes in. */
function tunnelFrom(
  { tunnels, host }: World,
  address: Ip,
): { readonly address: Ip; readonly device: string; readonly host: Ip } | undefined {
  for (const { link, remotes } of tunnels) {
    const device = host.facts.links.find(({ index }) => index === link);
    const remote = remotes.find((each) => each.address === address);
    if (device !== undefined && remote !== undefined)
      return { address, device: device.name, host: remote.host };
  }
  return undefined;
}

/** By which of the host's devices one outside comes in: the one that leads to him. */
function deviceTo({ host }: World, address: Ip): string | undefined {
  const found = host.facts.addresses.find(
    (each) =>
      !isLocal(host.facts, address) && each.link !== 1 && sameSubnet(each.address, address, each.length),
  );
  return host.facts.links.find(({ index }) => index === found?.link)?.name;
}

function sameSubnet(a: Ip, b: Ip, length: number): boolean {
  return familyOf(a) === familyOf(b) && contains(prefixOf({ address: a, length }), b);
}

/** One that is not on this host: what it has in itself is not looked at. */
const OUTSIDE: Space = {
  where: { kind: 'outside' },
  foreign: [],
  facts: {
    links: [],
    addresses: [],
    routes: [],
    rules: [],
    settings: {
      forwarding: { ipv4: false, ipv6: false },
      rpFilter: {},
      routeLocalnet: {},
      bridgeFirewall: { ipv4: false, ipv6: false },
      connections: undefined,
    },
    listeners: [],
    firewall: [],
    legacy: [],
  },
};

function judge(situation: Situation, plan: Plan, attempt: Attempt, way: Way): Verdict {
  const common = { plan, attempt, way, culprit: undefined, byAddress: undefined };
  const { outcome } = way;
  switch (outcome.kind) {
    case 'answered': {
      const paused = deliveredTo(situation, way.hops);
      // The kernel of a paused container answers a ping all the same.
      if (paused?.status === 'paused' && attempt.port !== undefined) {
        return { ...common, reachable: false, cause: 'container-paused', culprit: paused };
      }
      return { ...common, reachable: true, cause: way.gap === undefined ? undefined : 'mtu' };
    }
    case 'left': {
      if (way.hops.some(({ kind }) => kind === 'tunnel'))
        return { ...common, reachable: true, cause: undefined };
      if (!isOfContainers(situation, outcome.to)) return { ...common, reachable: true, cause: undefined };
      return { ...common, reachable: false, cause: causeOfEnd(situation, plan, attempt, way) };
    }
    case 'stopped':
      return { ...common, reachable: false, cause: causeOfEnd(situation, plan, attempt, way) };
  }
}

function causeOfEnd(situation: Situation, plan: Plan, attempt: Attempt, way: Way): Cause | undefined {
  const obstacle = obstacleOf(situation.world, way);
  if (misleadingIn(way) !== undefined) return 'no-route';
  return obstacle && causeOf(situation, plan, attempt, obstacle);
}

/** An address that is nowhere but on this host. Of a macvlan's those that nobody else gives away, if nobody has it now. */
const isOfContainers = (situation: Situation, address: Ip): boolean =>
  situation.networks.filter(isAddressed).some((network) => {
    const { subnet, ipRange } = network[familyOf(address)] ?? {};
    if (network.driver !== 'macvlan') return subnet !== undefined && contains(subnet, address);
    return ipRange !== undefined && contains(ipRange, address) && holderOf(situation, address) === undefined;
  });

function deliveredTo({ containers }: Situation, hops: readonly Hop[]): ContainerFacts | undefined {
  for (const hop of hops) {
    if (hop.kind !== 'deliver') continue;
    const { where } = hop;
    return where.kind === 'container' ? containers.find(({ id }) => id === where.id) : undefined;
  }
  return undefined;
}

/** The name is not known where FROM asks for it: because they share no network, or because theirs has no names. */
function nameless(situation: Situation, plan: Plan, tried: Verdict | undefined): Verdict {
  const base = { plan, attempt: tried?.attempt, way: tried?.way, culprit: undefined };
  const byAddress = tried?.reachable ? tried.attempt?.address : undefined;
  if (tried?.reachable || tried === undefined)
    return { ...base, reachable: false, cause: 'name-unknown', byAddress };
  const shared = sharesNetwork(situation, plan);
  const cause = shared ? 'name-unknown' : (tried.cause ?? 'no-common-network');
  return { ...base, reachable: false, cause, byAddress: undefined };
}

function sharesNetwork(situation: Situation, { from, to }: Plan): boolean {
  if (from.kind !== 'container' || to.kind !== 'container') return false;
  const own = new Set(networksOf(situation, from.container).map(({ id }) => id));
  return networksOf(situation, to.container).some(({ id }) => own.has(id));
}

/** Of several that fail, the one that came farthest: it is the one to be mended. */
function worst(tried: readonly Verdict[]): Verdict | undefined {
  const published = tried.find(({ attempt }) => attempt?.published !== undefined);
  if (published !== undefined) {
    const { published: by, address } = published.attempt ?? {};
    const elsewhere = by !== undefined && address !== undefined && isLoopback(by.hostIp);
    return elsewhere ? { ...published, cause: 'published-on-other-address' } : published;
  }
  const rank = ({ cause }: Verdict): number => FARTHEST.indexOf(cause ?? 'no-route');
  const [best] = tried.toSorted((a, b) => rank(b) - rank(a));
  return best;
}

/** From the first hop to the last. */
const FARTHEST: readonly Cause[] = [
  'no-route',
  'no-address',
  'no-network',
  'no-common-network',
  'internal-network',
  'unpublished',
  'port-not-open',
  'icc-off',
  'link-broken',
  'foreign-rule',
  'published-on-other-address',
  'nothing-listens',
  'listens-on-other-address',
  'listens-on-loopback',
  'container-paused',
];

function noAttempt({ from, to }: Plan): Cause {
  if (to.kind === 'outside' || from.kind === 'outside') return 'no-route';
  return 'no-address';
}
