import { lstatSync, readFileSync, readlinkSync, type Stats } from 'node:fs';
import { join, posix } from 'node:path';
import type { Mount } from '../images.ts';

const MAX_LINKS = 40;

/**
 * Reads files of a root filesystem that is not mounted, straight from the layer directories of its overlay, or from
 * the directory of a bind mount. Links stay inside, whatever they say.
 */
export class RootfsReader {
  readonly #layers: readonly string[];

  constructor(mounts: readonly Mount[]) {
    this.#layers = mounts.flatMap(layersOf);
  }

  /** Undefined when there is no such file. */
  read(path: string): string | undefined {
    let pending = path.split('/').filter((part) => part !== '');
    let at = '/';
    let links = 0;
    for (let part = pending.shift(); part !== undefined; part = pending.shift()) {
      if (part === '.') continue;
      at = posix.join(at, part);
      if (part === '..') continue;
      const found = this.#find(at);
      if (found === undefined) return undefined;
      if (!found.stats.isSymbolicLink()) {
        if (pending.length === 0) return found.stats.isFile() ? readFileSync(found.file, 'utf8') : undefined;
        continue;
      }
      if (++links > MAX_LINKS) return undefined;
      const target = readlinkSync(found.file);
      pending = [...target.split('/').filter((step) => step !== ''), ...pending];
      at = target.startsWith('/') ? '/' : posix.dirname(at);
    }
    return undefined;
  }

  #find(path: string): { readonly file: string; readonly stats: Stats } | undefined {
    for (const layer of this.#layers) {
      const file = join(layer, path);
      const stats = lstatSync(file, { throwIfNoEntry: false });
      if (stats === undefined) continue;
      // overlayfs marks a removed file by a character device 0:0.
      return stats.isCharacterDevice() && stats.rdev === 0 ? undefined : { file, stats };
    }
    return undefined;
  }
}

/** Topmost first. */
function layersOf(mount: Mount): readonly string[] {
  if (mount.type !== 'overlay') return [mount.source];
  const option = (name: string): string | undefined =>
    mount.options.find((text) => text.startsWith(`${name}=`))?.slice(name.length + 1);
  const upper = option('upperdir');
  const lower = (option('lowerdir') ?? '').split(':').filter((path) => path !== '');
  return upper === undefined ? lower : [upper, ...lower];
}
