import { dirname } from 'node:path';
import { KernelError } from './kernel.ts';
import * as libc from './libc.ts';

const MS_REMOUNT = 0x20;
const MS_BIND = 0x1000;
const MS_REC = 0x4000;
const MS_RDONLY = 0x1;

/** Option words that are flags of mount(2), as containerd and fstab(5) write them: [set, clear]. */
const FLAGS: Readonly<Record<string, readonly [number, number]>> = {
  ro: [MS_RDONLY, 0],
  rw: [0, MS_RDONLY],
  nosuid: [0x2, 0],
  suid: [0, 0x2],
  nodev: [0x4, 0],
  dev: [0, 0x4],
  noexec: [0x8, 0],
  exec: [0, 0x8],
  sync: [0x10, 0],
  async: [0, 0x10],
  remount: [MS_REMOUNT, 0],
  mand: [0x40, 0],
  nomand: [0, 0x40],
  dirsync: [0x80, 0],
  nosymfollow: [0x100, 0],
  noatime: [0x400, 0],
  atime: [0, 0x400],
  nodiratime: [0x800, 0],
  diratime: [0, 0x800],
  bind: [MS_BIND, 0],
  rbind: [MS_BIND | MS_REC, 0],
  relatime: [0x20_0000, 0],
  norelatime: [0, 0x20_0000],
  strictatime: [0x100_0000, 0],
  nostrictatime: [0, 0x100_0000],
  lazytime: [0x200_0000, 0],
  defaults: [0, 0],
};

const PROPAGATION: Readonly<Record<string, number>> = {
  unbindable: 0x2_0000,
  private: 0x4_0000,
  slave: 0x8_0000,
  shared: 0x10_0000,
};

/** mount(2) takes one page of data. */
const DATA_MAX = 4095;

export interface MountOptions {
  readonly flags: number;
  /** Propagation changes, each a mount(2) call of its own (mount(2), "Changing the propagation type"). */
  readonly propagation: readonly number[];
  /** The file system's own options, comma separated. */
  readonly data: string;
}

/**
 * An overlay of many layers whose options exceed a page: its lower directories relative to the directory they share.
 * Undefined when there is nothing to gain (as containerd's mount package does, compactLowerdirOption).
 */
export function compactLowerDirectories(
  data: string,
): { readonly directory: string; readonly data: string } | undefined {
  const options = data.split(',');
  const index = options.findIndex((option) => option.startsWith('lowerdir='));
  const layers = options[index]?.slice('lowerdir='.length).split(':') ?? [];
  const [first = ''] = layers;
  let directory = dirname(first);
  while (!layers.every((layer) => layer.startsWith(`${directory}/`))) {
    if (!directory.startsWith('/') || directory === '/') return undefined;
    directory = dirname(directory);
  }
  if (layers.length < 2 || directory === '/') return undefined;
  const relative = layers.map((layer) => layer.slice(directory.length + 1));
  return { directory, data: options.with(index, `lowerdir=${relative.join(':')}`).join(',') };
}

/** Splits option words such as containerd's `Mount.options` into flags, propagation and data. */
export function parseMountOptions(options: readonly string[], flags = 0): MountOptions {
  const data: string[] = [];
  const propagation: number[] = [];
  let bits = flags;
  for (const option of options) {
    const flag = FLAGS[option];
    const kind = PROPAGATION[option];
    const recursive = option.startsWith('r') ? PROPAGATION[option.slice(1)] : undefined;
    if (flag !== undefined) bits = (bits | flag[0]) & ~flag[1];
    else if (kind !== undefined) propagation.push(kind);
    else if (recursive !== undefined) propagation.push(recursive | MS_REC);
    else if (option !== '') data.push(option);
  }
  return { flags: bits, propagation, data: data.join(',') };
}

/**
 * mount(2) with the options of a containerd mount or an fstab line. `bind` with `ro` needs two calls, which this makes.
 * Nothing stays mounted after an error.
 * @param target absolute. @param flags MS_* bits beside those in `options`
 * @throws KernelError; E2BIG when the data does not fit one page
 */
export function mount(
  source: string,
  target: string,
  type: string,
  flags: number,
  options: readonly string[],
): void {
  const wanted = parseMountOptions(options, flags);
  const made = wanted.flags !== 0 || wanted.propagation.length === 0 || type !== 'none';
  if (made) mountData(source, target, type, wanted);
  try {
    const isBind = (wanted.flags & MS_BIND) !== 0;
    const rest = wanted.flags & ~(MS_BIND | MS_REC);
    if (isBind && rest !== 0 && (rest & MS_REMOUNT) === 0) {
      // A bind mount takes the flags of what it binds; its own come with a remount (mount(2)).
      libc.mountRaw(source, target, null, rest | MS_BIND | MS_REMOUNT, null);
    }
    for (const kind of wanted.propagation) libc.mountRaw('none', target, null, kind, null);
  } catch (error) {
    if (made && (wanted.flags & MS_REMOUNT) === 0) libc.umount2(target, libc.MNT_DETACH);
    throw error;
  }
}

function mountData(source: string, target: string, type: string, { flags, data }: MountOptions): void {
  if (Buffer.byteLength(data) <= DATA_MAX) {
    libc.mountRaw(source, target, type, flags, data === '' ? null : data);
    return;
  }
  const compact = type === 'overlay' ? compactLowerDirectories(data) : undefined;
  if (compact === undefined || Buffer.byteLength(compact.data) > DATA_MAX) {
    throw new KernelError(`mount ${source} on ${target}: options of more than ${DATA_MAX} bytes`, 'E2BIG');
  }
  const before = process.cwd();
  process.chdir(compact.directory);
  try {
    libc.mountRaw(source, target, type, flags, compact.data);
  } finally {
    process.chdir(before);
  }
}

/** @param flags `MNT_DETACH` or 0. @throws KernelError EINVAL when nothing is mounted there */
export function unmount(target: string, flags = 0): void {
  libc.umount2(target, flags);
}
