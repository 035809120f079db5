import { randomBytes } from 'node:crypto';
import { type IfName, parseMac } from '../../model/address.ts';
import { invalid } from '../../model/errors.ts';
import type { AddressedNetwork, Sandbox } from '../../model/network.ts';
import type { AttachRequest } from '../networking.ts';
import type { Addresses } from './address-book.ts';
import { endpointMac } from './default-networks.ts';
import { parseEndpointOptions } from './endpoint-options.ts';
import type { EndpointRecord } from './settings.ts';

export interface NewEndpoint {
  readonly id: string;
  readonly request: AttachRequest;
  readonly network: AddressedNetwork;
  readonly sandbox: Sandbox;
  /** What the sandbox has already. */
  readonly siblings: readonly EndpointRecord[];
  readonly addresses: Addresses;
}

/** An endpoint as the request wants it, before default routes and ports are distributed. @throws EngineError INVALID_PARAMETER */
export function newEndpoint({
  id,
  request,
  network,
  sandbox,
  siblings,
  addresses,
}: NewEndpoint): EndpointRecord {
  const options = parseEndpointOptions(request.settings);
  const ifName = chooseIfName(siblings, network, options.ifName);
  return {
    id,
    networkId: network.id,
    sandboxId: sandbox.id,
    containerId: request.containerId,
    containerName: request.containerName,
    hostname: request.hostname,
    mac: request.settings.MacAddress
      ? parseMac(request.settings.MacAddress)
      : endpointMac(addresses.ipv4?.address),
    ...addresses,
    linkLocal: options.linkLocal,
    sysctls: Object.fromEntries(
      Object.entries(options.sysctls).map(([name, value]) => [name.replace('IFNAME', ifName), value]),
    ),
    ...(network.driver !== 'macvlan' && {
      hostIfName: `veth${randomBytes(4).toString('hex').slice(0, 7)}` as IfName,
    }),
    ifName,
    aliases: request.settings.Aliases ?? [],
    published: [],
    opened: [],
    exposed: request.exposedPorts,
    settings: request.settings,
  };
}

/** @throws EngineError INVALID_PARAMETER when the wanted name is taken in the sandbox */
function chooseIfName(
  siblings: readonly EndpointRecord[],
  network: AddressedNetwork,
  wanted: IfName | undefined,
): IfName {
  const taken = new Set<string>(['lo', ...siblings.map((endpoint) => endpoint.ifName)]);
  if (wanted !== undefined) {
    if (taken.has(wanted)) throw invalid(`interface name ${wanted} is in use in the container already`);
    return wanted;
  }
  const ifPrefix =
    network.driver === 'bridge'
      ? network.bridge.ifPrefix
      : network.driver === 'macvlan'
        ? network.macvlan.ifPrefix
        : 'eth';
  for (let i = 0; ; i++) if (!taken.has(`${ifPrefix}${i}`)) return `${ifPrefix}${i}` as IfName;
}
