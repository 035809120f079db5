import { readFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { join } from 'node:path';

/** One figure of a block device. */
export interface BlockFigure {
  readonly major: number;
  readonly minor: number;
  /** `read`, `write`…, spelt as the kernel spells it. */
  readonly op: string;
  readonly value: number;
}

/** What a cgroup has used so far. */
export interface CgroupUsage {
  readonly version: 1 | 2;
  /** Nanoseconds. */
  readonly cpu: {
    readonly total: number;
    readonly kernel: number;
    readonly user: number;
    /** Version 1 only. */
    readonly perCpu?: readonly number[];
    readonly periods: number;
    readonly throttledPeriods: number;
    readonly throttledTime: number;
  };
  /** Bytes. */
  readonly memory: {
    readonly usage: number;
    /** Version 1 only. */
    readonly maximum?: number;
    readonly failures?: number;
    /** The machine's memory where there is no limit. */
    readonly limit: number;
    /** memory.stat. */
    readonly figures: Readonly<Record<string, number>>;
  };
  readonly processes: { readonly current: number; readonly limit?: number };
  readonly blockBytes: readonly BlockFigure[];
  readonly blockOperations: readonly BlockFigure[];
}

const NS_PER_TICK = 10_000_000;
const NS_PER_US = 1000;

/** Directories of a process's cgroups by controller (proc_pid_cgroup(5)); '' is version 2's. */
export function parseCgroups(text: string, mounts: string): ReadonlyMap<string, string> {
  const directories = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) continue;
    for (const controller of controllers.split(','))
      directories.set(controller, join(mounts, controllers, path));
  }
  return directories;
}

/** @throws when the process is gone. @param mounts where the cgroup file systems are */
export function readUsage(pid: number, mounts = '/sys/fs/cgroup'): CgroupUsage {
  const directories = parseCgroups(readFileSync(`/proc/${pid}/cgroup`, 'utf8'), mounts);
  const memory = directories.get('memory');
  const unified = directories.get('');
  return memory === undefined && unified !== undefined ? readUnified(unified) : readLegacy(directories);
}

function read(directory: string | undefined, file: string): string {
  if (directory === undefined) return '';
  try {
    return readFileSync(join(directory, file), 'utf8');
  } catch {
    // A controller that is not there counts nothing.
    return '';
  }
}

const number = (text: string): number => Number(text.trim()) || 0;

/** `key value` lines. */
export function parseFigures(text: string): Readonly<Record<string, number>> {
  return Object.fromEntries(
    text
      .split('\n')
      .map((line) => line.split(' '))
      .filter(([key, value]) => key && value)
      .map(([key, value]) => [key, Number(value)]),
  );
}

function limit(text: string): number {
  const bytes = Number(text.trim());
  // Without a limit version 1 says a number near 2^63, version 2 `max`.
  return Number.isNaN(bytes) || text.trim() === '' || bytes > totalmem() ? totalmem() : bytes;
}

function processes(directory: string | undefined): CgroupUsage['processes'] {
  const maximum = Number(read(directory, 'pids.max').trim());
  return { current: number(read(directory, 'pids.current')), ...(maximum > 0 ? { limit: maximum } : {}) };
}

function readLegacy(directories: ReadonlyMap<string, string>): CgroupUsage {
  const memory = directories.get('memory');
  const account = directories.get('cpuacct');
  const ticks = parseFigures(read(account, 'cpuacct.stat'));
  const throttling = parseFigures(read(directories.get('cpu'), 'cpu.stat'));
  const block = directories.get('blkio');
  return {
    version: 1,
    cpu: {
      total: number(read(account, 'cpuacct.usage')),
      kernel: (ticks.system ?? 0) * NS_PER_TICK,
      user: (ticks.user ?? 0) * NS_PER_TICK,
      perCpu: read(account, 'cpuacct.usage_percpu').trim().split(/\s+/).filter(Boolean).map(Number),
      periods: throttling.nr_periods ?? 0,
      throttledPeriods: throttling.nr_throttled ?? 0,
      throttledTime: throttling.throttled_time ?? 0,
    },
    memory: {
      usage: number(read(memory, 'memory.usage_in_bytes')),
      maximum: number(read(memory, 'memory.max_usage_in_bytes')),
      failures: number(read(memory, 'memory.failcnt')),
      limit: limit(read(memory, 'memory.limit_in_bytes')),
      figures: parseFigures(read(memory, 'memory.stat')),
    },
    processes: processes(directories.get('pids')),
    blockBytes: parseBlkio(read(block, 'blkio.throttle.io_service_bytes_recursive')),
    blockOperations: parseBlkio(read(block, 'blkio.throttle.io_serviced_recursive')),
  };
}

/** `8:0 Read 4096` lines of version 1. */
export function parseBlkio(text: string): readonly BlockFigure[] {
  return [...text.matchAll(/^(\d+):(\d+) (\w+) (\d+)$/gm)].map(([, major, minor, op = '', value]) => ({
    major: Number(major),
    minor: Number(minor),
    op,
    value: Number(value),
  }));
}

/** `8:0 rbytes=1 wbytes=2 rios=3 wios=4` lines of version 2. */
export function parseIoStat(text: string, read: string, write: string): readonly BlockFigure[] {
  return [...text.matchAll(/^(\d+):(\d+) (.*)$/gm)].flatMap(([, major, minor, rest = '']) => {
    const figures = new Map(rest.split(' ').map((pair) => pair.split('=') as [string, string]));
    const at = { major: Number(major), minor: Number(minor) };
    return [
      { ...at, op: 'read', value: Number(figures.get(read) ?? 0) },
      { ...at, op: 'write', value: Number(figures.get(write) ?? 0) },
    ];
  });
}

function readUnified(directory: string): CgroupUsage {
  const cpu = parseFigures(read(directory, 'cpu.stat'));
  const io = read(directory, 'io.stat');
  return {
    version: 2,
    cpu: {
      total: (cpu.usage_usec ?? 0) * NS_PER_US,
      kernel: (cpu.system_usec ?? 0) * NS_PER_US,
      user: (cpu.user_usec ?? 0) * NS_PER_US,
      periods: cpu.nr_periods ?? 0,
      throttledPeriods: cpu.nr_throttled ?? 0,
      throttledTime: (cpu.throttled_usec ?? 0) * NS_PER_US,
    },
    memory: {
      usage: number(read(directory, 'memory.current')),
      limit: limit(read(directory, 'memory.max')),
      figures: parseFigures(read(directory, 'memory.stat')),
    },
    processes: processes(directory),
    blockBytes: parseIoStat(io, 'rbytes', 'wbytes'),
    blockOperations: parseIoStat(io, 'rios', 'wios'),
  };
}

/** CPU time of the whole machine in nanoseconds (proc_stat(5), the first seven columns, as Docker takes them). */
export function systemCpu(text = readFileSync('/proc/stat', 'utf8')): number {
  const [, figures = ''] = /^cpu +(.*)$/m.exec(text) ?? [];
  return figures
    .split(' ')
    .slice(0, 7)
    .reduce((sum, ticks) => sum + Number(ticks) * NS_PER_TICK, 0);
}

export const onlineCpus = (): number => availableParallelism();
