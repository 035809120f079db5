import type { ContainerFacts, WishedPort } from '../../explain/situation.ts';
import { EngineError } from '../../model/errors.ts';
import type { Networks } from '../network/networks.ts';
import { dnsNames } from '../network/settings.ts';
import { type Container, networkMode } from './container.ts';
import type { Containers } from './containers.ts';

/** All containers as an explanation sees them. */
export function containerFacts(containers: Containers, networks: Networks): readonly ContainerFacts[] {
  return containers.all().map((container) => {
    const endpoints = networks.endpoints(container.id);
    return {
      id: container.id,
      name: container.name,
      status: container.state.status,
      error: container.state.error,
      pid: container.state.pid,
      network: networkOf(containers, container),
      endpoints,
      names: Object.fromEntries(endpoints.map((endpoint) => [endpoint.networkId, dnsNames(endpoint)])),
      image: container.image,
      command: container.config.Cmd ?? [],
      plain: isPlain(containers, container),
      wished: wishedPorts(container),
    };
  });
}

/** Nothing would be lost by a `docker run` of image, command and ports. */
function isPlain(
  { platform }: Containers,
  { mounts, config, hostConfig, networks, imageId }: Container,
): boolean {
  const labels = Object.keys(config.Labels ?? {}).some((name) => name.startsWith('com.docker.compose.'));
  const restart = hostConfig.RestartPolicy?.Name ?? '';
  if (mounts.length > 0 || labels || Object.keys(networks).length > 1 || !['', 'no'].includes(restart))
    return false;
  try {
    const image = platform.images.resolve(imageId).config;
    const same = (a: unknown, b: unknown): boolean => JSON.stringify(a ?? []) === JSON.stringify(b ?? []);
    return same(config.Env, image.Env) && same(config.Entrypoint, image.Entrypoint);
  } catch {
    // The image is gone.
    return false;
  }
}

function networkOf(containers: Containers, { hostConfig }: Container): ContainerFacts['network'] {
  const mode = networkMode(hostConfig);
  switch (mode.kind) {
    case 'host':
    case 'none':
      return { kind: mode.kind };
    case 'networks':
      return { kind: 'own' };
    case 'container':
      return { kind: 'container', id: idOf(containers, mode.ref) };
  }
}

/** The other container may be gone. */
function idOf(containers: Containers, ref: string): string {
  try {
    return containers.lookUp(ref).id;
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    return ref;
  }
}

function wishedPorts({ hostConfig }: Container): readonly WishedPort[] {
  return Object.entries(hostConfig.PortBindings ?? {}).flatMap(([key, bindings]) => {
    const [port = '', protocol = 'tcp'] = key.split('/');
    return (bindings ?? []).map(({ HostIp = '', HostPort = '' }) => ({
      hostIp: HostIp,
      hostPort: HostPort,
      containerPort: Number(port),
      protocol,
    }));
  });
}
