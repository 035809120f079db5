import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { conflict, system } from '../../model/errors.ts';
import type { Mount } from '../../runtime/images.ts';
import { buildSpec, type NamespaceChoice, type SpecInput } from '../../runtime/spec/build-spec.ts';
import { hostDevices, resolveDevices } from '../../runtime/spec/devices.ts';
import type { HostFeatures } from '../../runtime/spec/host-features.ts';
import type { SharedMemory, SpecMount } from '../../runtime/spec/mounts.ts';
import type { OciSpec } from '../../runtime/spec/oci.ts';
import { RootfsReader } from '../../runtime/spec/rootfs-reader.ts';
import { lookupUser } from '../../runtime/spec/user.ts';
import type { NetworkFiles } from '../networking.ts';
import { type Container, networkMode } from './container.ts';
import type { Containers } from './containers.ts';

const INIT_PATHS = ['/usr/bin/docker-init', '/usr/bin/tini-static', '/usr/libexec/docker/docker-init'];

/** Everything a task needs besides its streams. @throws EngineError in Docker's words */
export function launchSpec(
  containers: Containers,
  container: Container,
  host: HostFeatures,
  rootfs: readonly Mount[],
  network: NamespaceChoice,
  files: NetworkFiles | undefined,
): OciSpec {
  const { config, hostConfig } = container;
  const daemon = containers.platform.config;
  const user = lookupUser(new RootfsReader(rootfs), config.User ?? '', hostConfig.GroupAdd ?? []);
  const devices = hostConfig.Privileged
    ? { devices: hostDevices(), rules: [] }
    : resolveDevices(hostConfig.Devices ?? []);
  const input: SpecInput = {
    id: container.id,
    config,
    hostConfig,
    hostname: hostnameOf(containers, container),
    user,
    host,
    defaultUlimits: Object.values(daemon.defaultUlimits),
    namespaces: {
      network,
      pid: otherNamespace(containers, hostConfig.PidMode, 'pid', 'own'),
      ipc: otherNamespace(containers, hostConfig.IpcMode, 'ipc', 'own'),
      uts: hostConfig.UTSMode === 'host' ? 'host' : 'own',
      cgroup: hostConfig.CgroupnsMode === 'private' ? 'own' : 'host',
    },
    mounts: [...networkFileMounts(container, files), ...container.mounts.map(specMount)],
    sharedMemory: sharedMemory(containers, container),
    devices: devices.devices,
    deviceRules: devices.rules,
    ...(hostConfig.Init ? { initPath: initPath(daemon.initPath) } : {}),
    cgroupParent: daemon.cgroupParent,
  };
  return buildSpec(input);
}

/** With another's network namespace comes its name (moby daemon/container_operations.go, initializeNetworking). */
function hostnameOf(containers: Containers, container: Container): string {
  const joined = joinsContainer(container);
  return (joined === undefined ? container : containers.lookUp(joined)).config.Hostname ?? '';
}

function specMount(point: Container['mounts'][number]): SpecMount {
  if (point.type === 'tmpfs')
    return { kind: 'tmpfs', target: point.destination, options: point.options ?? '' };
  const source = point.source ?? '';
  // `-v` makes a missing directory on the host, as it always has.
  if (point.type === 'bind' && !existsSync(source)) mkdirSync(source, { recursive: true });
  return {
    kind: 'bind',
    source,
    target: point.destination,
    readOnly: point.readOnly,
    ...(point.propagation === '' ? {} : { propagation: point.propagation }),
  };
}

function networkFileMounts(container: Container, files: NetworkFiles | undefined): SpecMount[] {
  if (files === undefined) return [];
  const taken = new Set(container.mounts.map((mount) => mount.destination));
  const readOnly = container.hostConfig.ReadonlyRootfs ?? false;
  return [
    { source: files.resolvConfPath, target: '/etc/resolv.conf' },
    { source: files.hostnamePath, target: '/etc/hostname' },
    { source: files.hostsPath, target: '/etc/hosts' },
  ]
    .filter(({ target }) => !taken.has(target))
    .map(({ source, target }) => ({ kind: 'bind', source, target, readOnly }));
}

/** @throws EngineError CONFLICT when the other container does not run */
export function runningPid(other: Container, namespace: 'network' | 'pid' | 'ipc'): number {
  if (other.state.status !== 'running' && other.state.status !== 'paused') {
    throw conflict(
      namespace === 'network'
        ? `cannot join network namespace of a non running container: container ${other.name} is ${other.state.status}`
        : `cannot join ${namespace.toUpperCase()} of a non running container: ${other.id}`,
    );
  }
  return other.state.pid;
}

function otherNamespace(
  containers: Containers,
  mode: string | undefined,
  name: 'pid' | 'ipc',
  fallback: 'own',
): NamespaceChoice {
  if (mode === 'host') return 'host';
  if (mode?.startsWith('container:')) {
    const pid = runningPid(containers.lookUp(mode.slice('container:'.length)), name);
    return { path: `/proc/${pid}/ns/${name}` };
  }
  return fallback;
}

function sharedMemory(containers: Containers, container: Container): SharedMemory {
  const mode = container.hostConfig.IpcMode ?? 'private';
  if (mode === 'none') return { kind: 'none' };
  if (mode === 'host') return { kind: 'bind', source: '/dev/shm' };
  if (mode.startsWith('container:')) {
    const pid = runningPid(containers.lookUp(mode.slice('container:'.length)), 'ipc');
    return { kind: 'bind', source: `/proc/${pid}/root/dev/shm` };
  }
  return { kind: 'private', size: container.hostConfig.ShmSize ?? 0 };
}

function initPath(configured: string | undefined): string {
  const found = configured === undefined ? INIT_PATHS.find((path) => existsSync(path)) : configured;
  if (found === undefined || !existsSync(found)) {
    throw system(
      `no init binary for --init: ${configured ?? INIT_PATHS.join(', ')} not found; install Debian's tini package`,
    );
  }
  return found;
}

/** Docker's exit codes and status for what did not start (moby daemon/start.go, setExitCodeFromError). */
export function startFailure(message: string): { readonly exitCode: number; readonly badRequest: boolean } {
  if (
    /executable file not found|no such file or directory|system cannot find the file specified/.test(message)
  ) {
    return { exitCode: 127, badRequest: true };
  }
  if (/permission denied|not a directory|is a directory/.test(message))
    return { exitCode: 126, badRequest: true };
  return { exitCode: 128, badRequest: false };
}

function joinsContainer(container: Container): string | undefined {
  const mode = networkMode(container.hostConfig);
  return mode.kind === 'container' ? mode.ref : undefined;
}

export function stateDirectory(execRoot: string, id: string): string {
  return join(execRoot, 'containers', id);
}
