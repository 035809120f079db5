import { conflict, EngineError, notImplemented } from '../../model/errors.ts';
import { parseLink } from '../../model/link.ts';
import type { NetworkFilesRequest } from '../networking.ts';
import { type Container, isRunning, networkMode } from './container.ts';
import type { Containers } from './containers.ts';

const linksOf = (container: Container) => (container.hostConfig.Links ?? []).map(parseLink);

/** @throws EngineError NOT_FOUND for a container that is not there, NOT_IMPLEMENTED where a link would have to open a bridge */
export function checkLinks(containers: Containers, links: readonly string[]): void {
  for (const { container } of links.map(parseLink)) {
    try {
      containers.lookUp(container);
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      throw new EngineError(error.code, `could not get container for ${container}: ${error.message}`);
    }
  }
  if (links.length > 0 && !containers.platform.config.network.icc) {
    throw notImplemented(
      '--link with --icc=false (a published port, or a network of their own, lets them meet)',
    );
  }
}

/**
 * The lines of `/etc/hosts` for `--link` on the default bridge: alias, hostname, name (moby
 * daemon/container_operations_unix.go).
 */
export function linkedHosts(containers: Containers, container: Container): NetworkFilesRequest['links'] {
  return linksOf(container).flatMap(({ container: ref, alias }) => {
    const id = idOf(containers, ref);
    const other = id === undefined ? undefined : containers.find(id);
    if (other === undefined) return [];
    const names = [alias, other.config.Hostname ?? '', other.name].filter(Boolean);
    const endpoint = containers.platform.networking
      .endpoints(other.id)
      .find(({ networkId }) => containers.platform.networking.resolve('bridge').id === networkId);
    if (endpoint?.ipv4 === undefined) return [];
    return [{ address: endpoint.ipv4.address, names: [...new Set(names)] }];
  });
}

/** @throws EngineError CONFLICT when a linked container does not run */
export function checkLinked(containers: Containers, container: Container): void {
  for (const { container: ref, alias } of linksOf(container)) {
    const other = containers.lookUp(ref);
    if (!isRunning(other)) {
      throw conflict(`Cannot link to a non running container: /${other.name} AS /${container.name}/${alias}`);
    }
  }
}

/** A linked container may have been removed since. */
function idOf(containers: Containers, ref: string): string | undefined {
  try {
    return containers.lookUp(ref).id;
  } catch {
    return undefined;
  }
}

/** Running containers that are linked to this one: its address may be another now. */
export function linkedFrom(containers: Containers, { id }: Container): readonly Container[] {
  return containers
    .all()
    .filter(
      (other) =>
        (other.hostConfig.Links ?? []).length > 0 &&
        isRunning(other) &&
        networkMode(other.hostConfig).kind === 'networks' &&
        linksOf(other).some(({ container }) => idOf(containers, container) === id),
    );
}
