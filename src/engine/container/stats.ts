import { setTimeout as sleep } from 'node:timers/promises';
import { type InterfaceCounters, interfaceCounters } from '../../runtime/cgroup/interface-counters.ts';
import { type CgroupUsage, onlineCpus, readUsage, systemCpu } from '../../runtime/cgroup/usage.ts';
import { type Container, isRunning, NEVER, networkMode } from './container.ts';
import type { Containers } from './containers.ts';

const EVERY_MS = 1000;
const NO_CPU = {
  cpu_usage: { total_usage: 0, usage_in_kernelmode: 0, usage_in_usermode: 0 },
  throttling_data: { periods: 0, throttled_periods: 0, throttled_time: 0 },
};
const NO_BLOCKS = {
  io_service_bytes_recursive: null,
  io_serviced_recursive: null,
  io_queue_recursive: null,
  io_service_time_recursive: null,
  io_wait_time_recursive: null,
  io_merged_recursive: null,
  io_time_recursive: null,
  sectors_recursive: null,
};

interface Sample {
  readonly read: string;
  readonly cpu: object;
  readonly rest: object;
}

/** What `docker stats` shows at one moment (docs.docker.com/reference/api/engine, ContainerStats). */
export type Stats = Readonly<Record<string, unknown>>;

/** A container that does not run has used nothing. */
function emptyStats(container: Container): Stats {
  return {
    name: `/${container.name}`,
    id: container.id,
    read: NEVER,
    preread: NEVER,
    pids_stats: {},
    blkio_stats: NO_BLOCKS,
    num_procs: 0,
    storage_stats: {},
    cpu_stats: NO_CPU,
    precpu_stats: NO_CPU,
    memory_stats: {},
  };
}

function sample(container: Container): Sample | undefined {
  if (!isRunning(container)) return undefined;
  try {
    const usage = readUsage(container.state.pid);
    return {
      read: new Date().toISOString(),
      cpu: cpuStats(usage),
      rest: restOf(usage, networksOf(container)),
    };
  } catch {
    // It has ended between the look at its record and the one at its files.
    return undefined;
  }
}

function networksOf(container: Container): Readonly<Record<string, InterfaceCounters>> {
  return networkMode(container.hostConfig).kind === 'host' ? {} : interfaceCounters(container.state.pid);
}

function cpuStats({ cpu }: CgroupUsage): object {
  return {
    cpu_usage: {
      total_usage: cpu.total,
      ...(cpu.perCpu === undefined ? {} : { percpu_usage: cpu.perCpu }),
      usage_in_kernelmode: cpu.kernel,
      usage_in_usermode: cpu.user,
    },
    system_cpu_usage: systemCpu(),
    online_cpus: onlineCpus(),
    throttling_data: {
      periods: cpu.periods,
      throttled_periods: cpu.throttledPeriods,
      throttled_time: cpu.throttledTime,
    },
  };
}

function restOf(usage: CgroupUsage, networks: Readonly<Record<string, InterfaceCounters>>): object {
  const { memory, processes } = usage;
  return {
    pids_stats: {
      current: processes.current,
      ...(processes.limit === undefined ? {} : { limit: processes.limit }),
    },
    blkio_stats: {
      ...NO_BLOCKS,
      io_service_bytes_recursive: usage.blockBytes,
      io_serviced_recursive: usage.blockOperations,
    },
    num_procs: 0,
    storage_stats: {},
    memory_stats: {
      usage: memory.usage,
      ...(memory.maximum === undefined ? {} : { max_usage: memory.maximum }),
      stats: memory.figures,
      ...(memory.failures ? { failcnt: memory.failures } : {}),
      limit: memory.limit,
    },
    ...(Object.keys(networks).length > 0 ? { networks } : {}),
  };
}

function compose(container: Container, now: Sample, before: Sample | undefined): Stats {
  return {
    name: `/${container.name}`,
    id: container.id,
    read: now.read,
    preread: before?.read ?? NEVER,
    cpu_stats: now.cpu,
    precpu_stats: before?.cpu ?? NO_CPU,
    ...now.rest,
  };
}

/** Once: with `oneShot` at once and without the figures before, else after the second that makes CPU load visible. */
export async function statsOnce(containers: Containers, ref: string, oneShot: boolean): Promise<Stats> {
  const container = containers.lookUp(ref);
  const first = sample(container);
  if (first === undefined) return emptyStats(container);
  if (oneShot) return compose(container, first, undefined);
  await sleep(EVERY_MS);
  const later = containers.find(container.id) ?? container;
  const second = sample(later);
  return second === undefined ? emptyStats(later) : compose(later, second, first);
}

/** Every second until the container is removed or `signal` aborts. */
export async function* statsStream(
  containers: Containers,
  ref: string,
  signal: AbortSignal,
): AsyncGenerator<Stats> {
  const { id } = containers.lookUp(ref);
  let before: Sample | undefined;
  while (!signal.aborted) {
    const container = containers.find(id);
    if (container === undefined) return;
    const now = sample(container);
    yield now === undefined ? emptyStats(container) : compose(container, now, before);
    before = now;
    await sleep(EVERY_MS, undefined, { signal }).catch(() => undefined);
  }
}
