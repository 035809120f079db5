import { invalid } from '../../model/errors.ts';

/** In the order of linux/capability.h: the index is the number. */
const ALL = `CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE
  NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE
  SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL
  SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE`
  .split(/\s+/)
  .map((name) => `CAP_${name}`);

/** moby oci/caps/defaults.go */
const DEFAULT = `CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE
  SYS_CHROOT KILL AUDIT_WRITE`
  .split(/\s+/)
  .map((name) => `CAP_${name}`);

/** Capabilities of the mask in `CapBnd:` of /proc/self/status: what this process may give at all. */
export function capabilitiesOfMask(mask: bigint): readonly string[] {
  return ALL.filter((_, number) => (mask >> BigInt(number)) & 1n);
}

/** `net_admin`, `CAP_NET_ADMIN` or `all`. @throws EngineError INVALID_PARAMETER in dockerd's words */
function normalize(names: readonly string[], field: 'CapAdd' | 'CapDrop'): readonly string[] {
  return names.map((given) => {
    const upper = given.toUpperCase();
    if (upper === 'ALL') return upper;
    const name = upper.startsWith('CAP_') ? upper : `CAP_${upper}`;
    if (!ALL.includes(name)) throw invalid(`invalid ${field}: unknown capability: "${name}"`);
    return name;
  });
}

export interface CapabilityWish {
  readonly privileged: boolean;
  readonly add: readonly string[];
  readonly drop: readonly string[];
  /** What can be given at all, see `capabilitiesOfMask`. */
  readonly available: readonly string[];
}

/** moby oci/caps/utils.go, TweakCapabilities. @throws EngineError INVALID_PARAMETER */
export function selectCapabilities(wish: CapabilityWish): readonly string[] {
  const add = normalize(wish.add, 'CapAdd');
  const drop = normalize(wish.drop, 'CapDrop');
  if (wish.privileged) return wish.available;
  if (add.includes('ALL')) return wish.available.filter((name) => !drop.includes(name));
  if (drop.includes('ALL')) return [...new Set(add)];
  return [...new Set([...DEFAULT.filter((name) => !drop.includes(name)), ...add])];
}
