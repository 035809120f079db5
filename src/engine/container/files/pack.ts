import { constants } from 'node:fs';
import { lstat, open, readdir, readlink, statfs } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Header, pack } from 'tar-stream';
import { pathOf } from './root.ts';

const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;

/** A directory on this host's file systems, by descriptor, and what of it goes into the tar. */
export interface PackSource {
  readonly directory: number;
  /** One entry of it; absent: everything. */
  readonly only?: string;
  /** The name in the tar of that entry, or of the directory itself (Docker's rebase names); empty: no entry for it. */
  readonly name: string;
}

/**
 * A tar of a directory whose owner may change it meanwhile: every name is looked up in an open directory and no link is
 * followed. What vanishes or cannot be read any more is left out, sockets always are.
 */
export function packFiles(source: PackSource): Readable {
  const tar = pack();
  const packer = new Packer(tar);
  const work =
    source.only === undefined
      ? packer.directory(source.directory, source.name)
      : packer.entry(source.directory, source.only, source.name);
  work.then(
    () => tar.finalize(),
    (error: Error) => tar.destroy(error),
  );
  return tar as unknown as Readable;
}

type EntryHeader = Partial<Header> & { readonly name: string };

class Packer {
  readonly #tar: ReturnType<typeof pack>;
  /** Names already packed of files with several, by device and inode. */
  readonly #links = new Map<string, string>();

  constructor(tar: ReturnType<typeof pack>) {
    this.#tar = tar;
  }

  async directory(fd: number, name: string): Promise<void> {
    const prefix = name === '' || name.endsWith('/') ? name : `${name}/`;
    if (name !== '')
      await this.#write({ ...(await headerOf(pathOf(fd, '.'))), name: prefix, type: 'directory' });
    for (const child of (await readdir(pathOf(fd))).sort()) await this.entry(fd, child, prefix + child);
  }

  async entry(parent: number, child: string, name: string): Promise<void> {
    const path = pathOf(parent, child);
    try {
      const stats = await lstat(path);
      if (stats.isDirectory()) {
        const { dev: parentDevice } = await lstat(pathOf(parent, '.'));
        const directory = await open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        try {
          // Of what the kernel shows at a mount below, only the place.
          const foreign = (await directory.stat()).dev !== parentDevice && (await isKernels(directory.fd));
          if (foreign) await this.#write({ ...(await headerOf(path)), name: `${name}/`, type: 'directory' });
          else await this.directory(directory.fd, name);
        } finally {
          await directory.close();
        }
        return;
      }
      const header = { ...(await headerOf(path)), name };
      if (stats.isSymbolicLink())
        return this.#write({ ...header, type: 'symlink', linkname: await readlink(path) });
      if (stats.nlink > 1) {
        const inode = `${stats.dev}:${stats.ino}`;
        const first = this.#links.get(inode);
        if (first !== undefined) return this.#write({ ...header, type: 'link', linkname: first });
        this.#links.set(inode, name);
      }
      if (stats.isFile()) return await this.#file(path, header);
      if (stats.isFIFO()) return this.#write({ ...header, type: 'fifo' });
      if (stats.isCharacterDevice() || stats.isBlockDevice()) {
        const type = stats.isBlockDevice() ? 'block-device' : 'character-device';
        return this.#write({ ...header, type, devmajor: major(stats.rdev), devminor: minor(stats.rdev) });
      }
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT' && code !== 'ELOOP' && code !== 'ENOTDIR') throw error;
    }
  }

  async #file(path: string, header: EntryHeader): Promise<void> {
    const file = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    try {
      const { size } = await file.stat();
      const entry = this.#tar.entry({ ...header, type: 'file', size });
      if (size === 0) {
        entry.end(undefined);
        return;
      }
      // A file that shrinks meanwhile would leave the entry short, one that grows is cut.
      const stream = file.createReadStream({ start: 0, end: size - 1, autoClose: false });
      await pipeline(stream, padded(size), entry);
    } finally {
      await file.close();
    }
  }

  #write(header: EntryHeader): Promise<void> {
    return new Promise((resolve, reject) => {
      const entry = this.#tar.entry({ ...header, size: 0 }, (error) => (error ? reject(error) : resolve()));
      entry.end(undefined);
    });
  }
}

/** statfs(2): proc, sysfs, cgroup, cgroup2, devpts, mqueue and tmpfs. */
const KERNEL_FILES = new Set([0x9fa0, 0x62656572, 0x27e0eb, 0x63677270, 0x1cd1, 0x19800202, 0x01021994]);

async function isKernels(fd: number): Promise<boolean> {
  return KERNEL_FILES.has((await statfs(pathOf(fd))).type);
}

/** Fills up with zeros to the size that the header has promised. */
function padded(size: number): (source: AsyncIterable<Buffer>) => AsyncGenerator<Buffer> {
  return async function* (source) {
    let left = size;
    for await (const chunk of source) {
      left -= chunk.length;
      yield chunk;
    }
    const zeros = Buffer.alloc(64 * 1024);
    for (; left > 0; left -= zeros.length) yield left < zeros.length ? zeros.subarray(0, left) : zeros;
  };
}

async function headerOf(path: string): Promise<Omit<EntryHeader, 'name'>> {
  const stats = await lstat(path);
  return {
    mode: stats.mode & 0o7777,
    uid: stats.uid,
    gid: stats.gid,
    mtime: new Date(Math.floor(stats.mtimeMs / 1000) * 1000),
  };
}

// gnu_dev_major(3) and gnu_dev_minor(3).
const major = (device: number): number =>
  Number(((BigInt(device) >> 8n) & 0xfffn) | ((BigInt(device) >> 32n) & ~0xfffn));
const minor = (device: number): number =>
  Number((BigInt(device) & 0xffn) | ((BigInt(device) >> 12n) & ~0xffn));
