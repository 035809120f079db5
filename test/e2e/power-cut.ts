import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cgroupParent, findCgroups } from './engine-under-test.ts';
import type { Machine } from './machine.ts';
import { processesInside } from './namespaces.ts';
import { killQuietly, run, until } from './process.ts';

/**
 * What a power cut leaves of a machine: no process, no link, no rule, no mount, an empty exec root, and the data root.
 * @param keep processes of the test's own
 */
export async function powerCut(machine: Machine, keep: ReadonlySet<number | undefined>): Promise<void> {
  const { directory, namespaces } = machine;
  for (const pid of processesInside(namespaces).filter((each) => !keep.has(each))) killQuietly(pid);
  const cgroups = findCgroups(cgroupParent(directory));
  // Containers are in namespaces of their own: their cgroups tell them.
  const inContainers = (): string[] =>
    cgroups.flatMap((path) =>
      readdirSync(path, { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith('cgroup.procs'))
        .flatMap((name) => readFileSync(join(path, name), 'utf8').split('\n').filter(Boolean)),
    );
  await until('all containers to end', () => {
    const pids = new Set(inContainers());
    for (const pid of pids) killQuietly(Number(pid));
    return pids.size === 0 || undefined;
  });
  for (const path of cgroups) await run(['find', path, '-depth', '-type', 'd', '-exec', 'rmdir', '{}', ';']);
  const script = `
    nft flush ruleset
    for link in $(ip -o link show type bridge | sed 's/^[0-9]*: \\([^:@]*\\).*/\\1/'); do ip link del $link; done
    for link in $(ip -o link show type veth | sed -n 's/^[0-9]*: \\(veth[^:@]*\\).*/\\1/p'); do ip link del $link; done
    awk '{ print $5 }' /proc/self/mountinfo | grep '^${directory}/' | sort -r | grep -v '/resolv.conf$' | xargs -r -n 1 umount -l
    sysctl -q net.ipv4.ip_forward=0
    rm -rf ${directory}/exec ${directory}/docker.pid /run/*`;
  await until('all processes to end', () => processesInside(namespaces).length <= keep.size || undefined);
  await machine.host(['sh', '-c', script]);
}
