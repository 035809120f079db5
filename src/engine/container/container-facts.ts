import type { ContainerFacts, WishedPort } from '../../explain/situation.ts';
import { EngineError } from '../../model/errors.ts';
import type { Networks } from '../network/networks.ts';
import { dnsNames } from '../network/settings.ts';
import { type Container, isOnNone, networkMode } from './container.ts';
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
      networkOptions: networkOptions(container),
      wished: wishedPorts(container),
    };
  });
}

/** What would be lost unless it is told again. */
const SETTINGS = [
  ...(['Privileged', 'Memory', 'NanoCpus', 'CpusetCpus', 'CapAdd', 'CapDrop', 'Devices', 'Dns'] as const),
  ...([
    'ExtraHosts',
    'Links',
    'SecurityOpt',
    'Tmpfs',
    'Ulimits',
    'Sysctls',
    'ReadonlyRootfs',
    'Init',
  ] as const),
] as const;

const isSet = (value: unknown): boolean =>
  typeof value === 'object' && value !== null ? Object.keys(value).length > 0 : Boolean(value);

/** Nothing would be lost by a `docker run` of image, command, networks and ports. */
function isPlain(
  { platform }: Containers,
  { mounts, config, hostConfig, networks, imageId }: Container,
): boolean {
  const labels = Object.keys(config.Labels ?? {}).some((name) => name.startsWith('com.docker.compose.'));
  const restart = hostConfig.RestartPolicy?.Name ?? '';
  const chosen = SETTINGS.some((name) => isSet(hostConfig[name]));
  const odd = Object.values(networks).some((settings) => !isTold(settings));
  if (mounts.length > 0 || labels || chosen || odd || !['', 'no'].includes(restart)) return false;
  try {
    const image = platform.images.resolve(imageId).config;
    const same = (a: unknown, b: unknown): boolean => JSON.stringify(a ?? []) === JSON.stringify(b ?? []);
    return same(config.Env, image.Env) && same(config.Entrypoint, image.Entrypoint);
  } catch {
    // The image is gone.
    return false;
  }
}

/** Nothing but an address of its own was chosen on the network. */
const isTold = ({ IPAMConfig, ...others }: Container['networks'][string]): boolean =>
  !Object.values(others).some(isSet) &&
  Object.entries(IPAMConfig ?? {}).every(([key, value]) => key === 'IPv4Address' || !isSet(value));

/** The network of `--network` first. */
function networkOptions({ hostConfig, networks }: Container): readonly string[] {
  const first = hostConfig.NetworkMode ?? 'bridge';
  const all = Object.entries(networks).toSorted(([a], [b]) => Number(b === first) - Number(a === first));
  const told = all.map(([name, { IPAMConfig }]) =>
    IPAMConfig?.IPv4Address ? `name=${name},ip=${IPAMConfig.IPv4Address}` : name,
  );
  return told.length === 1 && ['bridge', 'default'].includes(told[0] ?? '') ? [] : told;
}

function networkOf(containers: Containers, container: Container): ContainerFacts['network'] {
  const mode = networkMode(container.hostConfig);
  switch (mode.kind) {
    case 'host':
      return { kind: 'host' };
    case 'networks':
      return { kind: isOnNone(container) ? 'none' : 'own' };
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
