import type { ContainerConfig, ExecConfig, HostConfig } from '@docker/node-sdk';
import { selectCapabilities } from './capabilities.ts';
import { containerEnvironment } from './environment.ts';
import type { HostFeatures } from './host-features.ts';
import type { OciProcess, OciUser } from './oci.ts';
import { parseSecurityOptions } from './security-options.ts';

export type Ulimits = readonly { readonly Name?: string; readonly Soft?: number; readonly Hard?: number }[];

export interface ProcessInput {
  /** The container's, image and request merged. */
  readonly config: ContainerConfig;
  readonly hostConfig: HostConfig;
  readonly hostname: string;
  readonly user: OciUser;
  readonly host: HostFeatures;
  /** `default-ulimits` of the daemon. */
  readonly defaultUlimits?: Ulimits;
}

export interface ExecInput extends ProcessInput {
  readonly exec: ExecConfig;
}

/** The process of `docker exec`. @throws EngineError INVALID_PARAMETER */
export function buildProcess(input: ExecInput): OciProcess {
  const { config, exec } = input;
  return {
    ...processBase(
      input,
      exec.Tty ?? false,
      exec.ConsoleSize,
      (input.hostConfig.Privileged ?? false) || (exec.Privileged ?? false),
    ),
    args: exec.Cmd ?? [],
    env: containerEnvironment(input.hostname, exec.Tty ?? false, [
      ...(config.Env ?? []),
      ...(exec.Env ?? []),
    ]),
    cwd: exec.WorkingDir || config.WorkingDir || '/',
  };
}

/** What the container's first process and an exec have in common. */
export function processBase(
  input: ProcessInput,
  terminal: boolean,
  consoleSize: readonly number[] | null | undefined,
  privileged: boolean,
): Omit<OciProcess, 'args' | 'env' | 'cwd'> {
  const { hostConfig, host } = input;
  const capabilities = selectCapabilities({
    privileged,
    add: hostConfig.CapAdd ?? [],
    drop: hostConfig.CapDrop ?? [],
    available: host.capabilities,
  });
  const security = parseSecurityOptions(hostConfig.SecurityOpt ?? []);
  const rlimits = buildRlimits(input.defaultUlimits ?? [], hostConfig.Ulimits ?? []);
  const apparmor = host.apparmor && !privileged ? security.apparmor : undefined;
  const [height, width] = consoleSize ?? [];
  return {
    ...(terminal ? { terminal } : {}),
    ...(terminal && height && width ? { consoleSize: { height, width } } : {}),
    user: input.user,
    capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
    ...(rlimits.length > 0 ? { rlimits } : {}),
    ...(security.noNewPrivileges ? { noNewPrivileges: true } : {}),
    ...(apparmor ? { apparmorProfile: apparmor } : {}),
    oomScoreAdj: hostConfig.OomScoreAdj ?? 0,
  };
}

function buildRlimits(defaults: Ulimits, own: Ulimits): NonNullable<OciProcess['rlimits']> {
  const byName = new Map([...defaults, ...own].map((limit) => [limit.Name ?? '', limit]));
  return [...byName.values()].map((limit) => ({
    type: `RLIMIT_${(limit.Name ?? '').toUpperCase()}`,
    hard: unlimited(limit.Hard),
    soft: unlimited(limit.Soft),
  }));
}

/** -1 is RLIM_INFINITY, which no double can hold. */
function unlimited(value = 0): number | bigint {
  return value < 0 ? 2n ** 64n - 1n : value;
}
