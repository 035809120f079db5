import type { ContainerConfig, EndpointSettings, HostConfig, NetworkingConfig } from '@docker/node-sdk';
import { z } from 'zod';
import { invalid } from '../../model/errors.ts';
import { endpointSettings } from '../network/endpoint-options.ts';

const strings = z.array(z.string()).nullish();
const stringMap = z.record(z.string(), z.string()).nullish();
const emptyMap = z.record(z.string(), z.unknown()).nullish();
const count = z.number().int().nullish();

/** A command may be a single string, as in the days of API 1.0 (moby strslice). */
const command = z.union([z.string().transform((text) => [text]), z.array(z.string())]).nullish();

const healthcheck = z
  .looseObject({
    Test: strings,
    Interval: count,
    Timeout: count,
    StartPeriod: count,
    StartInterval: count,
    Retries: count,
  })
  .nullish();

const config = z.looseObject({
  Hostname: z.string().nullish(),
  Domainname: z.string().nullish(),
  User: z.string().nullish(),
  AttachStdin: z.boolean().nullish(),
  AttachStdout: z.boolean().nullish(),
  AttachStderr: z.boolean().nullish(),
  Tty: z.boolean().nullish(),
  OpenStdin: z.boolean().nullish(),
  StdinOnce: z.boolean().nullish(),
  Env: strings,
  Cmd: command,
  Entrypoint: command,
  Image: z.string().nullish(),
  WorkingDir: z.string().nullish(),
  Labels: stringMap,
  Volumes: emptyMap,
  ExposedPorts: emptyMap,
  StopSignal: z.string().nullish(),
  StopTimeout: count,
  Healthcheck: healthcheck,
});

const portMap = z
  .record(
    z.string(),
    z.array(z.looseObject({ HostIp: z.string().optional(), HostPort: z.string().optional() })).nullable(),
  )
  .nullish();

const hostConfig = z.looseObject({
  Binds: strings,
  NetworkMode: z.string().nullish(),
  PortBindings: portMap,
  RestartPolicy: z.looseObject({ Name: z.string().nullish(), MaximumRetryCount: count }).nullish(),
  AutoRemove: z.boolean().nullish(),
  VolumesFrom: strings,
  CapAdd: strings,
  CapDrop: strings,
  Dns: strings,
  DnsOptions: strings,
  DnsSearch: strings,
  ExtraHosts: strings,
  GroupAdd: strings,
  IpcMode: z.string().nullish(),
  PidMode: z.string().nullish(),
  UTSMode: z.string().nullish(),
  CgroupnsMode: z.string().nullish(),
  Links: strings,
  Privileged: z.boolean().nullish(),
  PublishAllPorts: z.boolean().nullish(),
  ReadonlyRootfs: z.boolean().nullish(),
  SecurityOpt: strings,
  Tmpfs: stringMap,
  Sysctls: stringMap,
  ShmSize: count,
  Memory: count,
  MemorySwap: count,
  MemoryReservation: count,
  NanoCpus: count,
  CpuShares: count,
  CpuPeriod: count,
  CpuQuota: count,
  PidsLimit: count,
  OomScoreAdj: count,
  Init: z.boolean().nullish(),
  Ulimits: z.array(z.looseObject({ Name: z.string(), Soft: z.number(), Hard: z.number() })).nullish(),
  Devices: z.array(z.looseObject({ PathOnHost: z.string() })).nullish(),
  Mounts: z.array(z.looseObject({ Type: z.string(), Target: z.string() })).nullish(),
  LogConfig: z.looseObject({ Type: z.string().nullish(), Config: stringMap }).nullish(),
});

const networkingConfig = z.looseObject({
  EndpointsConfig: z.record(z.string(), endpointSettings.nullable()).nullish(),
});

const createBody = config.extend({
  HostConfig: hostConfig.nullish(),
  NetworkingConfig: networkingConfig.nullish(),
});

export interface CreateRequest {
  readonly config: ContainerConfig;
  readonly hostConfig: HostConfig;
  readonly networks: Readonly<Record<string, EndpointSettings>>;
}

/** The body of `POST /containers/create`. @throws EngineError INVALID_PARAMETER */
export function parseCreateRequest(body: unknown): CreateRequest {
  if (body === null || body === undefined)
    throw invalid('config cannot be empty in order to create a container');
  const parsed = createBody.safeParse(body);
  if (!parsed.success) throw invalid(`invalid container configuration: ${z.prettifyError(parsed.error)}`);
  const { HostConfig: host, NetworkingConfig: networking, ...rest } = parsed.data;
  const networks = (networking as NetworkingConfig | null | undefined)?.EndpointsConfig ?? {};
  return {
    config: withoutNull(rest) as ContainerConfig,
    hostConfig: withoutNull(host ?? {}) as HostConfig,
    networks: Object.fromEntries(Object.entries(networks).map(([name, settings]) => [name, settings ?? {}])),
  };
}

export function parseUpdateRequest(body: unknown): HostConfig {
  const parsed = hostConfig.safeParse(body ?? {});
  if (!parsed.success) throw invalid(`invalid update: ${z.prettifyError(parsed.error)}`);
  return withoutNull(parsed.data) as HostConfig;
}

function withoutNull(value: object): object {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== null && item !== undefined));
}
