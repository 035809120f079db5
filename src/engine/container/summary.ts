import type { ContainerSummary, PortSummary } from '@docker/node-sdk';
import type { Container } from './container.ts';
import type { Containers } from './containers.ts';
import { listedMounts, settingsOf } from './inspect.ts';

/** `5 seconds`, `About a minute`, `2 hours`… (docker/go-units HumanDuration). @param ms not negative */
export function humanDuration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const minutes = Math.floor(seconds / 60);
  const hours = Math.round(minutes / 60);
  if (seconds < 1) return 'Less than a second';
  if (seconds === 1) return '1 second';
  if (seconds < 60) return `${seconds} seconds`;
  if (minutes === 1) return 'About a minute';
  if (minutes < 60) return `${minutes} minutes`;
  if (hours === 1) return 'About an hour';
  if (hours < 48) return `${hours} hours`;
  if (hours < 24 * 7 * 2) return `${Math.floor(hours / 24)} days`;
  if (hours < 24 * 30 * 2) return `${Math.floor(hours / 24 / 7)} weeks`;
  if (hours < 24 * 365 * 2) return `${Math.floor(hours / 24 / 30)} months`;
  return `${Math.floor(hours / 24 / 365)} years`;
}

/** The text of `docker ps`'s STATUS column (moby container/state.go). */
export function statusText(container: Container, now: number): string {
  const { state } = container;
  const since = (time: string): string => humanDuration(Math.max(0, now - Date.parse(time)));
  switch (state.status) {
    case 'running': {
      const health = state.health
        ? ` (${state.health.status === 'starting' ? 'health: starting' : state.health.status})`
        : '';
      return `Up ${since(state.startedAt)}${health}`;
    }
    case 'paused':
      return `Up ${since(state.startedAt)} (Paused)`;
    case 'restarting':
      return `Restarting (${state.exitCode}) ${since(state.finishedAt)} ago`;
    case 'removing':
      return 'Removal In Progress';
    case 'dead':
      return 'Dead';
    case 'created':
      return 'Created';
    case 'exited':
      return `Exited (${state.exitCode}) ${since(state.finishedAt)} ago`;
  }
}

/** One row of `GET /containers/json`. */
export function summarize(
  containers: Containers,
  container: Container,
  size?: { rw: number; rootfs: number },
): ContainerSummary {
  const settings = settingsOf(containers, container);
  const command = [...(container.config.Entrypoint ?? []), ...(container.config.Cmd ?? [])].join(' ');
  return {
    Id: container.id,
    Names: [`/${container.name}`],
    Image: container.image,
    ImageID: container.imageId,
    Command: command,
    Created: Math.floor(Date.parse(container.created) / 1000),
    Ports: portSummaries(settings.Ports ?? {}, Object.keys(container.config.ExposedPorts ?? {})),
    ...(size && { SizeRw: size.rw, SizeRootFs: size.rootfs }),
    Labels: container.config.Labels ?? {},
    State: container.state.status,
    Status: statusText(container, Date.now()),
    HostConfig: { NetworkMode: container.hostConfig.NetworkMode ?? 'bridge' },
    NetworkSettings: { Networks: settings.Networks ?? {} },
    Mounts: listedMounts(container),
  };
}

function portSummaries(
  ports: Readonly<Record<string, readonly { HostIp?: string; HostPort?: string }[] | null | undefined>>,
  exposed: readonly string[],
): PortSummary[] {
  const rows: PortSummary[] = [];
  const add = (key: string, bindings: readonly { HostIp?: string; HostPort?: string }[]): void => {
    const [port, type = 'tcp'] = key.split('/');
    const base = { PrivatePort: Number(port), Type: type as 'tcp' };
    if (bindings.length === 0) rows.push(base);
    for (const binding of bindings) {
      rows.push({
        ...(binding.HostIp ? { IP: binding.HostIp } : {}),
        ...base,
        PublicPort: Number(binding.HostPort),
      });
    }
  };
  for (const [key, bindings] of Object.entries(ports)) add(key, bindings ?? []);
  if (Object.keys(ports).length > 0) for (const key of exposed) if (ports[key] === undefined) add(key, []);
  return rows;
}
