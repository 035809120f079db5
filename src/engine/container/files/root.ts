import { closeSync, constants, mkdirSync, openSync } from 'node:fs';
import { posix } from 'node:path';
import { KernelError } from '../../../kernel/kernel.ts';
import { mount } from '../../../kernel/mount.ts';
import { O_PATH, openInRoot } from '../../../kernel/rooted-path.ts';
import type { Mount } from '../../../runtime/images.ts';
import { type Container, isRunning } from '../container.ts';
import type { Containers } from '../containers.ts';
import { withRootfs } from '../rootfs.ts';

const DIRECTORY = constants.O_DIRECTORY | O_PATH;

/** The path of an open descriptor: names in it are looked up without the links on the way to it. */
export const pathOf = (fd: number, name = ''): string =>
  `/proc/self/fd/${fd}${name === '' ? '' : `/${name}`}`;

/** Opens a directory inside `root`, making what is missing of it. @throws KernelError */
export function openDirectory(root: number, path: string, make: boolean): number {
  try {
    return openInRoot(root, path, DIRECTORY);
  } catch (error) {
    if (!make || !(error instanceof KernelError) || error.errno !== 'ENOENT' || path === '/') throw error;
  }
  const parent = openDirectory(root, posix.dirname(path), true);
  try {
    mkdirSync(pathOf(parent, posix.basename(path)), { mode: 0o755 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    closeSync(parent);
  }
  return openInRoot(root, path, DIRECTORY);
}

/**
 * Runs `body` with a descriptor of the container's root as its processes see it: its own root while it runs, else its
 * root filesystem with binds and volumes mounted on it.
 */
export async function withContainerRoot<T>(
  containers: Containers,
  container: Container,
  body: (root: number) => Promise<T>,
): Promise<T> {
  if (isRunning(container)) return withOpen(`/proc/${container.state.pid}/root`, body);
  // An overlay may not be mounted twice: a start waits, as with dockerd.
  return containers.locked(container.id, async () => {
    const current = containers.get(container.id);
    return isRunning(current)
      ? withOpen(`/proc/${current.state.pid}/root`, body)
      : withMountedRoot(containers, current, body);
  });
}

async function withMountedRoot<T>(
  containers: Containers,
  container: Container,
  body: (root: number) => Promise<T>,
): Promise<T> {
  const rootfs = await containers.platform.images.rootfsMounts(container.id);
  return withRootfs(containers.platform.config.execRoot, rootfs, (directory) =>
    withOpen(directory, async (root) => {
      for (const { source, destination, type } of container.mounts) {
        if (type === 'tmpfs' || source === undefined) continue;
        const target = openTarget(root, destination);
        if (target === undefined) continue;
        try {
          // Not recursive: taking copies of shared mounts away again would take the originals along.
          mount(source, pathOf(target), 'none', 0, ['bind']);
        } finally {
          closeSync(target);
        }
      }
      return body(root);
    }),
  );
}

/** Files bound on files that are not there yet are left out: a start makes them. */
function openTarget(root: number, destination: string): number | undefined {
  try {
    return openInRoot(root, destination, O_PATH);
  } catch {
    try {
      return openDirectory(root, destination, true);
    } catch {
      return undefined;
    }
  }
}

async function withOpen<T>(path: string, body: (root: number) => Promise<T>): Promise<T> {
  const root = openSync(path, DIRECTORY);
  try {
    return await body(root);
  } finally {
    closeSync(root);
  }
}

/** The root filesystem to read while its container may write to it: an overlay without an upper directory. */
export function readOnlyView(rootfs: readonly Mount[]): readonly Mount[] {
  return rootfs.map((layer) => {
    if (layer.type !== 'overlay') return { ...layer, options: [...layer.options, 'ro'] };
    const option = (name: string): string =>
      layer.options.find((text) => text.startsWith(`${name}=`))?.slice(name.length + 1) ?? '';
    const lower = [option('upperdir'), option('lowerdir')].filter(Boolean).join(':');
    const rest = layer.options.filter((text) => !/^(upperdir|workdir|lowerdir)=/.test(text));
    return { ...layer, options: [...rest, `lowerdir=${lower}`, 'ro'] };
  });
}
