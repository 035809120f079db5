import { HostPortTaken, KernelError } from '../../kernel/kernel.ts';
import { type Family, familyOf, formatSocketAddress } from '../../model/address.ts';
import { EngineError, system } from '../../model/errors.ts';
import type { PublishedPort } from '../../model/port.ts';
import type { HostPortResource } from '../../plan/resource.ts';
import type { AttachRequest } from '../networking.ts';
import type { Addresses } from './address-book.ts';

function externalConnectivity(request: AttachRequest, endpointId: string, reason: string): EngineError {
  return system(
    `failed to set up container networking: driver failed programming external connectivity on endpoint ${request.containerName} (${endpointId}): ${reason}`,
  );
}

/**
 * What kept an endpoint from being made, in Docker's words. A HostPortTaken stays one, with the words as its cause: the
 * caller may have another port to offer.
 */
export function attachError(
  error: unknown,
  request: AttachRequest,
  endpointId: string,
  published: readonly PublishedPort[],
  addresses: Addresses,
): unknown {
  if (error instanceof KernelError && error.resource?.kind === 'host-port') {
    const words = bindWords(error.resource, published, addresses, error.errno);
    const refused = externalConnectivity(request, endpointId, words);
    return error instanceof HostPortTaken
      ? new HostPortTaken(error.message, error.errno, error.resource, { cause: refused })
      : refused;
  }
  if (error instanceof EngineError && error.code === 'SYSTEM') {
    return externalConnectivity(request, endpointId, error.message);
  }
  if (error instanceof KernelError && error.errno === 'EXFULL') {
    return system(
      `failed to set up container networking: the bridge of network ${request.network.name} is full: the kernel takes 1023 containers (BR_MAX_PORTS); put more on another network`,
    );
  }
  return error instanceof KernelError
    ? system(`failed to set up container networking: ${error.message}`, error)
    : error;
}

/** Docker's words: `failed to bind host port for 0.0.0.0:8080:172.17.0.2:80/tcp: address already in use`. */
function bindWords(
  held: HostPortResource,
  published: readonly PublishedPort[],
  addresses: Addresses,
  errno: string,
): string {
  const { port, protocol } = held;
  const ports = published.find(
    (each) =>
      each.protocol === protocol &&
      each.hostIp === held.address &&
      each.hostPorts.first <= port &&
      port <= each.hostPorts.last,
  );
  const inside = ports === undefined ? port : ports.containerPorts.first + port - ports.hostPorts.first;
  const family: Family = familyOf(held.address);
  const to = formatSocketAddress(addresses[family]?.address ?? '', inside);
  return `failed to bind host port for ${formatSocketAddress(held.address, port)}:${to}/${protocol}: ${errnoWords(errno)}`;
}

function errnoWords(errno: string): string {
  if (errno === 'EADDRINUSE') return 'address already in use';
  if (errno === 'EADDRNOTAVAIL') return 'cannot assign requested address';
  if (errno === 'EACCES') return 'permission denied';
  return errno;
}
