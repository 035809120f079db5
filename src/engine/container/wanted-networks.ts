import type { EndpointSettings, HostConfig } from '@docker/node-sdk';
import { invalid } from '../../model/errors.ts';
import { isAddressed } from '../../model/network.ts';
import { checkChosenAddresses } from '../network/endpoint-options.ts';
import type { Networking } from '../networking.ts';
import { forNetwork } from './check.ts';
import { networkMode } from './container.ts';
import type { CreateRequest } from './create-request.ts';

const PREDEFINED = new Set(['bridge', 'host', 'none']);

/** @throws EngineError INVALID_PARAMETER for what only networks of the user's have */
function checkEndpoint(network: string, settings: EndpointSettings): void {
  if (!PREDEFINED.has(network)) return;
  const wrong = (reason: string) =>
    invalid(`invalid config for network ${network}: invalid endpoint settings:\n${reason}`);
  if (settings.IPAMConfig?.IPv4Address || settings.IPAMConfig?.IPv6Address) {
    throw wrong(
      '* user specified IP address is supported on user defined networks only\n* user specified IP address is supported only when connecting to networks with user configured subnets',
    );
  }
  if ((settings.Aliases ?? []).length > 0) {
    throw wrong('network-scoped aliases are only supported for user-defined networks');
  }
}

/**
 * Networks by name, the one of `NetworkMode` first. That they exist is found out at the start, as dockerd does.
 * @throws EngineError INVALID_PARAMETER in Docker's words
 */
export function wantedNetworks(
  hostConfig: HostConfig,
  request: Pick<CreateRequest, 'config' | 'networks'>,
  known: Pick<Networking, 'list'>,
): Record<string, EndpointSettings> {
  if (networkMode(hostConfig).kind === 'container') return {};
  const { networks: given } = request;
  const { MacAddress: macAddress } = request.config as { MacAddress?: string };
  const first = hostConfig.NetworkMode ?? 'bridge';
  const wanted: Record<string, EndpointSettings> = {};
  const take = (name: string, settings: EndpointSettings): void => {
    checkEndpoint(name, settings);
    // One that is not there yet is asked for at the start.
    const network = known.list().find((each) => each.name === name || each.id === name);
    if (isAddressed(network)) forNetwork(name, () => checkChosenAddresses(network, settings));
    wanted[name] = settings;
  };
  const main = given[first] ?? (first === 'bridge' ? given.default : undefined) ?? {};
  // Clients of API 1.43 and older give one for the whole container.
  take(first, macAddress && !main.MacAddress ? { ...main, MacAddress: macAddress } : main);
  for (const [name, settings] of Object.entries(given)) {
    if (name !== first && name !== 'default') take(name, settings);
  }
  return wanted;
}
