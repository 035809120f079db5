import { randomBytes } from 'node:crypto';
import { mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { MNT_DETACH } from '../../kernel/libc.ts';
import { mount, unmount } from '../../kernel/mount.ts';
import type { Mount } from '../../runtime/images.ts';

/** Runs `body` with a root filesystem mounted on a directory of our own, and takes it away whatever happens. */
export async function withRootfs<T>(
  execRoot: string,
  rootfs: readonly Mount[],
  body: (directory: string) => Promise<T>,
): Promise<T> {
  const directory = join(execRoot, 'mounts', randomBytes(6).toString('hex'));
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  try {
    for (const { source, type, options } of rootfs) mount(source, directory, type, 0, options);
    mount('none', directory, 'none', 0, ['rprivate']);
    try {
      return await body(directory);
    } finally {
      unmount(directory, MNT_DETACH);
    }
  } finally {
    rmdirSync(directory);
  }
}
