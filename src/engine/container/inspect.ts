import { join } from 'node:path';
import type { ContainerInspectResponse, MountPoint as DockerMount } from '@docker/node-sdk';
import { parseLink } from '../../model/link.ts';
import type { Mount } from '../../runtime/images.ts';
import { type Container, type MountPoint, networkMode } from './container.ts';
import type { Containers } from './containers.ts';

/** What inspect needs that is not in the record. */
export interface InspectFacts {
  readonly execIds: readonly string[];
  readonly rootfs: readonly Mount[];
  /** Bytes, when asked for. */
  readonly size?: { readonly rw: number; readonly rootfs: number };
}

/** `--tmpfs` is told in `HostConfig.Tmpfs` alone. */
export function listedMounts(container: Container): DockerMount[] {
  const { Tmpfs: tmpfs = {} } = container.hostConfig;
  return container.mounts
    .filter((mount) => mount.type !== 'tmpfs' || !(mount.destination in tmpfs))
    .map(dockerMount);
}

function dockerMount(mount: MountPoint): DockerMount {
  return {
    Type: mount.type,
    ...(mount.name === undefined ? {} : { Name: mount.name }),
    Source: mount.source ?? '',
    Destination: mount.destination,
    ...(mount.type === 'volume' ? { Driver: 'local' } : {}),
    Mode: mount.mode,
    RW: !mount.readOnly,
    Propagation: mount.propagation,
  };
}

/** `GET /containers/ID/json` (docs.docker.com/reference/api/engine, ContainerInspect). */
export function inspectContainer(
  containers: Containers,
  container: Container,
  facts: InspectFacts,
): ContainerInspectResponse {
  const { config, hostConfig, state, id } = container;
  const { config: daemon } = containers.platform;
  const command = [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])];
  const directory = containers.directory(id);
  const ownFiles = networkMode(hostConfig).kind !== 'container';
  const started = state.startedAt !== '0001-01-01T00:00:00Z';
  return {
    Id: id,
    Created: container.created,
    Path: command[0] ?? '',
    Args: command.slice(1),
    State: {
      Status: state.status,
      Running: state.status === 'running' || state.status === 'paused' || state.status === 'restarting',
      Paused: state.status === 'paused',
      Restarting: state.status === 'restarting',
      OOMKilled: state.oomKilled,
      Dead: state.status === 'dead',
      Pid: state.pid,
      ExitCode: state.exitCode,
      Error: state.error,
      StartedAt: state.startedAt,
      FinishedAt: state.finishedAt,
      ...(state.health && {
        Health: {
          Status: state.health.status,
          FailingStreak: state.health.failingStreak,
          Log: state.health.log.map((entry) => ({ ...entry })),
        },
      }),
    },
    Image: container.imageId,
    ResolvConfPath: started && ownFiles ? join(directory, 'resolv.conf') : '',
    HostnamePath: started && ownFiles ? join(directory, 'hostname') : '',
    HostsPath: started && ownFiles ? join(directory, 'hosts') : '',
    LogPath:
      started && (hostConfig.LogConfig?.Type ?? 'json-file') === 'json-file' ? containers.logPath(id) : '',
    Name: `/${container.name}`,
    RestartCount: container.restartCount,
    Driver: 'overlayfs',
    Platform: 'linux',
    MountLabel: '',
    ProcessLabel: '',
    AppArmorProfile: '',
    ExecIDs: facts.execIds.length > 0 ? [...facts.execIds] : null,
    HostConfig: dockerHostConfig(container, daemon.cgroupParent),
    GraphDriver: { Name: 'overlayfs', Data: graphData(facts.rootfs) },
    ...(facts.size && { SizeRw: facts.size.rw, SizeRootFs: facts.size.rootfs }),
    Mounts: listedMounts(container),
    Config: {
      Hostname: '',
      Domainname: '',
      User: '',
      AttachStdin: false,
      AttachStdout: false,
      AttachStderr: false,
      Tty: false,
      OpenStdin: false,
      StdinOnce: false,
      ...config,
      Env: config.Env ?? [],
      Cmd: (config.Cmd ?? []).length > 0 ? config.Cmd : null,
      Entrypoint: (config.Entrypoint ?? []).length > 0 ? config.Entrypoint : null,
      Image: container.image,
      Volumes: Object.keys(config.Volumes ?? {}).length > 0 ? config.Volumes : null,
      ExposedPorts: Object.keys(config.ExposedPorts ?? {}).length > 0 ? config.ExposedPorts : undefined,
      OnBuild: null,
    },
    NetworkSettings: settingsOf(containers, container),
  } as unknown as ContainerInspectResponse;
}

/** Networks of a container that does not run are listed by name, with nothing in them, as Docker lists them. */
export function settingsOf(
  containers: Containers,
  container: Container,
): NonNullable<ContainerInspectResponse['NetworkSettings']> {
  const settings = containers.platform.networking.settings(container.id);
  const networks: Record<string, object> = {};
  for (const [name, wanted] of Object.entries(container.networks)) {
    networks[name] = {
      IPAMConfig: wanted.IPAMConfig ?? null,
      Links: wanted.Links ?? null,
      Aliases: wanted.Aliases ?? null,
      MacAddress: wanted.MacAddress ?? '',
      DriverOpts: wanted.DriverOpts ?? null,
      GwPriority: 0,
      NetworkID: '',
      EndpointID: '',
      Gateway: '',
      IPAddress: '',
      IPPrefixLen: 0,
      IPv6Gateway: '',
      GlobalIPv6Address: '',
      GlobalIPv6PrefixLen: 0,
      DNSNames: null,
      ...settings.Networks?.[name],
    };
  }
  return { ...settings, Networks: networks as NonNullable<typeof settings.Networks> };
}

function dockerHostConfig(container: Container, cgroupParent: string): object {
  const { hostConfig } = container;
  const links = (hostConfig.Links ?? [])
    .map(parseLink)
    .map((link) => `/${link.container}:/${container.name}/${link.alias}`);
  return {
    Binds: null,
    ContainerIDFile: '',
    LogConfig: {},
    NetworkMode: 'bridge',
    PortBindings: {},
    RestartPolicy: {},
    AutoRemove: false,
    VolumeDriver: '',
    VolumesFrom: null,
    ConsoleSize: [0, 0],
    CapAdd: null,
    CapDrop: null,
    CgroupnsMode: 'host',
    Dns: [],
    DnsOptions: [],
    DnsSearch: [],
    ExtraHosts: null,
    GroupAdd: null,
    IpcMode: 'private',
    Cgroup: '',
    Links: null,
    OomScoreAdj: 0,
    PidMode: '',
    Privileged: false,
    PublishAllPorts: false,
    ReadonlyRootfs: false,
    SecurityOpt: null,
    UTSMode: '',
    UsernsMode: '',
    ShmSize: 0,
    Runtime: 'runc',
    Isolation: '',
    CpuShares: 0,
    Memory: 0,
    NanoCpus: 0,
    BlkioWeight: 0,
    BlkioWeightDevice: [],
    BlkioDeviceReadBps: [],
    BlkioDeviceWriteBps: [],
    BlkioDeviceReadIOps: [],
    BlkioDeviceWriteIOps: [],
    CpuPeriod: 0,
    CpuQuota: 0,
    CpuRealtimePeriod: 0,
    CpuRealtimeRuntime: 0,
    CpusetCpus: '',
    CpusetMems: '',
    Devices: [],
    DeviceCgroupRules: null,
    DeviceRequests: null,
    MemoryReservation: 0,
    MemorySwap: 0,
    MemorySwappiness: null,
    OomKillDisable: false,
    PidsLimit: null,
    Ulimits: null,
    CpuCount: 0,
    CpuPercent: 0,
    IOMaximumIOps: 0,
    IOMaximumBandwidth: 0,
    MaskedPaths: null,
    ReadonlyPaths: null,
    ...hostConfig,
    ...(links.length > 0 && { Links: links }),
    CgroupParent: hostConfig.CgroupParent ?? (cgroupParent === '/gangway' ? '' : cgroupParent),
  };
}

function graphData(rootfs: readonly Mount[]): Record<string, string> {
  const options = rootfs[0]?.options ?? [];
  const option = (name: string): string =>
    options.find((text) => text.startsWith(`${name}=`))?.slice(name.length + 1) ?? '';
  if (option('upperdir') === '') return {};
  return { LowerDir: option('lowerdir'), UpperDir: option('upperdir'), WorkDir: option('workdir') };
}
