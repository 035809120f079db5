import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** A pid may have gone to another program since: only a gangwayd counts. */
function isDaemon(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('gangwayd');
  } catch {
    return false;
  }
}

/**
 * @returns removes the file, if it is still ours
 * @throws Error in dockerd's words when the daemon it names is alive
 */
export function writePidfile(path: string): () => void {
  const read = (): number => {
    try {
      return Number.parseInt(readFileSync(path, 'utf8'), 10);
    } catch {
      return 0;
    }
  };
  const before = read();
  if (before > 0 && before !== process.pid && isDaemon(before)) {
    throw new Error(`process with PID ${before} is still running (pidfile ${path})`);
  }
  mkdirSync(dirname(path), { recursive: true, mode: 0o711 });
  writeFileSync(path, String(process.pid), { mode: 0o644 });
  return () => {
    if (read() === process.pid) rmSync(path, { force: true });
  };
}
