import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

const BLOCK = 64 * 1024;
const NEWLINE = 0x0a;

export interface TailStart {
  /** Index into the given files. */
  readonly file: number;
  readonly offset: number;
}

/** Where the last `count` lines of these files (oldest first) begin; reads from the end, only as much as is needed. */
export function findTail(files: readonly string[], count: number): TailStart {
  let wanted = count;
  for (let file = files.length - 1; file >= 0; file--) {
    const found = tailOfFile(files[file] ?? '', wanted);
    if (found.lines >= wanted) return { file, offset: found.offset };
    wanted -= found.lines;
  }
  return { file: 0, offset: 0 };
}

function tailOfFile(path: string, wanted: number): { readonly lines: number; readonly offset: number } {
  const fd = openSync(path, 'r');
  try {
    const { size } = fstatSync(fd);
    if (wanted === 0) return { lines: 0, offset: size };
    const block = Buffer.alloc(Math.min(BLOCK, size));
    let lines = 0;
    for (let end = size; end > 0; ) {
      const start = Math.max(0, end - BLOCK);
      readSync(fd, block, 0, end - start, start);
      for (let at = end - start - 1; at >= 0; at--) {
        // The file's last newline ends a line and begins none.
        if (block[at] !== NEWLINE || start + at === size - 1) continue;
        if (++lines === wanted) return { lines, offset: start + at + 1 };
      }
      end = start;
    }
    return { lines: size > 0 ? lines + 1 : 0, offset: 0 };
  } finally {
    closeSync(fd);
  }
}
