import { chmod, chown, cp, lstat, lutimes, readdir, readlink } from 'node:fs/promises';
import { join, posix } from 'node:path';
import type { Mount } from '../../runtime/images.ts';
import type { Container, MountPoint } from './container.ts';
import type { Containers } from './containers.ts';
import { withRootfs } from './rootfs.ts';

/**
 * A volume that is new and empty starts with what the image has at that place (docs.docker.com, "Volumes", "Populate a
 * volume using a container"). Done once, at the first start.
 */
export async function copyUp(
  containers: Containers,
  container: Container,
  rootfs: readonly Mount[],
): Promise<void> {
  const wanted = container.mounts.filter((mount) => mount.type === 'volume' && mount.copyUp);
  if (wanted.length === 0) return;
  const empty: MountPoint[] = [];
  for (const mount of wanted) if ((await readdir(mount.source ?? '')).length === 0) empty.push(mount);
  if (empty.length > 0) {
    await withRootfs(containers.platform.config.execRoot, rootfs, async (root) => {
      for (const mount of empty)
        await copyContents(await inside(root, mount.destination), mount.source ?? '');
    });
  }
  containers.update(container.id, {
    mounts: container.mounts.map((mount) => (mount.copyUp ? { ...mount, copyUp: false } : mount)),
  });
}

/** Follows links as the container would: never out of its root. */
export async function inside(root: string, path: string): Promise<string> {
  let pending = path.split('/').filter((part) => part !== '');
  let at = '/';
  for (let links = 0; pending.length > 0; ) {
    const part = pending.shift() ?? '';
    const next = posix.join(at, part);
    const stats = await lstat(join(root, next)).catch(() => undefined);
    if (!stats?.isSymbolicLink() || ++links > 40) {
      at = next;
      continue;
    }
    const target = await readlink(join(root, next));
    pending = [...target.split('/').filter((step) => step !== ''), ...pending];
    if (target.startsWith('/')) at = '/';
  }
  return join(root, at);
}

async function copyContents(from: string, to: string): Promise<void> {
  const stats = await lstat(from).catch(() => undefined);
  if (!stats?.isDirectory()) return;
  await cp(from, to, {
    recursive: true,
    preserveTimestamps: true,
    verbatimSymlinks: true,
    force: true,
    // Sockets and devices are nothing to start a volume with.
    filter: async (source) => {
      const entry = await lstat(source);
      return entry.isFile() || entry.isDirectory() || entry.isSymbolicLink();
    },
  });
  await takeOwners(from, to);
}

/** cp(3) of Node keeps modes but not owners. */
async function takeOwners(from: string, to: string): Promise<void> {
  const stats = await lstat(from);
  if (!stats.isSymbolicLink()) {
    await chown(to, stats.uid, stats.gid);
    await chmod(to, stats.mode & 0o7777);
  }
  if (stats.isDirectory()) {
    for (const name of await readdir(to)) await takeOwners(join(from, name), join(to, name));
  }
  await lutimes(to, stats.atime, stats.mtime);
}
