import { contains, FAMILIES, familyOf, type Ip, isLoopback } from '../model/address.ts';
import type { Cause } from '../model/cause.ts';
import { type AddressedNetwork, GATEWAY_NETWORK, type Network } from '../model/network.ts';
import type { Obstacle } from './hop.ts';
import { type ContainerFacts, hasAddress, networkOf, type Situation, sandboxOwner } from './situation.ts';
import type { Asker, Attempt, Plan } from './target.ts';

/** What ends the way, in the terms of who asks whom. */
export function causeOf(situation: Situation, plan: Plan, attempt: Attempt, obstacle: Obstacle): Cause {
  switch (obstacle.kind) {
    case 'rule':
      return obstacle.rule.by === 'other'
        ? 'foreign-rule'
        : causeOfOwnRule(situation, plan, attempt, obstacle.rule.id, obstacle);
    case 'no-route':
      return causeOfNoRoute(situation, plan, obstacle);
    case 'nobody':
      return plan.to.kind === 'container' && sandboxOwner(situation, plan.to.container) !== undefined
        ? 'link-broken'
        : 'no-answer';
    case 'link':
      return 'link-broken';
    case 'isolated-ports':
    case 'macvlan-apart':
      return 'icc-off';
    case 'forwarding-off':
      return 'forwarding-off';
    case 'rp-filter':
      return 'rp-filter';
    case 'martian':
      return isLoopback(obstacle.address) ? 'published-on-other-address' : 'rp-filter';
    case 'conntrack-full':
      return 'conntrack-full';
    case 'nothing-listens':
      if (isPublishedElsewhere(situation, attempt, obstacle)) return 'published-on-other-address';
      if (obstacle.others.length === 0) return 'nothing-listens';
      return obstacle.others.every(({ address }) => isLoopback(address))
        ? 'listens-on-loopback'
        : 'listens-on-other-address';
    case 'untracked':
      return 'foreign-rule';
    case 'held':
      return 'published-on-other-address';
    case 'bridge-firewall':
      return 'bridge-firewall';
    case 'other-source':
      return 'answer-from-elsewhere';
    case 'host-away':
      return 'host-away';
    case 'left':
      return obstacle.back ? 'no-route' : causeOfLeaving(situation, plan, obstacle.to);
    case 'macvlan-host':
      return 'macvlan-host';
    case 'loop':
      return 'no-route';
  }
}

function causeOfOwnRule(
  situation: Situation,
  plan: Plan,
  attempt: Attempt,
  id: string,
  { packet: { iifname, oifname } }: Extract<Obstacle, { kind: 'rule' }>,
): Cause {
  switch (id) {
    case 'loopback-guard':
      return 'published-on-other-address';
    case 'internal-out':
    case 'internal-in':
      return 'internal-network';
    case 'isolation':
      return iifname === oifname ? 'icc-off' : apart(situation, plan, attempt.address);
    case 'direct-access':
      return apart(situation, plan, attempt.address);
    case 'invalid':
      return 'no-connection';
    default:
      // mac-spoof, ip-spoof, foreign-source…
      return 'source-forged';
  }
}

/** The network of the address lets nobody in from where the asker is. */
function apart(situation: Situation, { from, to }: Plan, address: Ip): Cause {
  const target = to.kind === 'container' ? sandboxOwner(situation, to.container) : undefined;
  const network = networkOfAddress(situation, target, address);
  if (network?.internal) return 'internal-network';
  if (from.kind === 'container') {
    if (networksOf(situation, from.container).every(({ internal }) => internal)) return 'internal-network';
    return network?.[familyOf(address)]?.gatewayMode === 'routed' ? 'port-not-open' : 'no-common-network';
  }
  return network?.[familyOf(address)]?.gatewayMode === 'routed' ? 'port-not-open' : 'unpublished';
}

export function networkOfAddress(
  situation: Pick<Situation, 'networks'>,
  container: ContainerFacts | undefined,
  address: Ip,
): AddressedNetwork | undefined {
  const endpoint = container?.endpoints.find((each) => hasAddress(each, address));
  return endpoint && networkOf(situation, endpoint.networkId);
}

/** Those the container's namespace is on, without the one by which overlay networks reach the outside. */
export function networksOf(
  situation: Pick<Situation, 'networks' | 'containers'>,
  container: ContainerFacts,
): readonly AddressedNetwork[] {
  const endpoints = sandboxOwner(situation, container)?.endpoints ?? [];
  return endpoints
    .map(({ networkId }) => networkOf(situation, networkId))
    .filter((network) => network !== undefined)
    .filter(({ name }) => name !== GATEWAY_NETWORK);
}

function causeOfNoRoute(
  situation: Situation,
  plan: Plan,
  { where, to, refusing, rule }: Extract<Obstacle, { kind: 'no-route' }>,
): Cause {
  if (where.kind !== 'container') return 'no-route';
  const container = situation.containers.find(({ id }) => id === where.id);
  const networks = container === undefined ? [] : networksOf(situation, container);
  if (networks.length === 0) return 'no-network';
  if (refusing !== undefined || rule !== undefined) return 'no-route';
  const space = situation.world.sandboxes.find((each) => each.where === where);
  if (space?.facts.links.some(({ name, up }) => name !== 'lo' && !up)) return 'link-broken';
  const family = familyOf(to);
  if (!networks.some((network) => network[family] !== undefined)) return 'no-address';
  if (networks.every(({ internal }) => internal)) return 'internal-network';
  const overlay = overlayOf(situation, to);
  if (overlay !== undefined && !networks.some(({ id }) => id === overlay.id)) return 'no-common-network';
  // Of this family it has no way out, of the other it may have one.
  const ways = networks.filter((network) => network[family] !== undefined && !network.internal);
  return ways.length === 0 && plan.from.kind === 'container' ? 'internal-network' : 'no-route';
}

/** It went to the uplink although it is for a container here. */
function causeOfLeaving(situation: Situation, { to }: Plan, address: Ip): Cause {
  if (to.kind === 'remote') return 'no-common-network';
  if (to.kind === 'address' && overlayOf(situation, to.address) !== undefined) return 'no-common-network';
  if (to.kind === 'address') return 'no-answer';
  if (to.kind !== 'container') return 'no-route';
  const network = networkOfAddress(situation, sandboxOwner(situation, to.container), address);
  if (network?.driver === 'bridge') {
    const bridge = situation.world.host.facts.links.find(({ name }) => name === network.bridge.ifName);
    if (bridge === undefined || !bridge.up) return 'link-broken';
    if (network[familyOf(address)]?.onBridge === false) return 'internal-network';
  }
  if (network?.driver === 'overlay') return 'no-common-network';
  return 'no-route';
}

/** The overlay network that an address is of, also where nobody of it is on this host. */
export const overlayOf = ({ networks }: Pick<Situation, 'networks'>, address: Ip): Network | undefined =>
  networks.find(
    (network) =>
      network.driver === 'overlay' &&
      FAMILIES.some((family) => {
        const subnet = network[family]?.subnet;
        return subnet !== undefined && contains(subnet, address);
      }),
  );

/** Asked at the host, where the port is published, on addresses that were not asked. */
function isPublishedElsewhere(
  { containers }: Situation,
  { port, address }: Attempt,
  { where, protocol }: Extract<Obstacle, { kind: 'nothing-listens' }>,
): boolean {
  if (where.kind !== 'host') return false;
  return containers.some(({ endpoints }) =>
    endpoints.some(({ published }) =>
      published.some(
        ({ hostIp, hostPorts, protocol: of }) =>
          of === protocol &&
          port !== undefined &&
          port >= hostPorts.first &&
          port <= hostPorts.last &&
          hostIp !== address,
      ),
    ),
  );
}

/** Why a container can neither ask nor answer; undefined when it runs. */
export function causeOfState({ status, error }: ContainerFacts): Cause | undefined {
  switch (status) {
    case 'running':
      return undefined;
    case 'paused':
      return 'container-paused';
    case 'restarting':
      return 'container-restarting';
    default:
      return /port is already allocated|address already in use/.test(error)
        ? 'host-port-taken'
        : 'container-stopped';
  }
}

export const isAway = (asker: Asker): boolean => asker.kind === 'outside';
