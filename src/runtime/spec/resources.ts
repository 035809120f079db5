import { statSync } from 'node:fs';
import type { HostConfig } from '@docker/node-sdk';
import { invalid } from '../../model/errors.ts';
import { deviceNumbers } from './devices.ts';
import type { OciDeviceRule, OciResources } from './oci.ts';

const PERIOD = 100_000;

/** Docker's limits as OCI resources; runc translates them to the cgroup version of the host. @throws EngineError */
export function buildResources(host: HostConfig): Omit<OciResources, 'devices'> {
  const memory = buildMemory(host);
  const cpu = buildCpu(host);
  const blockIO = buildBlockIo(host);
  return {
    ...(Object.keys(memory).length > 0 ? { memory } : {}),
    ...(Object.keys(cpu).length > 0 ? { cpu } : {}),
    ...(host.PidsLimit ? { pids: { limit: host.PidsLimit } } : {}),
    ...(Object.keys(blockIO).length > 0 ? { blockIO } : {}),
  };
}

function buildMemory(host: HostConfig): Record<string, number | boolean> {
  const memory: Record<string, number | boolean> = {};
  if (host.Memory) memory.limit = host.Memory;
  if (host.MemoryReservation) memory.reservation = host.MemoryReservation;
  // Without a word about swap a limited container gets as much again (docs.docker.com, --memory-swap).
  if (host.MemorySwap) memory.swap = host.MemorySwap;
  else if (host.Memory) memory.swap = host.Memory * 2;
  const swappiness = host.MemorySwappiness;
  if (typeof swappiness === 'number' && swappiness !== -1) memory.swappiness = swappiness;
  if (host.OomKillDisable) memory.disableOOMKiller = true;
  return memory;
}

function buildCpu(host: HostConfig): Record<string, number | string> {
  const cpu: Record<string, number | string> = {};
  if (host.CpuShares) cpu.shares = host.CpuShares;
  if (host.CpusetCpus) cpu.cpus = host.CpusetCpus;
  if (host.CpusetMems) cpu.mems = host.CpusetMems;
  if (host.NanoCpus) {
    cpu.period = PERIOD;
    cpu.quota = Math.floor((host.NanoCpus * PERIOD) / 1e9);
  }
  if (host.CpuPeriod) cpu.period = host.CpuPeriod;
  if (host.CpuQuota) cpu.quota = host.CpuQuota;
  if (host.CpuRealtimePeriod) cpu.realtimePeriod = host.CpuRealtimePeriod;
  if (host.CpuRealtimeRuntime) cpu.realtimeRuntime = host.CpuRealtimeRuntime;
  return cpu;
}

function buildBlockIo(host: HostConfig): Record<string, unknown> {
  const io: Record<string, unknown> = {};
  if (host.BlkioWeight) io.weight = host.BlkioWeight;
  const set = (name: string, values: readonly object[] | undefined): void => {
    if (values?.length) io[name] = values;
  };
  set(
    'weightDevice',
    host.BlkioWeightDevice?.map((d) => ({ ...blockDevice(d.Path), weight: d.Weight })),
  );
  const rates = {
    ReadBps: 'ReadBps',
    WriteBps: 'WriteBps',
    ReadIOps: 'ReadIOPS',
    WriteIOps: 'WriteIOPS',
  } as const;
  for (const [docker, oci] of Object.entries(rates) as [keyof typeof rates, string][]) {
    set(
      `throttle${oci}Device`,
      host[`BlkioDevice${docker}`]?.map((d) => ({ ...blockDevice(d.Path), rate: d.Rate })),
    );
  }
  return io;
}

function blockDevice(path = ''): { readonly major: number; readonly minor: number } {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) throw invalid(`no such file or directory: ${path}`);
  return deviceNumbers(stats.rdev);
}

/** `c 1:3 rwm`, `b *:* r`, `a *:* rwm`. @throws EngineError INVALID_PARAMETER */
export function parseDeviceCgroupRule(text: string): OciDeviceRule {
  const match = /^([acb]) ([0-9]+|\*):([0-9]+|\*) ([rwm]{1,3})$/.exec(text);
  if (match === null) throw invalid(`invalid device cgroup rule format: '${text}'`);
  const [, type = 'a', major = '*', minor = '*', access = ''] = match;
  return {
    allow: true,
    type: type as 'a' | 'c' | 'b',
    ...(major === '*' ? {} : { major: Number(major) }),
    ...(minor === '*' ? {} : { minor: Number(minor) }),
    access,
  };
}

const character = (major: number, minor: number, allow = true): OciDeviceRule => ({
  allow,
  type: 'c',
  major,
  minor,
  access: 'rwm',
});

/** moby oci/defaults.go: zero, null, urandom, random, tty, console; fuse is closed again. */
export const DEFAULT_DEVICE_RULES: readonly OciDeviceRule[] = [
  { allow: false, access: 'rwm' },
  character(1, 5),
  character(1, 3),
  character(1, 9),
  character(1, 8),
  character(5, 0),
  character(5, 1),
  character(10, 229, false),
];
