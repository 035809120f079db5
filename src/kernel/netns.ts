import { closeSync, mkdirSync, openSync, readdirSync, statfsSync, unlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { NetnsPath } from '../model/address.ts';
import { KernelError } from './kernel.ts';
import * as libc from './libc.ts';
import { mount, unmount } from './mount.ts';
import { RouteSocket } from './rtnetlink.ts';

/** `/proc/self` would be the main thread's, whatever thread asks (proc(5)). */
const CURRENT = '/proc/thread-self/ns/net';
const NSFS_MAGIC = 0x6e736673;

/** Moves this thread between network namespaces and always brings it back to where it was. */
export class NetnsSwitch {
  readonly #home = openSync(CURRENT, 'r');
  #current = this.#home;

  /** Runs `body` in the namespace. @throws KernelError ENOENT, EINVAL when `path` is not a namespace; what `body` throws */
  inside<T>(path: NetnsPath, body: () => T): T {
    const fd = openNetns(path);
    const before = this.#current;
    try {
      libc.setns(fd, libc.CLONE_NEWNET);
      this.#current = fd;
      return body();
    } finally {
      this.#return(before);
      closeSync(fd);
    }
  }

  /**
   * A new namespace with `lo` up, kept by a bind mount on `path`. A file without a namespace on it, as a reboot
   * leaves it, is taken over.
   * @throws KernelError EEXIST when there is one already
   */
  create(path: NetnsPath): void {
    if (isNetns(path)) throw new KernelError(`network namespace ${path} exists already`, 'EEXIST');
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    closeSync(openSync(path, 'w', 0o600));
    const before = this.#current;
    try {
      libc.unshare(libc.CLONE_NEWNET);
      RouteSocket.use((routes) => routes.changeLink({ index: 1, name: 'lo' }, [], true));
      // The mount namespace stays the caller's, so the mount is seen by everything the daemon starts. Where the
      // parent mount is shared it reaches the peers too, and so does the unmount.
      mount(CURRENT, path, 'none', 0, ['bind']);
    } catch (error) {
      this.#return(before);
      unlinkSync(path);
      throw error;
    }
    this.#return(before);
  }

  close(): void {
    closeSync(this.#home);
  }

  #return(fd: number): void {
    try {
      libc.setns(fd, libc.CLONE_NEWNET);
      this.#current = fd;
    } catch (error) {
      // Going on in a container's namespace would answer every later request wrongly.
      console.error(error);
      process.abort();
    }
  }
}

/** @throws KernelError with the errno of open(2) */
function openNetns(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'EIO';
    throw new KernelError(`open network namespace ${path}: ${code}`, code, undefined, { cause });
  }
}

/** Success when it is gone already. Processes inside keep the namespace alive; it only loses its name. */
export function removeNetns(path: NetnsPath): void {
  try {
    unmount(path, libc.MNT_DETACH);
  } catch (error) {
    // EINVAL: a plain file without a namespace on it.
    if (!(error instanceof KernelError && (error.errno === 'EINVAL' || error.errno === 'ENOENT')))
      throw error;
  }
  try {
    unlinkSync(path);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'EIO';
    if (code !== 'ENOENT') throw new KernelError(`unlink ${path}: ${code}`, code, undefined, { cause });
  }
}

function isNetns(path: string): boolean {
  try {
    return statfsSync(path).type === NSFS_MAGIC;
  } catch {
    return false;
  }
}

/** The namespaces kept in `directory`, which may be absent. */
export function listNetns(directory: string): readonly NetnsPath[] {
  try {
    return readdirSync(directory)
      .map((name) => join(directory, name) as NetnsPath)
      .filter(isNetns);
  } catch {
    return [];
  }
}
