import type { Cluster } from './cluster.ts';
import type { Machine } from './machine.ts';
import { must } from './process.ts';

const VNI = { host: 77, apart: 78 } as const;
const ADDRESSES = ['100.65.0.1', '100.65.0.2'] as const;
const MACS = ['02:00:00:00:07:01', '02:00:00:00:07:02'] as const;

/** One end of a tunnel: what iperf3 is run in. */
export interface Station {
  readonly pid: number;
  readonly address: string;
}

/**
 * A VXLAN between two hosts of a cluster as an administrator would make it, of the same parts as an overlay network's:
 * container, veth, bridge, tunnel, entries written by hand. Its underlay is the hosts' own.
 * @param place of the bridges: `host` among the engine's; `apart` in namespaces of their own, out of the way of its rules
 */
export async function makeTunnel(
  cluster: Cluster,
  place: 'host' | 'apart',
  mtu: number,
): Promise<readonly Station[]> {
  const ends: Station[] = [];
  for (const [i, host] of cluster.hosts.slice(0, 2).entries()) {
    const bridge = place === 'host' ? host.namespaces.machine : await namespaceOn(host);
    const pid = await namespaceOn(host);
    const other = 1 - i;
    // A tunnel that is moved goes on sending and receiving where it was made.
    const script = `
      ip link add hand0 mtu ${mtu} type vxlan id ${VNI[place]} local ${cluster.address(i)} dstport 4789 nolearning
      ip link set hand0 netns ${bridge}
      nsenter -t ${bridge} -n sh -euc '
        ip link add hand1 type bridge
        ip link add hand2 mtu ${mtu} type veth peer name eth0 mtu ${mtu} address ${MACS[i]} netns ${pid}
        ip link set hand0 master hand1; ip link set hand2 master hand1
        bridge fdb add ${MACS[other]} dev hand0 dst ${cluster.address(other)}
        ip link set hand1 up; ip link set hand0 up; ip link set hand2 up'
      nsenter -t ${pid} -n sh -euc '
        ip addr add ${ADDRESSES[i]}/24 dev eth0; ip link set lo up; ip link set eth0 up
        ip neigh add ${ADDRESSES[other]} lladdr ${MACS[other]} dev eth0'`;
    await must(host.inMachine(['sh', '-euc', script]));
    ends.push({ pid, address: ADDRESSES[i] ?? '' });
  }
  return ends;
}

/** Takes one off that is among the hosts' links. */
export async function removeTunnel(cluster: Cluster): Promise<void> {
  for (const host of cluster.hosts.slice(0, 2)) {
    for (const link of ['hand2', 'hand1', 'hand0']) await must(host.inMachine(['ip', 'link', 'del', link]));
  }
}

/** A network namespace that ends with the machine. */
async function namespaceOn(host: Machine): Promise<number> {
  const holder = await host.spawnHelper(
    host.inMachine(['unshare', '-n', 'sh', '-c', 'echo READY; exec sleep infinity']),
    'READY',
  );
  if (holder.pid === undefined) throw new Error('no namespace');
  return holder.pid;
}
