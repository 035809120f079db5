import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { arch, cpus, hostname, release, totalmem } from 'node:os';

/** What does not change while the daemon runs, read once. */
export interface HostReport {
  readonly hostname: string;
  readonly kernelVersion: string;
  /** PRETTY_NAME of os-release(5). */
  readonly operatingSystem: string;
  readonly osVersion: string;
  /** As uname(1) says it: `x86_64`. */
  readonly machine: string;
  /** As Go says it: `amd64`. */
  readonly architecture: string;
  readonly cpus: number;
  /** Bytes. */
  readonly memory: number;
  readonly cgroups: CgroupReport;
  readonly seccomp: boolean;
  readonly apparmor: boolean;
}

export interface CgroupReport {
  readonly version: '1' | '2';
  readonly memoryLimit: boolean;
  readonly swapLimit: boolean;
  readonly cpuShares: boolean;
  readonly cpuQuota: boolean;
  readonly cpuset: boolean;
  readonly pids: boolean;
  readonly oomKillDisable: boolean;
}

const GO_ARCH: Readonly<Record<string, readonly [machine: string, go: string]>> = {
  x64: ['x86_64', 'amd64'],
  arm64: ['aarch64', 'arm64'],
  ia32: ['i686', '386'],
  arm: ['armv7l', 'arm'],
  s390x: ['s390x', 's390x'],
  ppc64: ['ppc64le', 'ppc64le'],
  riscv64: ['riscv64', 'riscv64'],
};

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function osRelease(): Readonly<Record<string, string>> {
  const text = read('/etc/os-release') || read('/usr/lib/os-release');
  return Object.fromEntries(
    [...text.matchAll(/^([A-Z_]+)=(?:"([^"]*)"|(.*))$/gm)].map((m) => [m[1], m[2] ?? m[3]]),
  ) as Record<string, string>;
}

/** @param root where the cgroup file systems are mounted */
export function readCgroups(root = '/sys/fs/cgroup'): CgroupReport {
  if (existsSync(`${root}/cgroup.controllers`)) {
    const controllers = new Set(read(`${root}/cgroup.controllers`).trim().split(' '));
    const memory = controllers.has('memory');
    const cpu = controllers.has('cpu');
    return {
      version: '2',
      memoryLimit: memory,
      swapLimit: memory && read('/proc/swaps') !== '',
      cpuShares: cpu,
      cpuQuota: cpu,
      cpuset: controllers.has('cpuset'),
      pids: controllers.has('pids'),
      oomKillDisable: false,
    };
  }
  const has = (file: string): boolean => existsSync(`${root}/${file}`);
  return {
    version: '1',
    memoryLimit: has('memory/memory.limit_in_bytes'),
    swapLimit: has('memory/memory.memsw.limit_in_bytes'),
    cpuShares: has('cpu/cpu.shares'),
    cpuQuota: has('cpu/cpu.cfs_quota_us'),
    cpuset: has('cpuset/cpuset.cpus'),
    pids: has('pids/cgroup.procs'),
    oomKillDisable: has('memory/memory.oom_control'),
  };
}

export function reportHost(): HostReport {
  const os = osRelease();
  const [machine, architecture] = GO_ARCH[arch()] ?? [arch(), arch()];
  return {
    hostname: hostname(),
    kernelVersion: release(),
    operatingSystem: os.PRETTY_NAME ?? 'Linux',
    osVersion: os.VERSION_ID ?? '',
    machine,
    architecture,
    cpus: cpus().length,
    memory: totalmem(),
    cgroups: readCgroups(),
    seccomp: /^Seccomp:/m.test(read('/proc/self/status')),
    apparmor: read('/sys/module/apparmor/parameters/enabled').startsWith('Y'),
  };
}

/** Docker's warnings about what the kernel cannot do (moby daemon/info_unix.go). */
export function hostWarnings(cgroups: CgroupReport, forwarding: boolean): string[] {
  const missing: [boolean, string][] = [
    [cgroups.memoryLimit, 'memory limit'],
    [cgroups.swapLimit, 'swap limit'],
    [cgroups.cpuQuota, 'cpu cfs quota'],
    [cgroups.cpuQuota, 'cpu cfs period'],
    [cgroups.cpuShares, 'cpu shares'],
    [cgroups.cpuset, 'cpuset'],
  ];
  const warnings = missing.filter(([there]) => !there).map(([, what]) => `WARNING: No ${what} support`);
  if (!forwarding) warnings.push('WARNING: IPv4 forwarding is disabled');
  return warnings;
}

export function isForwarding(): boolean {
  return read('/proc/sys/net/ipv4/ip_forward').trim() === '1';
}

/** Version and commit as `runc --version` prints them; empty without runc. */
export function probeRunc(): Promise<{ readonly version: string; readonly commit: string }> {
  return new Promise((resolve) => {
    execFile('runc', ['--version'], { timeout: 5000 }, (error, stdout) => {
      if (error !== null) return resolve({ version: '', commit: '' });
      resolve({
        version: /^runc version (\S+)/m.exec(stdout)?.[1] ?? '',
        commit: /^commit: (\S+)/m.exec(stdout)?.[1] ?? '',
      });
    });
  });
}
