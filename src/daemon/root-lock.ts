import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

class RootInUse extends Error {
  override readonly name = 'RootInUse';
}

/**
 * Takes a directory for this process alone, whatever namespaces another daemon lives in. SQLite's exclusive lock is a
 * fcntl(2) lock: it ends with the process, so nothing stale can be left.
 * @returns gives the directory free
 * @throws RootInUse with the other daemon's pid
 */
export function lockRoot(directory: string, what: string): () => void {
  mkdirSync(directory, { recursive: true, mode: 0o711 });
  const pidFile = join(directory, 'daemon.lock.pid');
  const lock = new DatabaseSync(join(directory, 'daemon.lock'));
  try {
    lock.exec('PRAGMA busy_timeout=0; PRAGMA journal_mode=MEMORY; BEGIN EXCLUSIVE');
  } catch (error) {
    lock.close();
    if (!/locked|busy/i.test(String(error))) throw error;
    throw new RootInUse(
      `another gangwayd (pid ${readPid(pidFile) ?? 'unknown'}) is already running on the ${what} ${directory}: give this one another --${what}, or stop that one`,
    );
  }
  writeFileSync(pidFile, `${process.pid}\n`);
  return () => lock.close();
}

function readPid(file: string): number | undefined {
  try {
    const pid = Number.parseInt(readFileSync(file, 'utf8'), 10);
    return pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}
