import { isDeepStrictEqual } from 'node:util';
import { type Family, familyOf } from '../../model/address.ts';
import {
  type AddressedNetwork,
  type EndpointAddress,
  GATEWAY_NETWORK,
  isAddressed,
  type Network,
} from '../../model/network.ts';
import type { OpenPort, PublishedPort } from '../../model/port.ts';
import type { EndpointRecord } from './settings.ts';

export interface Candidate {
  readonly network: Network;
  readonly endpoint: Pick<EndpointRecord, 'settings'>;
}

/**
 * Whether `a` carries the default route and the published ports of its sandbox rather than `b`: the higher
 * `gw-priority`, then any but the gateway network, then the one with both families, then the network's name (moby libnetwork/sandbox.go, `Endpoint.Less`).
 */
function goesBefore(a: Candidate, b: Candidate): boolean {
  const priority = (of: Candidate): number => of.endpoint.settings.GwPriority ?? 0;
  if (priority(a) !== priority(b)) return priority(a) > priority(b);
  const last = ({ network }: Candidate): boolean => network.name === GATEWAY_NETWORK;
  if (last(a) !== last(b)) return last(b);
  const dual = ({ network }: Candidate): boolean =>
    isAddressed(network) && network.ipv4 !== undefined && network.ipv6 !== undefined;
  if (dual(a) !== dual(b)) return dual(a);
  return a.network.name < b.network.name;
}

/**
 * The one that carries the default route of a family. Internal networks and those where the host has no address carry
 * none.
 * @returns undefined when there is no other
 */
export function bestGateway<T extends Candidate>(candidates: readonly T[], family: Family): T | undefined {
  return candidates
    .filter(({ network }) => canCarry(network, family))
    .reduce<T | undefined>(
      (best, next) => (best === undefined || goesBefore(next, best) ? next : best),
      undefined,
    );
}

function canCarry(network: Network, family: Family): boolean {
  // An overlay leads to other hosts, not out.
  if (!isAddressed(network) || network.internal || network.driver === 'overlay') return false;
  const addressing = network[family];
  return addressing !== undefined && addressing.gatewayMode !== 'isolated';
}

/** What a sandbox's endpoints carry together. */
export interface Carried {
  readonly published: readonly PublishedPort[];
  readonly opened: readonly OpenPort[];
}

/** The endpoints with the default routes and the ports where they belong; one that changes nothing is the same object. */
export function distribute(
  candidates: readonly { readonly network: AddressedNetwork; readonly endpoint: EndpointRecord }[],
  carried: Carried,
): readonly EndpointRecord[] {
  const best = { ipv4: bestGateway(candidates, 'ipv4'), ipv6: bestGateway(candidates, 'ipv6') };
  return candidates.map((candidate) => {
    const { network, endpoint } = candidate;
    const address = <A extends EndpointAddress>(family: Family, of: A | undefined): A | undefined => {
      if (of === undefined) return undefined;
      const { gateway: _none, ...bare } = of;
      const addressing = best[family] === candidate ? network[family] : undefined;
      if (addressing === undefined) return bare as A;
      return { ...bare, gateway: addressing.defaultGateway ?? addressing.gateway.address } as A;
    };
    const isBridge = network.driver === 'bridge';
    const { ipv4: _ipv4, ipv6: _ipv6, ...rest } = endpoint;
    const ipv4 = address('ipv4', endpoint.ipv4);
    const ipv6 = address('ipv6', endpoint.ipv6);
    const after: EndpointRecord = {
      ...rest,
      ...(ipv4 && { ipv4 }),
      ...(ipv6 && { ipv6 }),
      // What has addresses of its own outside publishes nothing.
      published: isBridge
        ? carried.published.filter(({ hostIp }) => best[familyOf(hostIp)] === candidate)
        : [],
      opened: isBridge ? carried.opened.filter(({ family }) => best[family] === candidate) : [],
    };
    return isDeepStrictEqual(after, endpoint) ? endpoint : after;
  });
}
