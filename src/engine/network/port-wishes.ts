import { FAMILIES, type Family, familyOf, isLoopback } from '../../model/address.ts';
import type { AddressedNetwork } from '../../model/network.ts';
import type { OpenPort, PortRange } from '../../model/port.ts';
import { type PortWish, parsePortWishes } from '../../plan/port-spec.ts';
import type { AttachRequest } from '../networking.ts';
import { bestGateway, type Candidate } from './gateway-order.ts';
import type { EndpointRecord } from './settings.ts';

export interface NewPorts {
  /** Host ports are wanted for these. */
  readonly translated: readonly PortWish[];
  /** Of networks that are routed: nothing is translated there. */
  readonly opened: readonly OpenPort[];
}

/** All that the container publishes, for the families that it has with this network. @throws EngineError in Docker's words */
export function portWishes(
  request: AttachRequest,
  network: AddressedNetwork,
  siblings: readonly EndpointRecord[],
): readonly PortWish[] {
  const { portBindings, exposedPorts, publishAll } = request;
  const families = FAMILIES.filter(
    (family) =>
      network[family] !== undefined || siblings.some((endpoint) => endpoint[family]?.gateway !== undefined),
  );
  return parsePortWishes(portBindings, exposedPorts, publishAll, {
    families,
    hostBinding: network.driver === 'bridge' ? network.bridge.hostBinding : undefined,
    networkName: network.name,
  });
}

/** Ports go out by the default route: only what comes with the first one of a family is published anew. */
export function newPorts(
  request: AttachRequest,
  network: AddressedNetwork,
  siblings: readonly EndpointRecord[],
  candidates: readonly Candidate[],
): NewPorts {
  const gained = FAMILIES.filter(
    (family) =>
      bestGateway(candidates, family)?.network === network &&
      !siblings.some((endpoint) => endpoint[family]?.gateway !== undefined),
  );
  const routed = (family: Family): boolean => network[family]?.gatewayMode === 'routed';
  const wishes =
    gained.length === 0 || network.driver !== 'bridge' ? [] : portWishes(request, network, siblings);
  const of = (wanted: (family: Family) => boolean): readonly PortWish[] =>
    wishes.flatMap((wish) => {
      const hostIps = wish.hostIps.filter((ip) => gained.includes(familyOf(ip)) && wanted(familyOf(ip)));
      return hostIps.length > 0 ? [{ ...wish, hostIps }] : [];
    });
  return {
    translated: of((family) => !routed(family)),
    opened: of(routed).flatMap(({ hostIps, protocol, containerPort }) => {
      const ports: PortRange = { first: containerPort, last: containerPort };
      // What is for the host alone is not opened to the world: the host reaches every port anyway.
      const open = hostIps.filter((ip) => !isLoopback(ip));
      return open.map((ip) => ({ family: familyOf(ip), protocol, ports }));
    }),
  };
}
