import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Topology, TopologyCounters } from '../../src/model/topology.ts';
import { Cluster } from '../e2e/cluster.ts';
import type { Machine } from '../e2e/machine.ts';
import { until } from '../e2e/process.ts';

/** The topology of two hosts: each sees the other's containers at its overlay network, and the tunnel between. */
let cluster: Cluster;
let one: Machine;
let two: Machine;

before(async () => {
  cluster = await Cluster.start(2);
  [one, two] = cluster.hosts as [Machine, Machine];
  await cluster.createOverlay('lamp');
  await one.dockerOk('run', '-d', '--name', 'db', '--net', 'lamp', 'busybox', 'sleep', '1000');
  await two.dockerOk(
    'run',
    '-d',
    '--name',
    'web',
    '--net',
    'lamp',
    '-p',
    '8080:80',
    'busybox',
    'sleep',
    '1000',
  );
});
after(() => cluster?.close());

const read = async <T>(path: string): Promise<T> => JSON.parse((await one.api('GET', path)).body) as T;

test("the other host, its container, and the tunnel's counters", async () => {
  const topology = await until('web in the topology of the first host', async () => {
    const found = await read<Topology>('/gangway/topology');
    return found.containers.some(({ name }) => name === 'web') ? found : undefined;
  });
  const [own, other] = topology.hosts;
  assert.deepEqual([topology.hosts.length, own?.own, other?.own, other?.alive], [2, true, false, true]);
  assert.ok(own?.address !== other?.address);
  const lamp = topology.networks.find(({ name }) => name === 'lamp');
  assert.equal(lamp?.driver, 'overlay');
  const hostOf = (name: string): string | undefined =>
    topology.containers.find((each) => each.name === name)?.host;
  assert.deepEqual([hostOf('db'), hostOf('web')], [own?.id, other?.id]);
  const away = topology.endpoints.find(
    ({ network, hostIfName }) => network === lamp?.id && hostIfName === undefined,
  );
  assert.match(away?.addresses[0] ?? '', /^10\.|^172\.|^192\.168\./);
  assert.deepEqual(topology.ports, [], "another host's ports are its own");

  const tunnel = lamp?.tunnel?.ifName ?? '';
  const before = (await read<TopologyCounters>('/gangway/topology?counters=1')).links[tunnel];
  assert.ok(before !== undefined, 'the tunnel is counted');
  const address = away?.addresses[0]?.replace(/\/.*/, '') ?? '';
  await one.docker('exec', 'db', 'sh', '-c', `nc -w 1 ${address} 80 </dev/null`);
  const now = (await read<TopologyCounters>('/gangway/topology?counters=1')).links[tunnel];
  assert.ok((now?.[1] ?? 0) > before[1], `${before} ${now}`);
});

test('the picture in the terminal says on which host a container is', async () => {
  const { stdout } = await one.gangway('topology', 'lamp');
  assert.ok(
    stdout.split('\n').every((line) => line.length <= 80),
    stdout,
  );
  assert.match(stdout, /lamp ═══.*\n.*overlay, tunnel vx-\w+, VNI 4096/);
  assert.match(stdout, /veth\w+ ── eth0 ─+ db /);
  assert.match(stdout, /\(\S+ [\d.]+\) ─+ web /);
});
