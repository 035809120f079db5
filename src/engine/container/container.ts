import type { ContainerConfig, EndpointSettings, HostConfig } from '@docker/node-sdk';

/** Where a mount of a container comes from, as it was decided at creation. */
export interface MountPoint {
  readonly type: 'bind' | 'volume' | 'tmpfs';
  /** Of a volume. */
  readonly name?: string;
  /** Host path; absent for tmpfs. */
  readonly source?: string;
  readonly destination: string;
  readonly readOnly: boolean;
  /** Docker's mode text (`z`, `ro,z`…), for inspect. */
  readonly mode: string;
  readonly propagation: '' | 'private' | 'rprivate' | 'shared' | 'rshared' | 'slave' | 'rslave';
  /** Options of a tmpfs, comma separated. */
  readonly options?: string;
  /** False for `volume-nocopy`, and once the image's content was copied. */
  readonly copyUp?: boolean;
  /** Of an anonymous volume, which `rm -v` removes. */
  readonly anonymous?: boolean;
}

export type Status = 'created' | 'running' | 'paused' | 'restarting' | 'removing' | 'exited' | 'dead';

export interface HealthResult {
  readonly Start: string;
  readonly End: string;
  readonly ExitCode: number;
  readonly Output: string;
}

export interface Health {
  readonly status: 'starting' | 'healthy' | 'unhealthy';
  readonly failingStreak: number;
  /** The last five. */
  readonly log: readonly HealthResult[];
}

export interface State {
  readonly status: Status;
  /** 0 when there is no process. */
  readonly pid: number;
  readonly exitCode: number;
  readonly error: string;
  readonly oomKilled: boolean;
  /** RFC 3339; `0001-01-01T00:00:00Z` when it never was. */
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly health?: Health;
}

/** Everything durable of a container; a document in the store. */
export interface Container {
  /** 64 lower-case hex digits. */
  readonly id: string;
  /** Without Docker's leading slash. */
  readonly name: string;
  readonly created: string;
  /** The image as the user named it. */
  readonly image: string;
  readonly imageId: string;
  /** Image and request merged. */
  readonly config: ContainerConfig;
  readonly hostConfig: HostConfig;
  /** Networks by name, with what the user wants of each (`NetworkingConfig.EndpointsConfig`). */
  readonly networks: Readonly<Record<string, EndpointSettings>>;
  readonly mounts: readonly MountPoint[];
  readonly state: State;
  readonly restartCount: number;
  /** `docker stop` was the last word: `unless-stopped` leaves it alone. */
  readonly manuallyStopped: boolean;
}

export const NEVER = '0001-01-01T00:00:00Z';

export const initialState: State = {
  status: 'created',
  pid: 0,
  exitCode: 0,
  error: '',
  oomKilled: false,
  startedAt: NEVER,
  finishedAt: NEVER,
};

export function isRunning(container: Container): boolean {
  return container.state.status === 'running' || container.state.status === 'paused';
}

/** How the container gets at the network (`HostConfig.NetworkMode`). */
export type NetworkMode =
  | { readonly kind: 'host' }
  | { readonly kind: 'container'; readonly ref: string }
  | { readonly kind: 'networks' };

export function networkMode(hostConfig: HostConfig): NetworkMode {
  const mode = hostConfig.NetworkMode ?? 'default';
  if (mode === 'host') return { kind: 'host' };
  if (mode.startsWith('container:')) return { kind: 'container', ref: mode.slice('container:'.length) };
  return { kind: 'networks' };
}

/** On the network `none`, and so on no other; not for ever: `docker network disconnect none` ends it. */
export function isOnNone({ networks }: Container): boolean {
  return networks.none !== undefined;
}

/** Attributes of every event of this container (moby daemon/events.go). */
export function eventAttributes(container: Container): Record<string, string> {
  return { ...container.config.Labels, image: container.image, name: container.name };
}
