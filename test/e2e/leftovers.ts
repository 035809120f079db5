import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cgroupParent, findCgroups } from './engine-under-test.ts';
import { commandLine, type Namespaces, processesInside, processesNaming } from './namespaces.ts';
import { must } from './process.ts';

/** What a machine has of kernel objects; taken before the engine starts and after it is uninstalled. */
export interface Inventory {
  readonly links: readonly string[];
  readonly tables: readonly string[];
  readonly rules: readonly string[];
  readonly routes: readonly string[];
  readonly mounts: readonly string[];
  readonly processes: readonly number[];
}

export async function takeInventory(namespaces: Namespaces): Promise<Inventory> {
  const inside = (...command: string[]): Promise<string> =>
    must(['nsenter', '-t', String(namespaces.machine), '-n', '-m', ...command]);
  const lines = (text: string): string[] => text.split('\n').filter(Boolean);
  const links = JSON.parse(await inside('ip', '-j', 'link')) as { ifname: string }[];
  return {
    links: links.map((link) => link.ifname).sort(),
    tables: lines(await inside('nft', 'list', 'tables')),
    rules: lines(await inside('ip', 'rule')),
    // A bridge of the user's that has lost its last port shows its routes as `linkdown`.
    routes: lines(await inside('ip', 'route')).map((route) =>
      route.replace(/( (linkdown|dead))+ *$/, '').trim(),
    ),
    // Field 5 is the mount point (proc_pid_mountinfo(5)).
    mounts: lines(readFileSync(`/proc/${namespaces.machine}/mountinfo`, 'utf8')).map(
      (line) => line.split(' ')[4] ?? '',
    ),
    processes: processesInside(namespaces),
  };
}

/** What is there now and was not there before, in words. */
export async function findLeftovers(
  namespaces: Namespaces,
  before: Inventory,
  directory: string,
): Promise<string[]> {
  const now = await takeInventory(namespaces);
  const fresh = (what: string, old: readonly unknown[], current: readonly unknown[]): string[] =>
    current.filter((item) => !old.includes(item)).map((item) => `${what} ${String(item)}`);
  const known = new Set([...before.processes, ...namespaces.holders.map((holder) => holder.pid)]);
  const processes = new Set([...now.processes, ...processesNaming(directory)]);
  return [
    ...fresh('link', before.links, now.links),
    ...fresh('nft table', before.tables, now.tables),
    ...fresh('routing rule', before.rules, now.rules),
    ...fresh('route', before.routes, now.routes),
    ...fresh('mount', before.mounts, now.mounts),
    ...[...processes]
      .filter((pid) => !known.has(pid) && existsSync(`/proc/${pid}`))
      .map((pid) => `process ${commandLine(pid)}`),
    ...findCgroups(cgroupParent(directory)).map((path) => `cgroup ${path}`),
    ...['data', 'exec', 'docker.pid', 'docker.sock']
      .filter((name) => existsSync(join(directory, name)))
      .map((name) => `file ${name}`),
  ];
}
