import { closeSync, constants, fstatSync, readlinkSync } from 'node:fs';
import { posix } from 'node:path';
import { KernelError } from '../../../kernel/kernel.ts';
import { O_PATH, openInRoot } from '../../../kernel/rooted-path.ts';
import { notFound, system } from '../../../model/errors.ts';
import { pathOf } from './root.ts';

const MAX_LINKS = 255;

/** What `X-Docker-Container-Path-Stat` tells. */
export interface PathStat {
  readonly name: string;
  readonly size: number;
  /** Go's os.FileMode. */
  readonly mode: number;
  readonly mtime: string;
  /** Where a link leads in the end, absolute; empty for everything else. */
  readonly linkTarget: string;
}

/** Bits of os.FileMode that are none of Unix's (pkg.go.dev/io/fs, FileMode). */
const TYPES: readonly (readonly [type: number, bits: number])[] = [
  [constants.S_IFDIR, 2 ** 31],
  [constants.S_IFLNK, 2 ** 27],
  [constants.S_IFBLK, 2 ** 26],
  [constants.S_IFIFO, 2 ** 25],
  [constants.S_IFSOCK, 2 ** 24],
  [constants.S_IFCHR, 2 ** 26 + 2 ** 21],
];
const SPECIAL: readonly (readonly [bit: number, bits: number])[] = [
  [0o4000, 2 ** 23],
  [0o2000, 2 ** 22],
  [0o1000, 2 ** 20],
];

export function goFileMode(mode: number): number {
  const type = TYPES.find(([kind]) => (mode & constants.S_IFMT) === kind)?.[1] ?? 0;
  const special = SPECIAL.reduce((sum, [bit, bits]) => (mode & bit ? sum + bits : sum), 0);
  return (mode & 0o777) + type + special;
}

/**
 * A path a client gives, made absolute; a last `/` or `/.` stays, since it makes links be followed
 * (moby archive, PreserveTrailingDotOrSeparator).
 */
export function absolutePath(path: string): string {
  const clean = posix.normalize(`/${path}`).replace(/(.)\/+$/, '$1');
  if (path === '.' || path.endsWith('/.')) return clean === '/' ? '/.' : `${clean}/.`;
  return path.endsWith('/') && clean !== '/' ? `${clean}/` : clean;
}

/** Go's filepath.Base. */
export function baseName(path: string): string {
  const base = path.replace(/\/+$/, '').split('/').at(-1) ?? '';
  return base === '' ? '/' : base;
}

/** @throws EngineError NOT_FOUND `Could not find the file …` */
export function statPath(root: number, path: string, containerRef: string): PathStat {
  const fd = openPlace(root, path, containerRef);
  try {
    const stats = fstatSync(fd, { bigint: true });
    const mode = Number(stats.mode);
    return {
      name: baseName(path),
      size: Number(stats.size),
      mode: goFileMode(mode),
      mtime: rfc3339(stats.mtimeNs),
      linkTarget: (mode & constants.S_IFMT) === constants.S_IFLNK ? endOfLinks(root, path) : '',
    };
  } finally {
    closeSync(fd);
  }
}

/** Opens the thing itself, a link as a link unless the path ends in a slash. @throws EngineError */
export function openPlace(root: number, path: string, containerRef: string): number {
  const follow = /\/\.?$/.test(path);
  try {
    return openInRoot(root, path, O_PATH | (follow ? 0 : constants.O_NOFOLLOW));
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    if (error.errno === 'ENOENT')
      throw notFound(`Could not find the file ${path} in container ${containerRef}`);
    throw system(error.errno === 'ENOTDIR' ? `lstat ${path}: not a directory` : error.message, error);
  }
}

/** The last name of a chain of links, also when nothing is there. */
function endOfLinks(root: number, path: string): string {
  let at = posix.normalize(path);
  for (let links = 0; links < MAX_LINKS; links++) {
    let parent: number | undefined;
    try {
      parent = openInRoot(root, posix.dirname(at), O_PATH);
      at = posix.resolve(posix.dirname(at), readlinkSync(pathOf(parent, posix.basename(at))));
    } catch {
      return at;
    } finally {
      if (parent !== undefined) closeSync(parent);
    }
  }
  return at;
}

/** RFC 3339 with as many digits as there are, as Go prints time. */
function rfc3339(ns: bigint): string {
  const seconds = new Date(Number(ns / 1_000_000_000n) * 1000).toISOString().slice(0, 19);
  const fraction = String(ns % 1_000_000_000n)
    .padStart(9, '0')
    .replace(/0+$/, '');
  return `${seconds}${fraction === '' ? '' : `.${fraction}`}Z`;
}
