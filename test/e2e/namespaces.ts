import type { ChildProcess } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { background, must } from './process.ts';

/** The addresses of every test machine (RFC 5737 and RFC 2544 ranges), all inside namespaces. */
export const HOST = '198.51.100.1';
export const HOST_SECOND = '198.51.100.3';
export const OUTSIDE = '198.51.100.2';
export const NAME_SERVER = '198.51.100.53';
/** RFC 3849. */
export const HOST6 = '2001:db8:7::1';
export const OUTSIDE6 = '2001:db8:7::2';

/** Two namespaces joined by a wire: the machine the engine runs on, and a host outside. Holder processes keep them. */
export interface Namespaces {
  readonly machine: number;
  readonly outside: number;
  readonly holders: readonly ChildProcess[];
}

/**
 * The machine has its own network, mounts, /sys and /run; its uplink `up0` carries HOST and HOST_SECOND, its default
 * route leads to OUTSIDE. The host outside knows no way to the machine's bridges.
 */
export async function makeNamespaces(directory: string): Promise<Namespaces> {
  mkdirSync(join(directory, 'cgroup'));
  writeFileSync(join(directory, 'resolv.conf'), `nameserver ${NAME_SERVER}\nsearch example.test\n`);
  const script = `
    set -eu
    mount --make-rprivate /
    mount --rbind /sys/fs/cgroup "$0/cgroup"
    mount -t sysfs sysfs /sys
    mount --move "$0/cgroup" /sys/fs/cgroup
    mount -t tmpfs -o mode=755 tmpfs /run
    [ -f /etc/resolv.conf ] && mount --bind "$0/resolv.conf" /etc/resolv.conf
    ip link set lo up
    echo READY
    exec sleep infinity`;
  const machine = await background(['unshare', '-n', '-m', 'sh', '-c', script, directory], 'READY');
  const outside = await background(
    ['unshare', '-n', 'sh', '-c', 'ip link set lo up; echo READY; exec sleep infinity'],
    'READY',
  );
  if (machine.pid === undefined || outside.pid === undefined) throw new Error('no namespaces');
  await must([
    'nsenter',
    '-t',
    String(machine.pid),
    '-n',
    'sh',
    '-euc',
    `
    ip link add up0 type veth peer name wire0 netns ${outside.pid}
    ip addr add ${HOST}/24 dev up0
    ip addr add ${HOST_SECOND}/24 dev up0
    ip addr add ${HOST6}/64 dev up0 nodad
    ip link set up0 up
    ip route add default via ${OUTSIDE}
    ip -6 route add default via ${OUTSIDE6}
    nsenter -t ${outside.pid} -n sh -euc '
      ip addr add ${OUTSIDE}/24 dev wire0
      ip addr add ${NAME_SERVER}/24 dev wire0
      ip addr add ${OUTSIDE6}/64 dev wire0 nodad
      ip link set wire0 up'`,
  ]);
  return { machine: machine.pid, outside: outside.pid, holders: [machine, outside] };
}

/** Ids of all processes inside the machine's network or mount namespace, its holder left out. */
export function processesInside(namespaces: Namespaces): number[] {
  const own = (pid: number | string, kind: string): string | undefined => {
    try {
      return readlinkSync(`/proc/${pid}/ns/${kind}`);
    } catch {
      return undefined;
    }
  };
  const net = own(namespaces.machine, 'net');
  const mnt = own(namespaces.machine, 'mnt');
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== namespaces.machine)
    .filter((pid) => own(pid, 'net') === net || own(pid, 'mnt') === mnt)
    .map(Number);
}

/** Ids of all processes whose command line speaks of `text`. */
export function processesNaming(text: string): number[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) return [];
    try {
      return readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(text) ? [Number(name)] : [];
    } catch {
      return [];
    }
  });
}

export function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
  } catch {
    return '(gone)';
  }
}
