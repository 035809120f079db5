import { readFileSync } from 'node:fs';
import { type EventLoopUtilization, performance } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import koffi from 'koffi';

const library = koffi.load('libc.so.6');
const madvise = library.func('int madvise(uintptr_t, size_t, int)');
const mallocTrim = library.func('int malloc_trim(size_t)');

const MADV_DONTNEED = 4;

const LOOK_EVERY_MS = 5000;
/** Less work than this in one look is idleness; more since the last shrinking is worth another. */
const IDLE_MS = 25;
const WORTH_MS = 30;

/** Gives memory back whenever a time of work is over. The first look is one second from now. */
export function shrinkWhenIdle(): void {
  let seen: EventLoopUtilization | undefined;
  let worked = Number.POSITIVE_INFINITY;
  const look = (): void => {
    const now = performance.eventLoopUtilization();
    const busy = performance.eventLoopUtilization(now, seen).active;
    const first = seen === undefined;
    seen = now;
    worked += busy;
    if (worked < WORTH_MS || (busy > IDLE_MS && !first)) return;
    shrink();
    worked = 0;
    seen = performance.eventLoopUtilization();
  };
  setTimeout(look, 1000).unref();
  setInterval(look, LOOK_EVERY_MS).unref();
}

/**
 * Gives back what work has left behind: garbage of the JavaScript heap, free pages of malloc's heap, and program text
 * that is not needed now (executable mappings of files are never written to, so the kernel reads a page again when it is
 * next run). Takes some 20 ms.
 */
function shrink(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  mallocTrim(0);
  for (const line of readFileSync('/proc/self/maps', 'latin1').split('\n')) {
    const map = /^([0-9a-f]+)-([0-9a-f]+) r-xp \S+ \S+ [1-9]\d* +\//.exec(line);
    if (map?.[1] === undefined || map[2] === undefined) continue;
    const start = Number.parseInt(map[1], 16);
    madvise(start, Number.parseInt(map[2], 16) - start, MADV_DONTNEED);
  }
}
