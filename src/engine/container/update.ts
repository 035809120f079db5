import type { HostConfig } from '@docker/node-sdk';
import { conflict } from '../../model/errors.ts';
import { buildResources } from '../../runtime/spec/resources.ts';
import { checkContainer } from './check.ts';
import { isRunning } from './container.ts';
import type { Lifecycle } from './lifecycle.ts';

/** What `docker update` may change. */
const UPDATABLE = [
  'RestartPolicy',
  'Memory',
  'MemorySwap',
  'MemoryReservation',
  'CpuShares',
  'CpuPeriod',
  'CpuQuota',
  'CpusetCpus',
  'CpusetMems',
  'NanoCpus',
  'PidsLimit',
  'BlkioWeight',
] as const;

/** @returns warnings. @throws EngineError; nothing is changed then */
export async function updateContainer(
  lifecycle: Lifecycle,
  ref: string,
  wanted: HostConfig,
): Promise<readonly string[]> {
  const { containers } = lifecycle;
  const { id } = containers.lookUp(ref);
  return containers.locked(id, async () => {
    const container = containers.get(id);
    const change: Record<string, unknown> = {};
    for (const key of UPDATABLE) {
      const value = wanted[key];
      if (value === undefined || value === 0 || value === '') continue;
      // The CLI sends an empty policy when it is not asked to change it.
      if (key === 'RestartPolicy' && !wanted.RestartPolicy?.Name) continue;
      change[key] = value;
    }
    const hostConfig: HostConfig = { ...container.hostConfig, ...change };
    if (
      hostConfig.AutoRemove &&
      change.RestartPolicy !== undefined &&
      hostConfig.RestartPolicy?.Name !== 'no'
    ) {
      throw conflict('Restart policy cannot be updated because AutoRemove is enabled for the container');
    }
    const warnings = checkContainer(container.config, hostConfig, {});
    const swap = container.hostConfig.MemorySwap ?? 0;
    if (wanted.Memory && wanted.Memory > swap && !wanted.MemorySwap) {
      throw conflict(
        `Cannot update container ${id}: Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time`,
      );
    }
    if (isRunning(container)) {
      await containers.platform.tasks.update(
        id,
        buildResources(hostConfig) as Readonly<Record<string, unknown>>,
      );
    }
    containers.publish(containers.update(id, { hostConfig }), 'update');
    return warnings;
  });
}
