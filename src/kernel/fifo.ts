import { constants, lstatSync, openSync, rmSync } from 'node:fs';
import koffi from 'koffi';
import { errnoError, errnoName, setPipeSize } from './libc.ts';

const mkfifo = koffi.load('libc.so.6').func('int mkfifo(const char *, uint32_t)');

/** Bytes a pipe takes before its writer waits: output flows on while no daemon reads. Memory is used as it fills. */
const PIPE_BYTES = 1 << 20;

/**
 * mkfifo(3), mode 0600. Not an error when it is there already; a file of another kind in its place is removed.
 * @throws KernelError
 */
export function makeFifo(path: string): void {
  if (mkfifo(path, 0o600) === 0) return;
  if (errnoName(koffi.errno()) !== 'EEXIST') throw errnoError(koffi.errno(), path);
  if (lstatSync(path, { throwIfNoEntry: false })?.isFIFO() === true) return;
  rmSync(path, { force: true });
  if (mkfifo(path, 0o600) < 0) throw errnoError(koffi.errno(), path);
}

/**
 * Opens both ends of a FIFO, non-blocking. While `keeper` is open a reader sees no end of file; when it is closed, the
 * end comes with the last foreign writer.
 */
export function openFifo(path: string): { readonly reader: number; readonly keeper: number } {
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const keeper = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  try {
    setPipeSize(keeper, PIPE_BYTES);
  } catch {
    // Past the user's limit (pipe(7), pipe-user-pages-soft): the usual 64 KiB serve as well.
  }
  return { reader, keeper };
}
