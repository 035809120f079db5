import { existsSync, readFileSync } from 'node:fs';
import { invalid } from '../../model/errors.ts';
import type { OciSeccomp, OciSyscall } from './oci.ts';

/** A profile in Docker's format (moby profiles/seccomp, also containers/common): rules depend on capabilities and architecture. */
export interface SeccompProfile {
  readonly defaultAction: string;
  readonly defaultErrnoRet?: number;
  readonly architectures?: readonly string[] | null;
  readonly archMap?:
    | readonly { readonly architecture: string; readonly subArchitectures?: readonly string[] | null }[]
    | null;
  readonly syscalls?: readonly ProfileRule[] | null;
}

interface ProfileRule {
  readonly name?: string;
  readonly names?: readonly string[] | null;
  readonly action: string;
  readonly errnoRet?: number;
  readonly args?: readonly Readonly<Record<string, unknown>>[] | null;
  readonly includes?: RuleFilter;
  readonly excludes?: RuleFilter;
}

interface RuleFilter {
  readonly caps?: readonly string[] | null;
  readonly arches?: readonly string[] | null;
  /** `4.8`: at least this kernel. */
  readonly minKernel?: string;
}

export interface SeccompContext {
  readonly capabilities: readonly string[];
  /** Go's name: `amd64`, `arm64`… */
  readonly architecture: string;
  /** `[6, 1]` of `6.1.0`. */
  readonly kernel: readonly [number, number];
}

/** Debian's golang-github-containers-common installs the profile here; set-up, which wants nothing else of it, there. */
const DEFAULT_PROFILE_PATHS = ['/usr/share/containers/seccomp.json', '/usr/local/lib/gangway/seccomp.json'];

const ARCHITECTURES: Readonly<Record<string, string>> = {
  amd64: 'SCMP_ARCH_X86_64',
  arm64: 'SCMP_ARCH_AARCH64',
  arm: 'SCMP_ARCH_ARM',
  '386': 'SCMP_ARCH_X86',
  ppc64le: 'SCMP_ARCH_PPC64LE',
  riscv64: 'SCMP_ARCH_RISCV64',
  s390x: 'SCMP_ARCH_S390X',
};

/** @returns undefined when no file is there: containers then run without a filter, which the caller must tell */
export function loadDefaultProfile(paths = DEFAULT_PROFILE_PATHS): SeccompProfile | undefined {
  const path = paths.find((candidate) => existsSync(candidate));
  return path === undefined ? undefined : parseSeccompProfile(readFileSync(path, 'utf8'));
}

/** @throws EngineError INVALID_PARAMETER */
export function parseSeccompProfile(text: string): SeccompProfile {
  let profile: SeccompProfile;
  try {
    profile = JSON.parse(text) as SeccompProfile;
  } catch (error) {
    throw invalid(`Decoding seccomp profile failed: ${(error as Error).message}`);
  }
  if (typeof profile?.defaultAction !== 'string')
    throw invalid('Decoding seccomp profile failed: no defaultAction');
  if (profile.architectures?.length && profile.archMap?.length) {
    throw invalid(
      "'architectures' and 'archMap' were specified in the seccomp profile, use either 'architectures' or 'archMap'",
    );
  }
  return profile;
}

/** The rules that apply to a container with these capabilities (moby profiles/seccomp/seccomp_linux.go, setupSeccomp). */
export function compileSeccomp(profile: SeccompProfile, context: SeccompContext): OciSeccomp {
  const native = ARCHITECTURES[context.architecture];
  const mapped = profile.archMap?.find((entry) => entry.architecture === native);
  const architectures =
    profile.architectures ?? (mapped ? [mapped.architecture, ...(mapped.subArchitectures ?? [])] : []);
  const syscalls = (profile.syscalls ?? []).filter((rule) => applies(rule, context)).map(compileRule);
  return {
    defaultAction: profile.defaultAction,
    ...(profile.defaultErrnoRet === undefined ? {} : { defaultErrnoRet: profile.defaultErrnoRet }),
    architectures: architectures.length > 0 ? architectures : native ? [native] : [],
    syscalls,
  };
}

function applies(rule: ProfileRule, context: SeccompContext): boolean {
  const { includes = {}, excludes = {} } = rule;
  const has = (name: string): boolean => context.capabilities.includes(name);
  if (excludes.arches?.includes(context.architecture) || excludes.caps?.some(has)) return false;
  if (excludes.minKernel !== undefined && atLeast(context.kernel, excludes.minKernel)) return false;
  if (includes.arches?.length && !includes.arches.includes(context.architecture)) return false;
  if (includes.caps?.length && !includes.caps.every(has)) return false;
  return includes.minKernel === undefined || atLeast(context.kernel, includes.minKernel);
}

function atLeast([major, minor]: readonly [number, number], wanted: string): boolean {
  const [wantedMajor = 0, wantedMinor = 0] = wanted.split('.').map(Number);
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

function compileRule(rule: ProfileRule): OciSyscall {
  return {
    names: rule.names?.length ? rule.names : [rule.name ?? ''],
    action: rule.action,
    ...(rule.errnoRet === undefined ? {} : { errnoRet: rule.errnoRet }),
    ...(rule.args?.length ? { args: rule.args } : {}),
  };
}
