import { closeSync, constants } from 'node:fs';
import { chmod, lchown, link, lstat, lutimes, mkdir, open, rm, symlink } from 'node:fs/promises';
import { posix } from 'node:path';
import { PassThrough, pipeline, type Readable } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { extract, type Header } from 'tar-stream';
import { KernelError } from '../../../kernel/kernel.ts';
import { makeNode, S_IFBLK, S_IFCHR, S_IFIFO } from '../../../kernel/rooted-path.ts';
import { EngineError, invalid, system } from '../../../model/errors.ts';
import { openDirectory, pathOf } from './root.ts';

export interface ExtractOptions {
  /** A directory may not take a file's place, nor a file a directory's (`noOverwriteDirNonDir`). */
  readonly keepKinds: boolean;
  /** Owner of everything, instead of the one the tar tells. */
  readonly owner?: { readonly uid: number; readonly gid: number };
}

/**
 * Unpacks a tar (bare, gzip or zstd) into the directory `target` under `root`. Links of the tar are links of the
 * container: they lead nowhere outside of `root`.
 * @throws EngineError INVALID_PARAMETER for names that leave the directory
 */
export async function extractFiles(
  source: Readable,
  root: number,
  target: string,
  options: ExtractOptions,
): Promise<void> {
  const tar = extract();
  pipeline(await decompressed(source), tar, () => undefined);
  /** A directory gets its time when everything is in it. */
  const directories: { readonly path: string; readonly mtime: Date }[] = [];
  try {
    for await (const entry of tar) {
      const { header } = entry;
      const path = posix.join(target, header.name).replace(/(.)\/+$/, '$1');
      if (path !== target && !path.startsWith(target === '/' ? '/' : `${target}/`))
        throw invalid(`invalid path "${header.name}": it is outside of "${target}"`);
      if (path === target) {
        entry.resume();
        continue;
      }
      await place(root, path, target, header, entry as unknown as Readable, options);
      if (header.type === 'directory' && header.mtime) directories.push({ path, mtime: header.mtime });
      entry.resume();
    }
  } catch (error) {
    if (error instanceof EngineError) throw error;
    if (error instanceof KernelError) throw system(error.message, error);
    // dockerd's words for everything that is no tar.
    if (error instanceof Error && /tar|Unexpected end|header/i.test(error.message))
      throw system('unexpected EOF', error);
    throw error;
  }
  for (const { path, mtime } of directories.reverse()) {
    await within(root, path, (place) => lutimes(place, mtime, mtime)).catch(() => undefined);
  }
}

/** Gives the path of `path`'s last name in its opened directory. */
async function within<T>(root: number, path: string, body: (place: string) => Promise<T>): Promise<T> {
  const parent = openDirectory(root, posix.dirname(path), true);
  try {
    return await body(pathOf(parent, posix.basename(path)));
  } finally {
    closeSync(parent);
  }
}

function place(
  root: number,
  path: string,
  target: string,
  header: Header,
  content: Readable,
  options: ExtractOptions,
): Promise<void> {
  return within(root, path, async (at) => {
    const existing = await lstat(at).catch(() => undefined);
    const isDirectory = header.type === 'directory';
    if (existing !== undefined && options.keepKinds && existing.isDirectory() !== isDirectory) {
      throw invalid(
        isDirectory
          ? `cannot overwrite non-directory "${path}" with directory "${target}"`
          : `cannot overwrite directory "${path}" with non-directory "${target}"`,
      );
    }
    if (existing !== undefined && !(existing.isDirectory() && isDirectory))
      await rm(at, { recursive: true, force: true });
    const mode = header.mode ?? 0o644;
    switch (header.type) {
      case 'directory':
        if (!existing?.isDirectory()) await mkdir(at, { mode: mode & 0o7777 });
        break;
      case 'symlink':
        await symlink(header.linkname ?? '', at);
        break;
      case 'link':
        await within(root, posix.join(target, posix.join('/', header.linkname ?? '')), (first) =>
          link(first, at),
        );
        return;
      case 'fifo':
        makeNode(at, S_IFIFO | (mode & 0o7777), 0, 0);
        break;
      case 'character-device':
      case 'block-device':
        makeNode(
          at,
          (header.type === 'block-device' ? S_IFBLK : S_IFCHR) | (mode & 0o7777),
          header.devmajor ?? 0,
          header.devminor ?? 0,
        );
        break;
      case 'file':
      case 'contiguous-file':
        await writeFile(at, content);
        break;
      default:
        return;
    }
    const { uid, gid } = options.owner ?? { uid: header.uid ?? 0, gid: header.gid ?? 0 };
    await lchown(at, uid, gid);
    // After chown(2), which clears set-user-ID.
    if (header.type !== 'symlink') await chmod(at, mode & 0o7777);
    if (header.mtime) await lutimes(at, header.mtime, header.mtime);
  });
}

async function writeFile(path: string, content: Readable): Promise<void> {
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  const file = await open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    for await (const chunk of content) await file.write(chunk as Buffer);
  } finally {
    await file.close();
  }
}

async function decompressed(source: Readable): Promise<Readable> {
  const whole = new PassThrough();
  const first = await new Promise<Buffer>((resolve, reject) => {
    source.once('error', reject);
    source.once('end', () => resolve(Buffer.alloc(0)));
    source.once('readable', () => {
      const chunk = source.read() as Buffer | null;
      resolve(chunk ?? Buffer.alloc(0));
    });
  });
  if (first.length === 0 && source.readableEnded) {
    whole.end();
    return whole;
  }
  whole.write(first);
  pipeline(source, whole, () => undefined);
  const magic = first.subarray(0, 4).toString('hex');
  const decoder = magic.startsWith('1f8b')
    ? createGunzip()
    : magic === '28b52ffd'
      ? createZstdDecompress()
      : undefined;
  if (decoder === undefined) return whole;
  pipeline(whole, decoder, () => undefined);
  return decoder;
}
