import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { capabilitiesOfMask } from './capabilities.ts';
import { loadDefaultProfile, type SeccompProfile } from './seccomp.ts';

/** What specs depend on of the machine and the kernel; looked up once at the daemon's start. */
export interface HostFeatures {
  /** 2 only on a pure unified hierarchy: runc uses version 1 on a hybrid one. */
  readonly cgroupVersion: 1 | 2;
  readonly capabilities: readonly string[];
  /** Go's name. */
  readonly architecture: string;
  readonly kernel: readonly [number, number];
  readonly apparmor: boolean;
  readonly seccomp: SeccompProfile | undefined;
  readonly cpuCount: number;
}

const GO_NAMES: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386', ppc64: 'ppc64le' };

/** @param seccompPath another default profile than the package's (`--seccomp-profile`) */
export function probeHostFeatures(seccompPath?: string): HostFeatures {
  const status = readFileSync('/proc/self/status', 'utf8');
  const mask = /^CapBnd:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? '0';
  const [major = 0, minor = 0] = release().split(/[.-]/).map(Number);
  return {
    cgroupVersion: existsSync('/sys/fs/cgroup/cgroup.controllers') ? 2 : 1,
    capabilities: capabilitiesOfMask(BigInt(`0x${mask}`)),
    architecture: GO_NAMES[process.arch] ?? process.arch,
    kernel: [major, minor],
    apparmor: existsSync('/sys/kernel/security/apparmor'),
    seccomp: loadDefaultProfile(seccompPath === undefined ? undefined : [seccompPath]),
    cpuCount: (readFileSync('/proc/cpuinfo', 'utf8').match(/^processor\s*:/gm) ?? []).length || 1,
  };
}
