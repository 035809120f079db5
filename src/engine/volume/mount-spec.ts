import { existsSync } from 'node:fs';
import { posix } from 'node:path';
import type { HostConfig, Mount } from '@docker/node-sdk';
import { invalid } from '../../model/errors.ts';
import type { MountPoint } from '../container/container.ts';
import type { Volumes } from './volumes.ts';

const PROPAGATIONS = ['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave'] as const;
type Propagation = (typeof PROPAGATIONS)[number];

const isPropagation = (text: string): text is Propagation =>
  (PROPAGATIONS as readonly string[]).includes(text);

export interface MountWishes {
  readonly hostConfig: HostConfig;
  /** `Config.Volumes`, of image and request. */
  readonly volumes: readonly string[];
  /** The mounts of another container (`--volumes-from`). @throws EngineError NOT_FOUND */
  readonly mountsOf: (ref: string) => readonly MountPoint[];
}

/** A mount as asked for, before its volume is made. */
export interface MountWish extends Omit<MountPoint, 'source'> {
  /** Host path of a bind. */
  readonly source?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly driver?: string;
}

/**
 * Everything a container wants mounted; the later kind wins at the same place: `--volumes-from`, then `-v`, `--mount`
 * and `--tmpfs`, and the image's volumes where nothing else is (moby daemon/volumes.go, registerMountPoints).
 * @throws EngineError INVALID_PARAMETER in Docker's words
 */
export function parseMounts(wishes: MountWishes): readonly MountWish[] {
  const { hostConfig } = wishes;
  const byTarget = new Map<string, MountWish>();
  for (const entry of hostConfig.VolumesFrom ?? []) {
    const [ref = '', mode = 'rw'] = entry.split(':');
    if (!['rw', 'ro', 'z', 'Z', 'nocopy'].includes(mode)) throw invalid(`invalid mode: ${mode}`);
    for (const point of wishes.mountsOf(ref)) {
      byTarget.set(point.destination, {
        ...point,
        readOnly: point.readOnly || mode === 'ro',
        copyUp: false,
        anonymous: false,
      });
    }
  }
  const own = new Set<string>();
  const add = (wish: MountWish): void => {
    if (own.has(wish.destination)) throw invalid(`Duplicate mount point: ${wish.destination}`);
    own.add(wish.destination);
    byTarget.set(wish.destination, wish);
  };
  const driver = hostConfig.VolumeDriver || 'local';
  for (const bind of hostConfig.Binds ?? []) {
    const wish = parseBind(bind);
    add(wish.type === 'volume' ? { ...wish, driver } : wish);
  }
  for (const mount of hostConfig.Mounts ?? []) add(parseMount(mount));
  for (const [target, options] of Object.entries(hostConfig.Tmpfs ?? {})) {
    add({
      type: 'tmpfs',
      destination: targetOf(target, `${target}:${options}`),
      readOnly: false,
      mode: '',
      propagation: '',
      options: checkTmpfs(options),
    });
  }
  for (const path of wishes.volumes) {
    const destination = posix.normalize(path);
    if (!byTarget.has(destination)) {
      byTarget.set(destination, {
        type: 'volume',
        destination,
        readOnly: false,
        mode: '',
        propagation: '',
        copyUp: true,
        anonymous: true,
        driver,
      });
    }
  }
  return [...byTarget.values()];
}

const TMPFS_FLAGS =
  'defaults ro rw suid nosuid dev nodev exec noexec sync async dirsync remount mand nomand atime noatime diratime nodiratime bind rbind unbindable runbindable private rprivate shared rshared slave rslave relatime norelatime strictatime nostrictatime'.split(
    ' ',
  );
const TMPFS_VALUES = ['mode', 'uid', 'gid', 'size', 'nr_inodes', 'nr_blocks', 'mpol'];

/** moby/sys mount.MergeTmpfsOptions. @throws EngineError INVALID_PARAMETER */
function checkTmpfs(options: string): string {
  for (const option of options.split(',').filter(Boolean)) {
    const [name = '', value] = option.split('=');
    if (TMPFS_FLAGS.includes(name)) continue;
    if (value === undefined || !TMPFS_VALUES.includes(name)) throw invalid(`invalid tmpfs option "${name}"`);
  }
  return options;
}

function targetOf(path: string, spec: string): string {
  const normal = posix.normalize(path).replace(/(.)\/+$/, '$1');
  if (!path.startsWith('/')) {
    throw invalid(
      `invalid volume specification: '${spec}': invalid mount config for type "volume": invalid mount path: '${path}' mount path must be absolute`,
    );
  }
  if (normal === '/')
    throw invalid(
      `invalid volume specification: '${spec}': invalid mount config for type "volume": invalid specification: destination can't be '/'`,
    );
  return normal;
}

/** `SOURCE:TARGET[:MODE]` or `TARGET`; a source without a slash is a volume. */
export function parseBind(spec: string): MountWish {
  const parts = spec.split(':');
  const [first = '', second, mode = ''] = parts;
  if (parts.length > 3 || spec === '' || first === '' || second === '')
    throw invalid(`invalid volume specification: '${spec}'`);
  if (second === undefined) {
    return {
      type: 'volume',
      destination: targetOf(first, spec),
      readOnly: false,
      mode: '',
      propagation: '',
      copyUp: true,
      anonymous: true,
    };
  }
  const words = mode === '' ? [] : mode.split(',');
  let readOnly = false;
  let copyUp = true;
  let propagation: MountPoint['propagation'] = '';
  const seen = { access: 0, label: 0, copy: 0, propagation: 0 };
  for (const word of words) {
    if (word === 'ro' || word === 'rw') {
      readOnly = word === 'ro';
      seen.access++;
    } else if (word === 'z' || word === 'Z') seen.label++;
    else if (word === 'nocopy' || word === 'copy') {
      copyUp = word === 'copy';
      seen.copy++;
    } else if (isPropagation(word)) {
      propagation = word;
      seen.propagation++;
    } else if (!['consistent', 'cached', 'delegated'].includes(word)) throw invalid(`invalid mode: ${mode}`);
  }
  if (Object.values(seen).some((count) => count > 1)) throw invalid(`invalid mode: ${mode}`);
  const destination = targetOf(second, spec);
  if (!first.startsWith('/')) {
    return {
      type: 'volume',
      name: first,
      destination,
      readOnly,
      mode: mode || 'z',
      propagation: '',
      copyUp,
      anonymous: false,
    };
  }
  return {
    type: 'bind',
    source: posix.normalize(first),
    destination,
    readOnly,
    mode,
    propagation: propagation || 'rprivate',
  };
}

function parseMount(mount: Mount): MountWish {
  const type = mount.Type ?? '';
  const wrong = (reason: string) => invalid(`invalid mount config for type "${type}": ${reason}`);
  if (!mount.Target) throw wrong('field Target must not be empty');
  if (!mount.Target.startsWith('/'))
    throw wrong(`invalid mount path: '${mount.Target}' mount path must be absolute`);
  const destination = posix.normalize(mount.Target).replace(/(.)\/+$/, '$1');
  if (destination === '/') throw wrong("invalid specification: destination can't be '/'");
  const common = { destination, readOnly: mount.ReadOnly ?? false, mode: '' } as const;
  switch (type) {
    case 'bind': {
      if (!mount.Source) throw wrong('field Source must not be empty');
      if (!mount.Source.startsWith('/'))
        throw wrong(`invalid mount path: '${mount.Source}' mount path must be absolute`);
      if (!existsSync(mount.Source) && !mount.BindOptions?.CreateMountpoint) {
        throw wrong(`bind source path does not exist: ${mount.Source}`);
      }
      return {
        ...common,
        type,
        source: posix.normalize(mount.Source),
        propagation: mount.BindOptions?.Propagation ?? 'rprivate',
      };
    }
    case 'volume': {
      const { NoCopy, Labels, DriverConfig } = mount.VolumeOptions ?? {};
      return {
        ...common,
        type,
        ...(mount.Source ? { name: mount.Source } : {}),
        propagation: '',
        mode: 'z',
        copyUp: NoCopy !== true,
        anonymous: !mount.Source,
        ...(Labels && { labels: Labels }),
        ...(DriverConfig?.Name ? { driver: DriverConfig.Name } : {}),
      };
    }
    case 'tmpfs': {
      if (mount.Source) throw wrong('field Source must not be specified');
      const { SizeBytes, Mode } = mount.TmpfsOptions ?? {};
      const options = [
        ...(SizeBytes ? [`size=${SizeBytes}`] : []),
        ...(Mode ? [`mode=${Mode.toString(8)}`] : []),
        ...(mount.ReadOnly ? ['ro'] : []),
      ];
      return { ...common, type, propagation: '', options: options.join(',') };
    }
    default:
      throw invalid(`invalid mount config for type "${type}": mount type unknown`);
  }
}

/** Makes the volumes that are asked for. @param made gets the names of those that were not there before */
export function realize(
  wishes: readonly MountWish[],
  volumes: Volumes,
  made: string[],
): readonly MountPoint[] {
  return wishes.map(({ labels, driver, ...wish }) => {
    if (wish.type !== 'volume') return wish;
    const known = wish.name !== undefined && volumes.has(wish.name);
    const volume = volumes.create({
      ...(wish.name === undefined ? {} : { name: wish.name }),
      ...(driver === undefined ? {} : { driver }),
      ...(labels === undefined ? {} : { labels }),
    });
    if (!known) made.push(volume.name);
    return { ...wish, name: volume.name, source: volumes.path(volume.name) };
  });
}
