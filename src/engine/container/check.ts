import { availableParallelism } from 'node:os';
import type { ContainerConfig, EndpointSettings, HostConfig } from '@docker/node-sdk';
import { FAMILIES } from '../../model/address.ts';
import { EngineError, invalid } from '../../model/errors.ts';
import { parsePortWishes } from '../../plan/port-spec.ts';
import { checkEndpointSettings } from '../network/endpoint-options.ts';
import { networkMode } from './container.ts';
import { refuseHostConfig } from './not-there-yet.ts';
import { parseSignal } from './signal.ts';

const MINIMUM_MEMORY = 6 * 1024 * 1024;
const RUNTIMES = ['runc', 'io.containerd.runc.v2'];

/**
 * Refuses what cannot work, in Docker's words (moby daemon/container.go verifyContainerSettings, runconfig/hostconfig.go,
 * daemon_unix.go). @throws EngineError INVALID_PARAMETER
 */
export function checkContainer(
  config: ContainerConfig,
  hostConfig: HostConfig,
  networks: Readonly<Record<string, EndpointSettings>>,
): readonly string[] {
  checkConfig(config);
  checkRestartPolicy(hostConfig);
  checkNetworkMode(config, hostConfig, networks);
  checkModes(hostConfig);
  refuseHostConfig(hostConfig);
  for (const [name, settings] of Object.entries(networks)) {
    forNetwork(name, () => checkEndpointSettings(settings));
  }
  // Which families there are is known when it is connected.
  parsePortWishes(hostConfig.PortBindings ?? {}, [], false, {
    families: FAMILIES,
    hostBinding: undefined,
    networkName: '',
  });
  const warnings = checkResources(hostConfig);
  if (networkMode(hostConfig).kind === 'host' && Object.keys(hostConfig.PortBindings ?? {}).length > 0) {
    warnings.push('Published ports are discarded when using host network mode');
  }
  return warnings;
}

/** A mistake in what is given for one network, with the network's name. */
export function forNetwork(name: string, body: () => void): void {
  try {
    body();
  } catch (error) {
    throw error instanceof EngineError && error.message.startsWith('invalid endpoint settings')
      ? invalid(`invalid config for network ${name}: ${error.message}`)
      : error;
  }
}

function checkConfig(config: ContainerConfig): void {
  if (config.WorkingDir && !config.WorkingDir.startsWith('/')) {
    throw invalid(`the working directory '${config.WorkingDir}' is invalid, it needs to be an absolute path`);
  }
  if (config.StopSignal) parseSignal(config.StopSignal);
  if ((config.StopTimeout ?? 0) < -1) throw invalid('StopTimeout must not be below -1');
  for (const variable of config.Env ?? []) {
    if (variable === '' || variable.startsWith('='))
      throw invalid(`invalid environment variable: ${variable}`);
  }
  const health = config.Healthcheck;
  for (const name of ['Interval', 'Timeout', 'StartPeriod', 'StartInterval'] as const) {
    const value = health?.[name] ?? 0;
    if (value !== 0 && value < 1_000_000) throw invalid(`${name} in Healthcheck cannot be less than 1ms`);
  }
  if ((health?.Retries ?? 0) < 0) throw invalid('Retries in Healthcheck cannot be negative');
}

function checkRestartPolicy(hostConfig: HostConfig): void {
  const { Name: name = '', MaximumRetryCount: retries = 0 } = hostConfig.RestartPolicy ?? {};
  if (!['', 'no', 'always', 'unless-stopped', 'on-failure'].includes(name)) {
    throw invalid(
      `invalid restart policy: unknown policy '${name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'`,
    );
  }
  if (retries !== 0 && name !== 'on-failure') {
    throw invalid(`invalid restart policy: maximum retry count can only be used with 'on-failure'`);
  }
  if (retries < 0) throw invalid('invalid restart policy: maximum retry count cannot be negative');
  if (hostConfig.AutoRemove && name !== '' && name !== 'no') {
    throw invalid("can't create 'AutoRemove' container with restart policy");
  }
}

function checkNetworkMode(
  config: ContainerConfig,
  hostConfig: HostConfig,
  networks: Readonly<Record<string, EndpointSettings>>,
): void {
  const mode = networkMode(hostConfig);
  if (mode.kind === 'container') {
    if (mode.ref === '') throw invalid('Invalid network mode: invalid container format container:<name|id>');
    const conflicting = (what: string) => invalid(`conflicting options: ${what}`);
    if (config.Hostname) throw conflicting('hostname and the network mode');
    if ((hostConfig.Links ?? []).length > 0)
      throw conflicting(
        "container type network can't be used with links. This would result in undefined behavior",
      );
    if ((hostConfig.Dns ?? []).length > 0) throw conflicting('dns and the network mode');
    if ((hostConfig.ExtraHosts ?? []).length > 0)
      throw conflicting('custom host-to-IP mapping and the network mode');
    if ((config as { MacAddress?: string }).MacAddress) throw conflicting('mac-address and the network mode');
    if (Object.keys(hostConfig.PortBindings ?? {}).length > 0 || hostConfig.PublishAllPorts) {
      throw conflicting('port publishing and the container type network mode');
    }
    if (Object.keys(config.ExposedPorts ?? {}).length > 0) {
      throw conflicting('port exposing and the container type network mode');
    }
  }
  if (mode.kind === 'host' && (hostConfig.Links ?? []).length > 0) {
    throw invalid(
      "conflicting options: host type networking can't be used with links. This would result in undefined behavior",
    );
  }
  if (hostConfig.UTSMode === 'host' && config.Hostname)
    throw invalid('conflicting options: hostname and the UTS mode');
  const alone = mode.kind !== 'networks' || hostConfig.NetworkMode === 'none';
  if (alone && Object.keys(networks).some((name) => name !== hostConfig.NetworkMode)) {
    throw invalid('conflicting options: cannot attach both user-defined and non-user-defined network-modes');
  }
}

function checkModes(hostConfig: HostConfig): void {
  const { IpcMode: ipc = '', PidMode: pid = '', UTSMode: uts = '', CgroupnsMode: cgroup = '' } = hostConfig;
  const other = /^container:./;
  if (!['', 'none', 'private', 'shareable', 'host'].includes(ipc) && !other.test(ipc))
    throw invalid(`invalid IPC mode: ${ipc}`);
  if (!['', 'private', 'host'].includes(pid) && !other.test(pid)) throw invalid(`invalid PID mode: ${pid}`);
  if (!['', 'host'].includes(uts)) throw invalid(`invalid UTS mode: ${uts}`);
  if (!['', 'private', 'host'].includes(cgroup)) throw invalid(`invalid cgroup namespace mode: ${cgroup}`);
  const isolation = hostConfig.Isolation || 'default';
  if (isolation !== 'default')
    throw invalid(`invalid isolation (${isolation}): linux only supports 'default'`);
  const runtime = hostConfig.Runtime || 'runc';
  if (!RUNTIMES.includes(runtime)) throw invalid(`unknown or invalid runtime name: ${runtime}`);
  for (const { Driver: driver, Capabilities: capabilities = [] } of hostConfig.DeviceRequests ?? []) {
    const wanted = `[${capabilities.map((set) => `[${set.join(' ')}]`).join(' ')}]`;
    throw invalid(
      `could not select device driver ${JSON.stringify(driver ?? '')} with capabilities: ${wanted}`,
    );
  }
}

function checkResources(hostConfig: HostConfig): string[] {
  const warnings: string[] = [];
  const { Memory: memory = 0, MemorySwap: swap = 0, MemoryReservation: reservation = 0 } = hostConfig;
  if (memory !== 0 && memory < MINIMUM_MEMORY) throw invalid('Minimum memory limit allowed is 6MB');
  if (memory > 0 && swap > 0 && swap < memory) {
    throw invalid('Minimum memoryswap limit should be larger than memory limit, see usage');
  }
  if (memory === 0 && swap > 0)
    throw invalid('You should always set the Memory limit when using Memoryswap limit, see usage');
  if (reservation > 0 && reservation < MINIMUM_MEMORY)
    throw invalid('Minimum memory reservation allowed is 6MB');
  if (memory > 0 && reservation > memory) {
    throw invalid('Minimum memory limit can not be less than memory reservation limit, see usage');
  }
  if ((hostConfig.NanoCpus ?? 0) > 0 && ((hostConfig.CpuPeriod ?? 0) > 0 || (hostConfig.CpuQuota ?? 0) > 0)) {
    throw invalid('Conflicting options: Nano CPUs and CPU Period cannot both be set');
  }
  const cpus = availableParallelism();
  const nanoCpus = hostConfig.NanoCpus ?? 0;
  if (nanoCpus < 0 || nanoCpus > cpus * 1e9) {
    throw invalid(
      `range of CPUs is from 0.01 to ${cpus.toFixed(2)}, as there are only ${cpus} CPUs available`,
    );
  }
  const period = hostConfig.CpuPeriod ?? 0;
  if (period !== 0 && (period < 1000 || period > 1_000_000)) {
    throw invalid('CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)');
  }
  const quota = hostConfig.CpuQuota ?? 0;
  if (quota > 0 && quota < 1000) throw invalid('CPU cfs quota can not be less than 1ms (i.e. 1000)');
  const oom = hostConfig.OomScoreAdj ?? 0;
  if (oom < -1000 || oom > 1000) {
    throw invalid(`Invalid value ${oom}, range for oom score adj is [-1000, 1000]`);
  }
  if ((hostConfig.ShmSize ?? 0) < 0) throw invalid('SHM size can not be less than 0');
  return warnings;
}
