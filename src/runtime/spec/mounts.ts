import type { OciMount } from './oci.ts';

export type Propagation = 'private' | 'rprivate' | 'shared' | 'rshared' | 'slave' | 'rslave';

/** A mount of the container, resolved: sources are host paths that exist. */
export type SpecMount =
  | {
      readonly kind: 'bind';
      readonly source: string;
      readonly target: string;
      readonly readOnly: boolean;
      /** `rprivate` when absent. */
      readonly propagation?: Propagation;
      /** `rbind` unless set (`bind-nonrecursive`). */
      readonly nonRecursive?: boolean;
      /** Read-only for the mount itself, not for those below it (`bind-recursive=writable`). */
      readonly readOnlyNonRecursive?: boolean;
    }
  | {
      readonly kind: 'tmpfs';
      readonly target: string;
      /** As in `--tmpfs PATH:OPTIONS`, comma separated: `size=1m,mode=1777,exec`. */
      readonly options: string;
    };

/** `/dev/shm` of the container. */
export type SharedMemory =
  | { readonly kind: 'private'; readonly size: number }
  /** Another container's, or the host's `/dev/shm`. */
  | { readonly kind: 'bind'; readonly source: string }
  | { readonly kind: 'none' };

export interface MountsInput {
  readonly mounts: readonly SpecMount[];
  readonly sharedMemory: SharedMemory;
  readonly privileged: boolean;
  readonly readonlyRootfs: boolean;
  readonly writableCgroups: boolean;
  /** Static init binary on the host, for `--init`. */
  readonly initPath?: string;
}

export const INIT_TARGET = '/sbin/docker-init';

const mount = (destination: string, type: string, source: string, ...options: string[]): OciMount => ({
  destination,
  type,
  source,
  options,
});
const KERNEL = ['nosuid', 'noexec', 'nodev'] as const;

/** Docker's own mounts, then the user's; one of the user's replaces one of Docker's at the same place. */
export function buildMounts(input: MountsInput): readonly OciMount[] {
  const own = defaultMounts(input);
  const user = input.mounts.map(userMount);
  const targets = new Set(user.map((m) => m.destination));
  const kept = own.filter(
    (m) => !targets.has(m.destination) && !(targets.has('/dev') && m.destination.startsWith('/dev/')),
  );
  const init = input.initPath === undefined ? [] : [mount(INIT_TARGET, 'bind', input.initPath, 'bind', 'ro')];
  // A mount below another comes after it.
  const depth = (m: OciMount): number => m.destination.split('/').length;
  return [...kept.map((m) => adjust(m, input)), ...init, ...user.toSorted((a, b) => depth(a) - depth(b))];
}

function defaultMounts(input: MountsInput): readonly OciMount[] {
  return [
    mount('/proc', 'proc', 'proc', ...KERNEL),
    mount('/dev', 'tmpfs', 'tmpfs', 'nosuid', 'strictatime', 'mode=755', 'size=65536k'),
    mount(
      '/dev/pts',
      'devpts',
      'devpts',
      'nosuid',
      'noexec',
      'newinstance',
      'ptmxmode=0666',
      'mode=0620',
      'gid=5',
    ),
    mount('/sys', 'sysfs', 'sysfs', ...KERNEL, 'ro'),
    mount('/sys/fs/cgroup', 'cgroup', 'cgroup', 'ro', ...KERNEL),
    mount('/dev/mqueue', 'mqueue', 'mqueue', ...KERNEL),
    ...sharedMemoryMount(input.sharedMemory),
  ];
}

function sharedMemoryMount(shm: SharedMemory): readonly OciMount[] {
  switch (shm.kind) {
    case 'private':
      return [mount('/dev/shm', 'tmpfs', 'shm', ...KERNEL, 'mode=1777', `size=${shm.size}`)];
    case 'bind':
      return [mount('/dev/shm', 'bind', shm.source, 'rbind', 'rprivate')];
    case 'none':
      return [];
  }
}

const STAYS_WRITABLE = new Set(['/proc', '/dev', '/dev/pts', '/dev/shm', '/dev/mqueue']);

function adjust(m: OciMount, input: MountsInput): OciMount {
  const writable =
    (input.privileged && (m.type === 'sysfs' || m.type === 'cgroup')) ||
    (input.writableCgroups && m.type === 'cgroup');
  const options =
    writable && !input.readonlyRootfs ? m.options.filter((option) => option !== 'ro') : m.options;
  const close = input.readonlyRootfs && !STAYS_WRITABLE.has(m.destination) && !options.includes('ro');
  return { ...m, options: close ? [...options, 'ro'] : options };
}

function userMount(m: SpecMount): OciMount {
  if (m.kind === 'tmpfs') {
    return mount(m.target, 'tmpfs', 'tmpfs', ...tmpfsOptions(m.options));
  }
  const readOnly = m.readOnly ? [m.nonRecursive || m.readOnlyNonRecursive ? 'ro' : 'rro'] : [];
  const bind = m.nonRecursive ? 'bind' : 'rbind';
  return mount(m.target, 'bind', m.source, bind, ...readOnly, m.propagation ?? 'rprivate');
}

const OPPOSITES: Readonly<Record<string, string>> = {
  exec: 'noexec',
  suid: 'nosuid',
  dev: 'nodev',
  rw: 'ro',
  noexec: 'exec',
  nosuid: 'suid',
  nodev: 'dev',
  ro: 'rw',
};

/** The given ones override the defaults of the same kind (moby pkg/mount MergeTmpfsOptions). */
function tmpfsOptions(text: string): readonly string[] {
  const given = text.split(',').filter((option) => option !== '');
  const merged: string[] = [...KERNEL, 'rprivate'];
  for (const option of given) {
    const key = option.split('=', 1)[0];
    const replaced = merged.findIndex(
      (m) => m === OPPOSITES[option] || m === option || (option.includes('=') && m.startsWith(`${key}=`)),
    );
    if (replaced >= 0) merged.splice(replaced, 1);
    merged.push(option);
  }
  return merged;
}

/** The root must let through what a mount of the user wants to share (moby oci_linux.go, WithMounts). */
export function rootfsPropagation(mounts: readonly SpecMount[]): string | undefined {
  const wanted = mounts.flatMap((m) => (m.kind === 'bind' && m.propagation ? [m.propagation] : []));
  if (wanted.some((p) => p === 'shared' || p === 'rshared')) return 'shared';
  return wanted.some((p) => p === 'slave' || p === 'rslave') ? 'slave' : undefined;
}
