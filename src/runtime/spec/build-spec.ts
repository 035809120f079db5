import { invalid } from '../../model/errors.ts';
import { type ProcessInput, processBase } from './build-process.ts';
import { containerEnvironment } from './environment.ts';
import { buildMounts, INIT_TARGET, rootfsPropagation, type SharedMemory, type SpecMount } from './mounts.ts';
import type { OciDevice, OciDeviceRule, OciLinux, OciSeccomp, OciSpec } from './oci.ts';
import { buildResources, DEFAULT_DEVICE_RULES, parseDeviceCgroupRule } from './resources.ts';
import { compileSeccomp } from './seccomp.ts';
import { parseSecurityOptions } from './security-options.ts';

/** `own`: a new one; `host`: the host's; a path: an existing one, made by us or another container's `/proc/PID/ns/…`. */
export type NamespaceChoice = 'own' | 'host' | { readonly path: string };

export interface SpecInput extends ProcessInput {
  readonly id: string;
  readonly namespaces: Readonly<Record<'network' | 'pid' | 'ipc' | 'uts', NamespaceChoice>> & {
    readonly cgroup: 'own' | 'host';
  };
  /** Everything mounted into the container: binds, volumes, tmpfs, and the network's three files. */
  readonly mounts: readonly SpecMount[];
  readonly sharedMemory: SharedMemory;
  /** `resolveDevices(HostConfig.Devices)`, or `hostDevices()` when privileged. */
  readonly devices: readonly OciDevice[];
  readonly deviceRules: readonly OciDeviceRule[];
  /** `--init`: path of a static init binary on the host. */
  readonly initPath?: string;
  /** `/gangway` when absent; `HostConfig.CgroupParent` goes before it. */
  readonly cgroupParent?: string;
}

export const MASKED =
  `/proc/asound /proc/acpi /proc/interrupts /proc/kcore /proc/keys /proc/latency_stats /proc/timer_list
  /proc/timer_stats /proc/sched_debug /proc/scsi /sys/firmware /sys/devices/virtual/powercap`.split(/\s+/);
export const READONLY = '/proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger'.split(' ');

/**
 * The OCI spec dockerd 28 would write for this container. Pure but for the numbers of block devices named in blkio
 * limits. @throws EngineError INVALID_PARAMETER
 */
export function buildSpec(input: SpecInput): OciSpec {
  const { config, hostConfig, namespaces } = input;
  const terminal = config.Tty ?? false;
  const privileged = hostConfig.Privileged ?? false;
  const security = parseSecurityOptions(hostConfig.SecurityOpt ?? []);
  const command = [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])];
  if (command.length === 0) throw invalid('no command specified');
  const base = processBase(input, terminal, hostConfig.ConsoleSize, privileged);
  const readonlyRootfs = hostConfig.ReadonlyRootfs ?? false;
  return {
    ociVersion: '1.0.2',
    process: {
      ...base,
      args: input.initPath === undefined ? command : [INIT_TARGET, '--', ...command],
      env: containerEnvironment(input.hostname, terminal, config.Env ?? []),
      cwd: config.WorkingDir || '/',
    },
    root: { path: 'rootfs', ...(readonlyRootfs ? { readonly: true } : {}) },
    ...(namespaces.uts === 'own' ? { hostname: input.hostname } : {}),
    mounts: buildMounts({
      mounts: input.mounts,
      sharedMemory: input.sharedMemory,
      privileged,
      readonlyRootfs,
      writableCgroups: security.writableCgroups,
      ...(input.initPath === undefined ? {} : { initPath: input.initPath }),
    }),
    ...(hostConfig.Annotations ? { annotations: hostConfig.Annotations } : {}),
    linux: buildLinux(input, privileged, seccompOf(input, base.capabilities.bounding, privileged)),
  };
}

function buildLinux(input: SpecInput, privileged: boolean, seccomp: OciSeccomp | undefined): OciLinux {
  const { hostConfig } = input;
  const propagation = rootfsPropagation(input.mounts);
  return {
    namespaces: buildNamespaces(input.namespaces),
    sysctl: buildSysctls(input),
    resources: { ...buildResources(hostConfig), devices: buildDeviceRules(input, privileged) },
    cgroupsPath: `${(hostConfig.CgroupParent || input.cgroupParent || '/gangway').replace(/\/+$/, '')}/${input.id}`,
    devices: input.devices,
    ...(seccomp === undefined ? {} : { seccomp }),
    maskedPaths: hostConfig.MaskedPaths ?? (privileged ? [] : MASKED),
    readonlyPaths: hostConfig.ReadonlyPaths ?? (privileged ? [] : READONLY),
    ...(propagation === undefined ? {} : { rootfsPropagation: propagation }),
  };
}

function buildNamespaces(choices: SpecInput['namespaces']): OciLinux['namespaces'] {
  const chosen = Object.entries(choices).flatMap(([type, choice]) => {
    if (choice === 'host') return [];
    return [choice === 'own' ? { type } : { type, path: choice.path }];
  });
  return [{ type: 'mount' }, ...chosen];
}

function buildSysctls({ config, hostConfig, namespaces }: SpecInput): Record<string, string> {
  // Without privileges below port 1024 and with ping, as dockerd has it in every network namespace but the host's.
  const network =
    namespaces.network === 'host'
      ? {}
      : { 'net.ipv4.ip_unprivileged_port_start': '0', 'net.ipv4.ping_group_range': '0 2147483647' };
  // The spec has no field for the NIS domain name; this sysctl is setdomainname(2).
  const domain =
    config.Domainname && namespaces.uts === 'own' ? { 'kernel.domainname': config.Domainname } : {};
  return { ...network, ...domain, ...hostConfig.Sysctls };
}

function buildDeviceRules(input: SpecInput, privileged: boolean): readonly OciDeviceRule[] {
  if (privileged) return [{ allow: true, access: 'rwm' }];
  const given = (input.hostConfig.DeviceCgroupRules ?? []).map(parseDeviceCgroupRule);
  return [...DEFAULT_DEVICE_RULES, ...input.deviceRules, ...given];
}

function seccompOf(
  input: SpecInput,
  capabilities: readonly string[],
  privileged: boolean,
): OciSeccomp | undefined {
  const { seccomp } = parseSecurityOptions(input.hostConfig.SecurityOpt ?? []);
  if (privileged || seccomp === 'unconfined') return undefined;
  const profile = seccomp === 'default' ? input.host.seccomp : seccomp;
  const { architecture, kernel } = input.host;
  return profile && compileSeccomp(profile, { capabilities, architecture, kernel });
}
