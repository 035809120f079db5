import { closeSync, constants, openSync } from 'node:fs';
import { posix } from 'node:path';
import type { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { O_PATH, openInRoot } from '../../../kernel/rooted-path.ts';
import { invalid } from '../../../model/errors.ts';
import { RootfsReader } from '../../../runtime/spec/rootfs-reader.ts';
import { lookupUser } from '../../../runtime/spec/user.ts';
import type { Container } from '../container.ts';
import type { Containers } from '../containers.ts';
import { withRootfs } from '../rootfs.ts';
import { extractFiles } from './extract.ts';
import { packFiles } from './pack.ts';
import { absolutePath, baseName, openPlace, type PathStat, statPath } from './path-stat.ts';
import { readOnlyView, withContainerRoot } from './root.ts';

const IS_DIRECTORY = 2 ** 31;

/** `docker cp` and `docker export`: files of containers, running or not. */
export class Archive {
  readonly #containers: Containers;

  constructor(containers: Containers) {
    this.#containers = containers;
  }

  /** @throws EngineError NOT_FOUND */
  async stat(ref: string, pathText: string): Promise<PathStat> {
    const container = this.#containers.lookUp(ref);
    const path = absolutePath(pathText);
    return withContainerRoot(this.#containers, container, async (root) => statPath(root, path, ref));
  }

  /** Calls `answer` with the tar and what it is of; the root stays open until the tar is read or dropped. */
  async read(ref: string, pathText: string, answer: (stat: PathStat, tar: Readable) => void): Promise<void> {
    const container = this.#containers.lookUp(ref);
    const path = absolutePath(pathText);
    await withContainerRoot(this.#containers, container, async (root) => {
      const stat = statPath(root, path, ref);
      const whole = stat.mode >= IS_DIRECTORY;
      const directory = openInRoot(
        root,
        whole ? path : posix.dirname(path),
        constants.O_RDONLY | constants.O_DIRECTORY,
      );
      try {
        const name = baseName(path);
        const tar = packFiles({ directory, name, ...(whole ? {} : { only: posix.basename(path) }) });
        answer(stat, tar);
        this.#containers.publish(container, 'archive-path');
        await finished(tar).catch(() => undefined);
      } finally {
        closeSync(directory);
      }
    });
  }

  /** @throws EngineError NOT_FOUND, INVALID_PARAMETER for a place that takes nothing */
  async write(
    ref: string,
    pathText: string,
    source: Readable,
    options: { readonly keepKinds: boolean; readonly copyOwner: boolean },
  ): Promise<void> {
    const container = this.#containers.lookUp(ref);
    const path = absolutePath(pathText);
    await withContainerRoot(this.#containers, container, async (root) => {
      const target = posix.normalize(path).replace(/(.)\/+$/, '$1');
      closeSync(openPlace(root, target, ref));
      checkDirectory(root, target);
      checkWritable(container, target);
      await extractFiles(source, root, target, {
        keepKinds: options.keepKinds,
        ...(options.copyOwner && container.config.User ? { owner: await this.#owner(container) } : {}),
      });
      this.#containers.publish(container, 'extract-to-dir');
    });
  }

  async #owner(container: Container): Promise<{ readonly uid: number; readonly gid: number }> {
    const rootfs = await this.#containers.platform.images.rootfsMounts(container.id);
    const user = lookupUser(new RootfsReader(rootfs), container.config.User ?? '', []);
    return { uid: user.uid, gid: user.gid };
  }

  /** The root filesystem without volumes, as `docker export` gives it. */
  async exportRootfs(ref: string, answer: (tar: Readable) => void): Promise<void> {
    const container = this.#containers.lookUp(ref);
    const { images, config } = this.#containers.platform;
    const view = readOnlyView(await images.rootfsMounts(container.id));
    await withRootfs(config.execRoot, view, async (at) => {
      const directory = openSync(at, constants.O_RDONLY | constants.O_DIRECTORY);
      try {
        const tar = packFiles({ directory, name: '' });
        answer(tar);
        this.#containers.publish(container, 'export');
        await finished(tar).catch(() => undefined);
      } finally {
        closeSync(directory);
      }
    });
  }
}

/** @throws EngineError INVALID_PARAMETER */
function checkDirectory(root: number, path: string): void {
  try {
    closeSync(openInRoot(root, path, O_PATH | constants.O_DIRECTORY));
  } catch {
    throw invalid('extraction point is not a directory');
  }
}

/** @throws EngineError INVALID_PARAMETER */
function checkWritable(container: Container, path: string): void {
  const inside = (place: string): boolean => path === place || path.startsWith(`${place}/`);
  const volume = container.mounts
    .filter((mount) => mount.type !== 'tmpfs' && inside(mount.destination))
    .toSorted((a, b) => b.destination.length - a.destination.length)[0];
  if (volume?.readOnly) throw invalid('mounted volume is marked read-only');
  if (volume === undefined && container.hostConfig.ReadonlyRootfs)
    throw invalid('container rootfs is marked read-only');
}
