import { lstatSync, readdirSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import type { Mount } from '../../../runtime/images.ts';

/** `Kind` of `GET /containers/ID/changes`. */
const CHANGED = 0;
const ADDED = 1;
const DELETED = 2;

export interface Change {
  readonly Path: string;
  readonly Kind: typeof CHANGED | typeof ADDED | typeof DELETED;
}

/** Made for every container: by us, or by runc as places to mount on. */
const OURS = new Set([
  '/.dockerenv',
  '/dev',
  '/proc',
  '/sys',
  '/etc/hosts',
  '/etc/hostname',
  '/etc/resolv.conf',
]);

/** What a container has changed in its root filesystem: the upper directory of its overlay beside the lower ones. */
export function listChanges(rootfs: readonly Mount[]): readonly Change[] {
  const options = rootfs[0]?.options ?? [];
  const option = (name: string): string | undefined =>
    options.find((text) => text.startsWith(`${name}=`))?.slice(name.length + 1);
  const upper = option('upperdir') ?? rootfs[0]?.source;
  if (upper === undefined) return [];
  const lower = (option('lowerdir') ?? '').split(':').filter(Boolean);
  return walk(upper, '', (path) => find(lower, path)).sort((a, b) => (a.Path < b.Path ? -1 : 1));
}

const isWhiteout = (stats: Stats): boolean => stats.isCharacterDevice() && stats.rdev === 0;

/** The image's entry: topmost layer first, a whiteout hides those below. */
function find(layers: readonly string[], path: string): Stats | undefined {
  for (const layer of layers) {
    const stats = lstatSync(join(layer, path), { throwIfNoEntry: false });
    if (stats !== undefined) return isWhiteout(stats) ? undefined : stats;
  }
  return undefined;
}

function walk(upper: string, directory: string, below: (path: string) => Stats | undefined): Change[] {
  const changes: Change[] = [];
  for (const name of readdirSync(join(upper, directory))) {
    const path = `${directory}/${name}`;
    const stats = lstatSync(join(upper, path), { throwIfNoEntry: false });
    if (stats === undefined) continue;
    const before = below(path);
    if (OURS.has(path) && (stats.isDirectory() || stats.size === 0)) continue;
    if (isWhiteout(stats)) {
      if (before !== undefined) changes.push({ Path: path, Kind: DELETED });
      continue;
    }
    const children = stats.isDirectory() ? walk(upper, path, below) : [];
    const isSameDirectory =
      before?.isDirectory() === true &&
      stats.isDirectory() &&
      children.length === 0 &&
      before.mode === stats.mode &&
      before.uid === stats.uid &&
      before.gid === stats.gid;
    if (isSameDirectory) continue;
    changes.push({ Path: path, Kind: before === undefined ? ADDED : CHANGED }, ...children);
  }
  return changes;
}
