import assert from 'node:assert/strict';
import { after, before, type TestContext, test } from 'node:test';
import { Cluster } from './cluster.ts';
import { makeTunnel, removeTunnel, type Station } from './hand-made-tunnel.ts';
import { background, must, until } from './process.ts';

const TIME = ['-t', '1'] as const;
/** Of each way; a busy machine needs more of them until the noise is out. */
const ROUNDS = 7;
const MOST_ROUNDS = 4 * ROUNDS;
const ENOUGH = 0.9;
let cluster: Cluster;

before(async () => {
  cluster = await Cluster.start(2);
});
after(() => cluster?.close());

/** Before other programs of the machine: what is compared is the two ways. */
const inside = (pid: number, ...command: string[]): string[] => [
  ...['nice', '-n', '-19', 'nsenter', '-t', String(pid), '-n'],
  ...command,
];
const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

/** Two containers of an overlay network, one on each host. */
async function overlayEnds(): Promise<readonly Station[]> {
  const ends: Station[] = [];
  await cluster.createOverlay('fast');
  for (const [i, host] of cluster.hosts.entries()) {
    const name = `fast${i}`;
    await host.dockerOk('run', '-d', '--name', name, '--network', 'fast', 'busybox', 'sleep', '1000');
    ends.push({
      pid: await host.containerPid(name),
      address: await host.address(name, 'fast'),
    });
  }
  return ends;
}

/** From the first end to the second, bits per second as they arrive. */
async function throughput(ends: readonly Station[]): Promise<number> {
  const { end } = await iperf(ends, ...TIME);
  return end.sum_received.bits_per_second;
}

/** Datagrams of 64 bytes, as many as can be sent: those that arrive, per second. */
async function datagrams(ends: readonly Station[]): Promise<number> {
  const { end } = await iperf(ends, ...TIME, '-u', '-l', '64', '-b', '0');
  return (end.sum.packets - end.sum.lost_packets) / end.sum.seconds;
}

interface Report {
  readonly end: {
    readonly sum_received: { readonly bits_per_second: number };
    readonly sum: { readonly packets: number; readonly lost_packets: number; readonly seconds: number };
  };
}

async function iperf(ends: readonly Station[], ...options: string[]): Promise<Report> {
  const [from, to] = ends;
  assert.ok(from && to);
  const server = await background(inside(to.pid, 'iperf3', '-s', '-1', '--forceflush'), 'Server listening');
  try {
    const client = ['iperf3', '-c', to.address, '-J', ...options];
    return JSON.parse(await must(inside(from.pid, ...client), { timeout: 30 }));
  } finally {
    server.kill('SIGKILL');
  }
}

async function compare(
  own: readonly Station[],
  hand: readonly Station[],
  measure: (ends: readonly Station[]) => Promise<number>,
  rounds: number,
  most = rounds,
): Promise<{ readonly own: number; readonly hand: number }> {
  const values = { own: [] as number[], hand: [] as number[] };
  for (let round = 1; ; round++) {
    // In turn, so that a noisy moment hits both alike.
    values.own.push(await measure(own));
    values.hand.push(await measure(hand));
    const medians = { own: median(values.own), hand: median(values.hand) };
    if (round >= most || (round >= rounds && medians.own >= ENOUGH * medians.hand)) return medians;
  }
}

let own: readonly Station[];
const giga = (value: number): string => (value / 1e9).toFixed(2);
const ratio = (values: { readonly own: number; readonly hand: number }): string =>
  (values.own / values.hand).toFixed(2);

async function atLeastNineTenths(t: TestContext, hand: readonly Station[]): Promise<void> {
  await until('the containers to reach each other', async () =>
    (await iperf(own, '-n', '1M').catch(() => undefined)) === undefined ? undefined : true,
  );
  const bits = await compare(own, hand, throughput, ROUNDS, MOST_ROUNDS);
  t.diagnostic(
    `iperf3, Gbit/s: overlay network ${giga(bits.own)}, hand-made ${giga(bits.hand)}, ratio ${ratio(bits)}`,
  );
  const small = await compare(own, hand, datagrams, 3);
  t.diagnostic(
    `datagrams of 64 bytes a second: overlay network ${small.own.toFixed(0)}, hand-made ${small.hand.toFixed(0)}, ratio ${ratio(small)}`,
  );
  assert.ok(bits.own >= ENOUGH * bits.hand, `${giga(bits.own)} Gbit/s beside ${giga(bits.hand)}`);
}

/** Whether the firewall of the hosts sees what their bridges hand on; there is no such switch without br_netfilter. */
async function setBridgeFirewall(on: boolean): Promise<void> {
  for (const host of cluster.hosts) {
    await host.host(['sysctl', '-q', `net.bridge.bridge-nf-call-iptables=${on ? 1 : 0}`]);
  }
}

const mtu = async (): Promise<number> =>
  Number(await cluster.hosts[0]?.dockerOk('exec', 'fast0', 'cat', '/sys/class/net/eth0/mtu'));

test('throughput over an overlay network is at least 0.9 of a hand-made VXLAN that no rule is in the way of', async (t) => {
  own = await overlayEnds();
  await setBridgeFirewall(false);
  await atLeastNineTenths(t, await makeTunnel(cluster, 'apart', await mtu()));
});

test('and where the firewall sees bridged traffic, of a hand-made VXLAN on the same hosts', async (t) => {
  await setBridgeFirewall(true);
  const hand = await makeTunnel(cluster, 'host', await mtu());
  try {
    await atLeastNineTenths(t, hand);
  } finally {
    await removeTunnel(cluster);
  }
});
