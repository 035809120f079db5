import type { HostConfig } from '@docker/node-sdk';
import { MASKED, READONLY } from '../../runtime/spec/build-spec.ts';
import type { DaemonConfig } from '../config.ts';

const SHM_SIZE = 64 * 1024 * 1024;

/** What dockerd fills in where the request is silent (moby daemon_unix.go, adaptContainerSettings). */
export function fillHostConfig(given: HostConfig, daemon: DaemonConfig): HostConfig {
  const memory = given.Memory ?? 0;
  const swap = given.MemorySwap ?? 0;
  const { MemorySwappiness: swappiness, PidsLimit: pids, ...rest } = given;
  return {
    ...(given.Privileged ? {} : { MaskedPaths: [...MASKED], ReadonlyPaths: [...READONLY] }),
    ...rest,
    ...(swappiness === undefined || swappiness === -1 ? {} : { MemorySwappiness: swappiness }),
    ...(pids ? { PidsLimit: pids } : {}),
    NetworkMode:
      given.NetworkMode === undefined || given.NetworkMode === 'default' ? 'bridge' : given.NetworkMode,
    RestartPolicy: {
      Name: given.RestartPolicy?.Name || 'no',
      MaximumRetryCount: given.RestartPolicy?.MaximumRetryCount ?? 0,
    },
    LogConfig: {
      Type: (given.LogConfig?.Type || daemon.logDriver || 'json-file') as 'json-file',
      Config: { ...(given.LogConfig?.Type ? {} : daemon.logOpts), ...given.LogConfig?.Config },
    },
    Runtime: given.Runtime || 'runc',
    ShmSize: given.ShmSize || SHM_SIZE,
    IpcMode: given.IpcMode || 'private',
    CgroupnsMode: given.CgroupnsMode || 'host',
    ...(memory > 0 && swap === 0 ? { MemorySwap: memory * 2 } : {}),
    PortBindings: given.PortBindings ?? {},
    AutoRemove: given.AutoRemove ?? false,
    Privileged: given.Privileged ?? false,
    PublishAllPorts: given.PublishAllPorts ?? false,
    ReadonlyRootfs: given.ReadonlyRootfs ?? false,
  };
}
