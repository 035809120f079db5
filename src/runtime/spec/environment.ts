const DEFAULT_PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

const nameOf = (entry: string): string => entry.split('=', 1)[0] ?? '';

/** Later entries win in the place of the earlier one; an entry without `=` removes the variable. */
export function mergeEnvironment(base: readonly string[], over: readonly string[]): readonly string[] {
  const merged = new Map(base.map((entry) => [nameOf(entry), entry]));
  for (const entry of over) {
    if (entry.includes('=')) merged.set(nameOf(entry), entry);
    else merged.delete(entry);
  }
  return [...merged.values()];
}

/** moby container_unix.go, CreateDaemonEnvironment. */
export function containerEnvironment(
  hostname: string,
  terminal: boolean,
  env: readonly string[],
): readonly string[] {
  const base = [DEFAULT_PATH, `HOSTNAME=${hostname}`, ...(terminal ? ['TERM=xterm'] : [])];
  return mergeEnvironment(base, env);
}
