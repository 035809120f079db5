import { closeSync, constants, openSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const PREFIX = 'exec-';

/** Where an exec's FIFOs are, in its container's state directory. */
export function execDirectory(stateDirectory: string, execId: string): string {
  return join(stateDirectory, PREFIX + execId);
}

/**
 * Execs do not outlive the daemon for its clients, but their FIFOs do. A shim that was starting one when the daemon died
 * waits in open(2) for a reader (fifo(7)), and meanwhile answers for none of its containers: this opens both ends.
 * @param stateDirectories of the containers. @returns closes and removes the FIFOs, once the shims have answered
 */
export function releaseLeftoverExecs(stateDirectories: readonly string[]): () => void {
  const directories = stateDirectories.flatMap((directory) =>
    names(directory)
      .filter((name) => name.startsWith(PREFIX))
      .map((name) => join(directory, name)),
  );
  const open = directories.flatMap((directory) =>
    names(directory).map((name) => openSync(join(directory, name), constants.O_RDWR | constants.O_NONBLOCK)),
  );
  return () => {
    for (const fd of open) closeSync(fd);
    for (const directory of directories) rmSync(directory, { recursive: true, force: true });
  };
}

function names(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
