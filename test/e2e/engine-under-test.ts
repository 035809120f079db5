import { existsSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of this checkout, with a slash at its end. */
export const CHECKOUT = fileURLToPath(new URL('../../', import.meta.url));

/** Where the images of test/images/build.sh are. */
export const CACHE = process.env.GANGWAY_TEST_CACHE ?? '/var/cache/gangway-test';

/** The reference engines (scripts `dockerd` and `podman`), when this machine has them. */
export const PEERS = process.env.PEERS_DIR ?? `${CHECKOUT}../shared/peers`;

/**
 * ENGINE=dockerd runs the same tests against the real Docker Engine: it proves the tests, not the engine. What only
 * an engine of ours can do is guarded with `IS_GANGWAY`.
 */
export const IS_GANGWAY = (process.env.ENGINE ?? 'gangway') === 'gangway';

/** The parent of the machines' directories: the reference engine runs in a chroot that sees only its own. */
export const MACHINES = IS_GANGWAY ? '/tmp' : (process.env.PEERS ?? '/tmp/peer');

export function daemonCommand(directory: string, flags: readonly string[]): string[] {
  if (IS_GANGWAY) {
    return [
      `${CHECKOUT}bin/gangwayd`,
      ...['-H', `unix://${directory}/docker.sock`, '--data-root', `${directory}/data`],
      ...['--exec-root', `${directory}/exec`, '-p', `${directory}/docker.pid`],
      ...['--config-file', `${directory}/daemon.json`, '--cgroup-parent', cgroupParent(directory)],
      ...flags,
    ];
  }
  if (!existsSync(`${PEERS}/dockerd`)) throw new Error(`no reference dockerd in ${PEERS}: set PEERS_DIR`);
  return [
    'env',
    'HOSTNET=1',
    `PEERS=${MACHINES}`,
    `${PEERS}/dockerd`,
    directory.slice(directory.lastIndexOf('/') + 1),
    ...['-H', `unix://${directory}/docker.sock`, '-p', `${directory}/docker.pid`],
    ...['--cgroup-parent', cgroupParent(directory)],
    ...flags,
  ];
}

/** The reference engine does not uninstall itself: its folders and empty cgroups go here. */
export function forgetReference(directory: string): void {
  const name = cgroupParent(directory);
  for (const kind of ['run', 'data']) rmSync(`${MACHINES}/${kind}-${name}`, { recursive: true, force: true });
  for (const path of findCgroups(name)) {
    try {
      rmdirSync(path);
    } catch {}
  }
}

/** Directories of this name in any cgroup hierarchy (v1, v2 or both), at most four levels down. */
export function findCgroups(name: string, path = '/sys/fs/cgroup', depth = 0): string[] {
  if (depth > 4) return [];
  let entries: string[];
  try {
    entries = readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name);
  } catch {
    return [];
  }
  return entries.flatMap((entry) =>
    entry === name ? [join(path, entry)] : findCgroups(name, join(path, entry), depth + 1),
  );
}

/** A cgroup of its own for every machine, so that what is left behind can be told from other engines'. */
export function cgroupParent(directory: string): string {
  return directory.slice(directory.lastIndexOf('/') + 1);
}
