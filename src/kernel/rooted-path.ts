import { constants } from 'node:fs';
import koffi from 'koffi';
import { errnoError } from './libc.ts';

const library = koffi.load('libc.so.6');
const syscall = library.func('long syscall(long, int, const char *, const void *, size_t)');
const mknodNative = library.func('int mknod(const char *, uint32_t, uint64_t)');

/** The same number on every architecture (asm-generic/unistd.h). */
const SYS_OPENAT2 = 437;
const RESOLVE_IN_ROOT = 0x10;
const O_CLOEXEC = 0o2000000;
const EAGAIN = 11;
const ATTEMPTS = 100;

/** A descriptor that names a place and cannot be read (open(2)). */
export const O_PATH = 0o10000000;

/**
 * Opens `path` as a process would whose root directory is `root`: absolute links and `..` stay inside, also while
 * somebody inside renames directories under the walk (openat2(2), RESOLVE_IN_ROOT).
 * @param flags O_* without O_CREAT. @returns a descriptor, closed on exec
 * @throws KernelError ENOENT, ENOTDIR, ELOOP…
 */
export function openInRoot(root: number, path: string, flags: number): number {
  const how = Buffer.alloc(24);
  how.writeBigUInt64LE(BigInt(flags | O_CLOEXEC), 0);
  how.writeBigUInt64LE(BigInt(RESOLVE_IN_ROOT), 16);
  for (let attempt = 1; ; attempt++) {
    const fd = Number(syscall(SYS_OPENAT2, root, path === '' ? '.' : path, how, how.length));
    if (fd >= 0) return fd;
    const errno = koffi.errno();
    // A rename somewhere made the kernel unsure whether `..` is still inside.
    if (errno !== EAGAIN || attempt === ATTEMPTS) throw errnoError(errno, path);
  }
}

/** @param mode S_IFIFO, S_IFCHR or S_IFBLK with permission bits. @throws KernelError */
export function makeNode(path: string, mode: number, major: number, minor: number): void {
  const [a, b] = [BigInt(major), BigInt(minor)];
  // makedev(3) of glibc.
  const device = ((a & ~0xfffn) << 32n) | ((a & 0xfffn) << 8n) | ((b & ~0xffn) << 12n) | (b & 0xffn);
  if (mknodNative(path, mode, device) < 0) throw errnoError(koffi.errno(), path);
}

export const S_IFIFO = constants.S_IFIFO;
export const S_IFCHR = constants.S_IFCHR;
export const S_IFBLK = constants.S_IFBLK;
