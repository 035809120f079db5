import { formatSocketAddress } from '../../model/address.ts';
import type { AddressedNetwork } from '../../model/network.ts';
import { networksOf, overlayOf } from '../diagnosis.ts';
import type { Hop, Obstacle } from '../hop.ts';
import { misleadingIn, obstacleOf } from '../misleading.ts';
import { portTaker } from '../port-taker.ts';
import { type ContainerFacts, networkOf, type Situation } from '../situation.ts';
import type { Asker, Attempt, Target } from '../target.ts';
import type { Verdict } from '../verdict.ts';
import { end, gapWords, listenerWords, misledWords, obstacleWords, ruleWords, whose } from './hops.ts';

/** The answer in one sentence: it begins with Yes or No. */
export function sentenceOf(situation: Situation, verdict: Verdict): string {
  const words = verdict.reachable ? yes(situation, verdict) : `No: ${no(situation, verdict)}.`;
  const doubt = verdict.way?.hops.find((hop) => hop.kind === 'undecided');
  if (doubt === undefined || !verdict.reachable) return words;
  return `Yes, unless this rule says otherwise, of which it cannot be told: ${ruleWords(doubt.rule)}.`;
}

const last = <K extends Hop['kind']>(hops: readonly Hop[], kind: K): Extract<Hop, { kind: K }> | undefined =>
  hops.findLast((hop): hop is Extract<Hop, { kind: K }> => hop.kind === kind);

function yes(situation: Situation, { plan, attempt, way, cause }: Verdict): string {
  const hops = way?.hops ?? [];
  const from = askerName(plan.from);
  const to = targetName(plan.to);
  const asked =
    attempt === undefined ? to : `${to} at ${end({ address: attempt.address, port: attempt.port })}`;
  if (cause === 'mtu' && way?.gap !== undefined) {
    return `Yes, but large packets may vanish: ${gapWords(way.gap)}.`;
  }
  const left = last(hops, 'leave');
  if (way?.outcome.kind === 'left') {
    const nat = last(hops, 'nat');
    const as = nat?.side === 'source' ? ` as ${nat.after.address}` : '';
    const tunnel = last(hops, 'tunnel');
    if (tunnel !== undefined)
      return `Yes: ${from} reaches ${to} on the host ${tunnel.host}, as far as this host can tell.`;
    return `Yes: ${from} leaves this host by ${left?.device ?? way.outcome.device}${as}; what is beyond cannot be told from here.`;
  }
  const network = common(situation, plan.from, plan.to);
  const over = network === undefined ? '' : ` over ${network.name}`;
  const deliver = last(hops, 'deliver');
  const who = deliver?.listener === undefined ? '' : `; ${listenerWords(deliver.listener)}`;
  return `Yes: ${from} reaches ${asked}${over}${who}.`;
}

export function askerName(from: Asker): string {
  if (from.kind === 'container') return from.container.name;
  if (from.kind === 'host') return 'the host';
  return from.internet ? 'the internet' : (from.name ?? from.address ?? 'a host outside');
}

export function targetName(to: Target): string {
  switch (to.kind) {
    case 'container':
      return to.container.name;
    case 'host':
      return 'the host';
    case 'remote':
    case 'nobody':
      return to.name;
    case 'outside':
      return to.internet ? 'the internet' : 'a host outside';
    case 'address':
      return to.address;
  }
}

function common(situation: Situation, from: Asker, to: Target): AddressedNetwork | undefined {
  if (from.kind !== 'container' || to.kind !== 'container') return undefined;
  const own = networksOf(situation, from.container);
  const others = new Set(networksOf(situation, to.container).map(({ id }) => id));
  return own.find(({ id }) => others.has(id));
}

/** `web is on lamp and back`. */
export function isOn(situation: Situation, party: Asker | Target): string {
  if (party.kind === 'remote') {
    const network = networkOf(situation, party.networkId)?.name ?? 'a network';
    return `${party.name} is on ${network} at the host ${party.host}`;
  }
  const overlay = party.kind === 'address' ? overlayOf(situation, party.address) : undefined;
  if (overlay !== undefined) return `${nameOf(party)} is on ${overlay.name}`;
  const name = 'container' in party ? party.container.name : nameOf(party);
  if (!('container' in party)) return name;
  const names = networksOf(situation, party.container).map((network) => network.name);
  return `${name} is on ${names.length === 0 ? 'no network' : list(names)}`;
}

const nameOf = (party: Asker | Target): string =>
  party.kind === 'outside' && 'address' in party ? askerName(party) : targetName(party as Target);

const list = (names: readonly string[]): string =>
  names.length < 2 ? names.join() : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;

function no(situation: Situation, verdict: Verdict): string {
  const { plan, cause, attempt, way, culprit } = verdict;
  const from = askerName(plan.from);
  const to = targetName(plan.to);
  const { asked } = situation;
  const port = asked.port === undefined ? '' : `${asked.port}/${asked.protocol}`;
  const obstacle = way && obstacleOf(situation.world, way);
  const plainly = obstacle === undefined ? 'the connection does not come about' : obstacleWords(obstacle);
  switch (cause) {
    case 'name-unknown':
      return nameUnknown(situation, verdict);
    case 'no-address':
      return `${to} has no address of a family that ${from} can use`;
    case 'container-stopped':
      return `${culprit?.name} does not run${culprit?.error ? ` (${culprit.error})` : ''}`;
    case 'container-restarting':
      return `${culprit?.name} ends again and again, and is being restarted`;
    case 'container-paused':
      return `${culprit?.name} is paused: its programs do not run`;
    case 'no-network':
      return `${culprit?.name ?? from} has no network but loopback`;
    case 'no-common-network':
      return `${isOn(situation, plan.from)}, ${isOn(situation, plan.to)}; networks are isolated`;
    case 'internal-network':
      return internal(situation, verdict);
    case 'icc-off':
      return `${common(situation, plan.from, plan.to)?.name ?? 'their network'} keeps its containers apart (${obstacle?.kind === 'macvlan-apart' ? `macvlan_mode=${obstacle.mode}` : 'icc is off'})`;
    case 'unpublished':
      return port === ''
        ? `${to} is reached by published ports alone from ${from}`
        : `${to} does not publish port ${port}, and its own address is closed to ${from}`;
    case 'published-on-other-address':
      return publishedElsewhere(situation, verdict);
    case 'host-port-taken':
      return portTaken(situation, culprit);
    case 'port-not-open':
      return `port ${port} of ${to} is not among its open ones (published, on a routed network)`;
    case 'nothing-listens':
      return obstacle?.kind === 'nothing-listens' && obstacle.where.kind === 'container'
        ? `packets arrive at ${whose(obstacle.where)}, and nothing listens on port ${obstacle.at.port}/${asked.protocol} there`
        : plainly;
    case 'listens-on-loopback':
    case 'listens-on-other-address': {
      if (obstacle?.kind !== 'nothing-listens') return plainly;
      const [first] = obstacle.others;
      const only =
        cause === 'listens-on-loopback'
          ? ', which only programs of the same container reach'
          : `, and ${obstacle.at.address} was asked`;
      return first === undefined ? plainly : `in ${whose(obstacle.where)} ${listenerWords(first)}${only}`;
    }
    case 'foreign-rule':
      if (obstacle?.kind === 'untracked')
        return `a rule that is not Gangway's leaves it untracked in ${whose(obstacle.where)}, and what is untracked is not translated: ${ruleWords(obstacle.rule)}`;
      return obstacle?.kind === 'rule'
        ? `a rule that is not Gangway's ${obstacle.verdict === 'drop' ? 'drops' : 'rejects'} ${what(obstacle, attempt)} in ${whose(obstacle.where)}: ${ruleWords(obstacle.rule)}`
        : plainly;
    case 'no-connection':
      return `the answer takes a way on which ${obstacle === undefined ? 'the host' : whose(obstacle.where)} does not see it, and what follows belongs to no connection there: ${plainly}`;
    case 'own-rules-missing':
      return "rules of Gangway's own are missing in the kernel; it puts them back by itself within a second";
    case 'source-forged':
      return `${from} sends with an address that is another's (${plainly})`;
    case 'no-answer':
      return attempt === undefined ? plainly : `nobody has the address ${attempt.address}`;
    case 'no-route': {
      const misleading = way && misleadingIn(way);
      const all = misleading === undefined ? plainly : `${plainly}; ${misledWords(misleading)}`;
      return obstacle?.back ? `the answer does not come back: ${all}` : all;
    }
    default:
      return plainly;
  }
}

/** @param attempt absent where it is the name that is asked for */
function what({ back, later }: Obstacle, attempt: Attempt | undefined): string {
  if (attempt === undefined)
    return back ? 'the answer of its name service' : 'the question to its name service';
  return back ? 'the answer' : later ? 'what follows the answer' : 'it';
}

function portTaken(situation: Situation, culprit: ContainerFacts | undefined): string {
  const taker = portTaker(situation, culprit);
  const who = taker === undefined ? culprit?.error : listenerWords(taker);
  return `${culprit?.name} did not start, since its host port is taken: ${who}`;
}

function nameUnknown(situation: Situation, { plan, byAddress }: Verdict): string {
  const { to } = situation.asked;
  const name = to.kind === 'name' ? to.name : '';
  const from = askerName(plan.from);
  const nets = plan.from.kind === 'container' ? networksOf(situation, plan.from.container) : [];
  if (plan.to.kind === 'container' && byAddress !== undefined) {
    return `on the network ${list(nets.map((net) => net.name))} containers have no names; by its address ${byAddress} ${plan.to.container.name} is reached`;
  }
  const near = nearestName(situation, plan.from, name);
  const hint = near === undefined ? '' : `; did you mean ${near}?`;
  const where = nets.length === 0 ? '' : `, which is on ${list(nets.map((net) => net.name))}`;
  return `nobody has the name ${name} for ${from}${where}${hint}`;
}

/** The name that is nearest to a wrong one, among those that FROM could ask for. */
export function nearestName(situation: Situation, from: Asker, wrong: string): string | undefined {
  const seen = new Set(
    from.kind === 'container' ? networksOf(situation, from.container).map(({ id }) => id) : [],
  );
  const names = situation.containers.flatMap(({ name, names: byNetwork }) => [
    ...(from.kind === 'container' ? [] : [name]),
    ...Object.entries(byNetwork).flatMap(([id, all]) => (seen.has(id) ? all : [])),
  ]);
  const most = Math.max(1, Math.floor(wrong.length / 3));
  const [best] = [...new Set(names)]
    .map((name) => ({ name, distance: distance(name.toLowerCase(), wrong.toLowerCase()) }))
    .filter((each) => each.distance <= most)
    .toSorted((a, b) => a.distance - b.distance);
  return best?.name;
}

/** Levenshtein's, with two letters that changed places as one mistake (Damerau). */
function distance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (const [j, other] of [...b].entries()) {
      const swapped = i > 0 && j > 0 && letter === b[j - 1] && a[i - 1] === other;
      next.push(
        Math.min(
          (row[j + 1] ?? 0) + 1,
          (next[j] ?? 0) + 1,
          (row[j] ?? 0) + (letter === other ? 0 : 1),
          swapped ? (before[j - 1] ?? 0) + 1 : Number.POSITIVE_INFINITY,
        ),
      );
    }
    before = row;
    row = next;
  }
  return row.at(-1) ?? 0;
}

function internal(situation: Situation, { plan }: Verdict): string {
  const of = (party: Asker | Target): AddressedNetwork | undefined =>
    'container' in party ? networksOf(situation, party.container).find((net) => net.internal) : undefined;
  const asker = of(plan.from);
  const target = of(plan.to);
  if (plan.from.kind === 'container' && plan.to.kind === 'container') {
    return `${isOn(situation, plan.from)}, ${isOn(situation, plan.to)}; ${(target ?? asker)?.name} is internal: nothing gets in or out`;
  }
  const net = asker ?? target;
  return `${net?.name ?? 'the network'} is internal: nothing gets in or out`;
}

function publishedElsewhere(situation: Situation, { plan, attempt }: Verdict): string {
  const { asked } = situation;
  const all = situation.containers.flatMap(({ name, endpoints }) =>
    endpoints.flatMap(({ published }) => published.map((port) => ({ name, port }))),
  );
  const found = all.find(
    ({ port }) =>
      port === attempt?.published ||
      (port.protocol === asked.protocol &&
        attempt?.port !== undefined &&
        port.hostPorts.first <= attempt.port &&
        attempt.port <= port.hostPorts.last),
  );
  if (found === undefined) return `nothing is published there for ${askerName(plan.from)}`;
  const { name, port } = found;
  const host = formatSocketAddress(port.hostIp, port.hostPorts.first);
  const alone =
    port.hostIp === '127.0.0.1' || port.hostIp === '::1' ? ', for programs of the host alone' : '';
  return `${name} publishes port ${port.containerPorts.first}/${port.protocol} on ${host}${alone}, and ${askerName(plan.from)} asks ${attempt?.address}`;
}
