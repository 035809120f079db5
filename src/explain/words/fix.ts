import { familyOf, formatPrefix } from '../../model/address.ts';
import { GATEWAY_NETWORK } from '../../model/network.ts';
import { networkOfAddress, networksOf } from '../diagnosis.ts';
import type { Obstacle } from '../hop.ts';
import { type Misleading, misleadingIn, obstacleOf } from '../misleading.ts';
import { ruleDeletion } from '../policy.ts';
import { portTaker } from '../port-taker.ts';
import { type ContainerFacts, type Situation, sandboxOwner } from '../situation.ts';
import type { Verdict } from '../verdict.ts';
import { foreignRuleDeletion, foreignRuleFix } from './foreign-rule.ts';
import { inside } from './inside.ts';
import { listenEverywhere, publish, republish } from './remake.ts';
import { nearestName } from './sentence.ts';

/** The command that mends it, for a shell on the host; null where no command can be known. */
export function fixOf(situation: Situation, verdict: Verdict): string | null {
  const { plan, cause, culprit, way } = verdict;
  const obstacle = way && obstacleOf(situation.world, way);
  const from = plan.from.kind === 'container' ? plan.from.container : undefined;
  const to = plan.to.kind === 'container' ? plan.to.container : undefined;
  switch (cause) {
    case 'container-stopped':
      return culprit === undefined ? null : `docker start ${culprit.name}`;
    case 'container-restarting':
      return culprit === undefined ? null : `docker logs ${culprit.name}`;
    case 'container-paused':
      return culprit === undefined ? null : `docker unpause ${culprit.name}`;
    case 'host-port-taken':
      return takenPort(situation, culprit);
    case 'no-network':
      return noNetwork(culprit ?? from);
    case 'name-unknown':
      return nameUnknown(situation, verdict, from, to);
    case 'no-common-network':
    case 'no-address':
      return from && to ? join(situation, from, to) : null;
    case 'internal-network':
    case 'macvlan-host':
      return secondNetwork(situation, from, to);
    case 'icc-off':
      return from && to ? leaveFor(situation, from, to) : null;
    case 'unpublished':
    case 'port-not-open':
      return to === undefined ? null : publish(situation, to, undefined);
    case 'published-on-other-address':
      return republish(situation, verdict, to);
    case 'nothing-listens':
      return obstacle?.where.kind === 'container' ? `docker restart ${obstacle.where.name}` : null;
    case 'listens-on-loopback':
    case 'listens-on-other-address':
      return obstacle?.kind === 'nothing-listens' ? listenEverywhere(situation, obstacle) : null;
    case 'mtu':
      return way?.gap === undefined
        ? null
        : inside(
            situation,
            way.gap.narrow.where,
            `ip link set dev ${way.gap.narrow.name} mtu ${way.gap.sender.mtu}`,
          );
    default:
      return obstacle === undefined
        ? null
        : fixOfObstacle(situation, obstacle, to ?? from, way && misleadingIn(way));
  }
}

function fixOfObstacle(
  situation: Situation,
  obstacle: Obstacle,
  party: ContainerFacts | undefined,
  misleading: Misleading | undefined,
): string | null {
  const { where } = obstacle;
  if (misleading !== undefined) return inside(situation, misleading.where, ruleDeletion(misleading.rule));
  switch (obstacle.kind) {
    case 'rule':
      return foreignRuleFix(situation, obstacle);
    case 'untracked':
      return foreignRuleDeletion(situation, obstacle);
    case 'forwarding-off':
      return familyOf(obstacle.to) === 'ipv4'
        ? 'sysctl -w net.ipv4.ip_forward=1'
        : 'sysctl -w net.ipv6.conf.all.forwarding=1';
    case 'rp-filter':
      // The greater of a device's and that of `all` is in force: loose is 2.
      return inside(situation, where, `sysctl -w net.ipv4.conf.${obstacle.device}.rp_filter=2`);
    case 'conntrack-full':
      return `sysctl -w net.netfilter.nf_conntrack_max=${Math.max(obstacle.count, obstacle.most) * 2}`;
    case 'bridge-firewall':
      return 'sysctl -w net.bridge.bridge-nf-call-ip6tables=0';
    case 'no-route':
      return mendRoute(situation, obstacle);
    case 'link':
      return mendLink(situation, obstacle, party);
    case 'nobody':
      return party === undefined ? null : reconnect(situation, party);
    case 'host-away':
      return 'gangway cluster';
    default:
      return null;
  }
}

/** Through a network of TO's, if it has one of the user's. */
function join(situation: Situation, from: ContainerFacts, to: ContainerFacts): string {
  const networks = networksOf(situation, to).filter(({ name }) => name !== GATEWAY_NETWORK);
  const network = networks.find(({ name }) => name !== 'bridge');
  return network === undefined ? ownNetwork(from, to) : `docker network connect ${network.name} ${from.name}`;
}

const ownNetwork = (from: ContainerFacts, to: ContainerFacts): string =>
  `docker network create ${from.name}-${to.name} && docker network connect ${from.name}-${to.name} ${from.name} && docker network connect ${from.name}-${to.name} ${to.name}`;

/** A name leads to the first network that both are on: the asker has to leave it. */
function leaveFor(situation: Situation, from: ContainerFacts, to: ContainerFacts): string {
  const own = networksOf(situation, from);
  const shared = networksOf(situation, to).find(({ id }) => own.some((network) => network.id === id));
  const leave = shared === undefined ? '' : ` && docker network disconnect ${shared.name} ${from.name}`;
  return `${ownNetwork(from, to)}${leave}`;
}

function noNetwork(container: ContainerFacts | undefined): string | null {
  if (container === undefined) return null;
  const connect = `docker network connect bridge ${container.name}`;
  // Who is on `none` is on no other.
  return container.network.kind === 'none'
    ? `docker network disconnect none ${container.name} && ${connect}`
    : connect;
}

function nameUnknown(
  situation: Situation,
  { plan, byAddress }: Verdict,
  from: ContainerFacts | undefined,
  to: ContainerFacts | undefined,
): string | null {
  if (from && to) return byAddress === undefined ? join(situation, from, to) : ownNetwork(from, to);
  const { asked } = situation;
  if (asked.to.kind !== 'name') return null;
  const near = nearestName(situation, plan.from, asked.to.name);
  const port =
    asked.port === undefined ? '' : `:${asked.port}${asked.protocol === 'tcp' ? '' : `/${asked.protocol}`}`;
  const asker =
    asked.from.kind === 'name'
      ? asked.from.name
      : asked.from.kind === 'address'
        ? asked.from.address
        : asked.from.kind;
  return near === undefined ? null : `gangway why ${asker} ${near}${port}`;
}

/** Beside the one that does not lead there. */
function secondNetwork(
  situation: Situation,
  from: ContainerFacts | undefined,
  to: ContainerFacts | undefined,
): string | null {
  if (from && to) return join(situation, from, to);
  const one = from ?? to;
  return one === undefined ? null : `docker network connect bridge ${one.name}`;
}

function takenPort(situation: Situation, culprit: ContainerFacts | undefined): string | null {
  const program = portTaker(situation, culprit)?.program;
  return program === undefined || culprit === undefined
    ? null
    : `kill ${program.pid} && docker start ${culprit.name}`;
}

function mendRoute(
  situation: Situation,
  { where, to, refusing, rule }: Extract<Obstacle, { kind: 'no-route' }>,
): string | null {
  const family = familyOf(to);
  const ip = family === 'ipv4' ? 'ip' : 'ip -6';
  if (rule !== undefined) return inside(situation, where, ruleDeletion(rule));
  if (refusing !== undefined) {
    const prefix = refusing.to === undefined ? 'default' : formatPrefix(refusing.to);
    return inside(situation, where, `${ip} route del ${prefix}`);
  }
  const container =
    where.kind === 'container' ? situation.containers.find(({ id }) => id === where.id) : undefined;
  const endpoint = container?.endpoints.find((each) => each[family]?.gateway !== undefined);
  const gateway = endpoint?.[family]?.gateway;
  if (endpoint === undefined || gateway === undefined) return null;
  return inside(situation, where, `${ip} route replace default via ${gateway} dev ${endpoint.ifName}`);
}

function mendLink(
  situation: Situation,
  { where, link, what }: Extract<Obstacle, { kind: 'link' }>,
  party: ContainerFacts | undefined,
): string | null {
  if (where.kind === 'container') {
    const container = situation.containers.find(({ id }) => id === where.id);
    return container === undefined ? null : reconnect(situation, container, link);
  }
  const owner = situation.containers.find(({ endpoints }) =>
    endpoints.some(({ hostIfName }) => hostIfName === link),
  );
  if (what === 'no-port' && owner !== undefined) {
    const endpoint = owner.endpoints.find(({ hostIfName }) => hostIfName === link);
    const network = endpoint && situation.networks.find(({ id }) => id === endpoint.networkId);
    if (network?.driver === 'bridge') return `ip link set dev ${link} master ${network.bridge.ifName}`;
    if (network?.driver === 'overlay') return `ip link set dev ${link} master ${network.overlay.bridge}`;
  }
  if (what === 'down') return `ip link set dev ${link} up`;
  return party === undefined ? null : reconnect(situation, party);
}

/** A new interface with everything that belongs to it. */
function reconnect(situation: Situation, container: ContainerFacts, ifName?: string): string | null {
  const owner = sandboxOwner(situation, container) ?? container;
  const endpoint = owner.endpoints.find((each) => each.ifName === ifName) ?? owner.endpoints[0];
  const address = endpoint?.ipv4?.address ?? endpoint?.ipv6?.address;
  const network = address && networkOfAddress(situation, owner, address);
  return network
    ? `docker network disconnect ${network.name} ${owner.name} && docker network connect ${network.name} ${owner.name}`
    : null;
}
