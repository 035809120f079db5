import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Cluster } from '../../src/cluster/cluster.ts';
import { Store } from '../../src/engine/store.ts';
import { formatPrefix, type Ip, type Ipv6, type Prefix } from '../../src/model/address.ts';
import { EngineError } from '../../src/model/errors.ts';
import { begin, Etcd, endpoint, member, spec, until } from './store.ts';

const etcd = new Etcd();
const open: Cluster[] = [];
before(() => etcd.start());
after(async () => {
  for (const cluster of open) cluster.close();
  await etcd.remove();
});

async function host(number: number, disk?: Store, lost?: Prefix[]): Promise<Cluster> {
  const made = member(etcd, number, disk);
  open.push(made);
  await begin(made, { blockLost: (_, block) => lost?.push(block) });
  return made;
}

/** Transactions that changed something since the last look. */
async function counter(): Promise<() => Promise<number>> {
  const reader = etcd.client();
  const look = async (): Promise<number> => Number((await reader.list('none/')).revision);
  let before = await look();
  return async () => {
    const now = await look();
    const written = now - before;
    before = now;
    return written;
  };
}

const BOTH = [{ more: 'ipv4' }, { more: 'ipv6' }] as const;
const own = (cluster: Cluster, id: string): readonly string[] => cluster.blocks.own(id).map(formatPrefix);
const of = (address: string) => ({ of: address as Ip });
const outcome = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'won',
    (error: unknown) => (error instanceof EngineError ? `${error.status} ${error.message}` : String(error)),
  );

test('the first start on a host writes twice, both families in one; the others once', async () => {
  const [a, b] = [await host(1), await host(2)];
  const network = await a.createNetwork('lamp', (_, vni) =>
    spec('lamp', 'lamp', '10.1.0.0/24', vni, 'fd00:1::/64'),
  );
  const written = await counter();
  for (const [number, wishes, writes] of [
    [1, BOTH, 2],
    [2, [], 1],
    [3, [], 1],
  ] as const) {
    await a.blocks.claim(network, wishes);
    a.publish({ ...endpoint('lamp', number), ipv6: `fd00:1::${number}` as Ipv6 });
    await until(() => a.status().waiting === 0);
    assert.equal(await written(), writes);
  }
  await b.blocks.claim(network, BOTH);
  assert.deepEqual(own(a, 'lamp'), ['10.1.0.0/28', 'fd00:1::/122']);
  assert.deepEqual(own(b, 'lamp'), ['10.1.0.16/28', 'fd00:1::40/122']);
  b.join('lamp');
  await until(() => b.remotes('lamp').length === 3);
  assert.deepEqual(b.remote('lamp', 'endpoint-3')?.ipv6, 'fd00:1::3');
});

test('a family whose block is used up gets another one alone', async () => {
  const a = await host(3);
  const network = spec('half', 'half', '10.2.0.0/24', 7001, 'fd00:2::/64');
  await a.blocks.claim(network, BOTH);
  await a.blocks.claim(network, [{ more: 'ipv4' }]);
  await a.blocks.claim(network, [{ more: 'ipv6' }]);
  assert.deepEqual(own(a, 'half'), ['10.2.0.0/28', 'fd00:2::/122', '10.2.0.16/28', 'fd00:2::40/122']);
});

test('chosen addresses of both families: of the own blocks nothing is asked, of free ones both are taken, of another host’s neither', async () => {
  const [a, b] = [await host(4), await host(5)];
  const network = spec('static', 'static', '10.3.0.0/24', 7002, 'fd00:3::/64');
  const written = await counter();
  await a.blocks.claim(network, [of('10.3.0.20'), of('fd00:3::beef')]);
  assert.equal(await written(), 1);
  await a.blocks.claim(network, [of('10.3.0.21'), of('fd00:3::bee0')]);
  assert.equal(await written(), 0);
  assert.deepEqual(own(a, 'static'), ['10.3.0.16/28', 'fd00:3::bec0/122']);
  assert.match(
    await outcome(b.blocks.claim(network, [of('10.3.0.40'), of('fd00:3::beef')])),
    /^403 .*Address already in use: fd00:3::beef is of the block fd00:3::bec0\/122, which another host has/,
  );
  assert.deepEqual([await written(), own(b, 'static')], [0, []]);
});

test('two hosts want the last block of IPv6 at the same moment, 300 times: one has both families, the other neither', async () => {
  const [a, b] = [await host(6), await host(7)];
  for (let i = 0; i < 300; i++) {
    const network = spec(`small${i}`, `small${i}`, '10.4.0.0/24', 8000 + i, 'fd00:4::/126');
    const results = await Promise.all([a, b].map((each) => outcome(each.blocks.claim(network, BOTH))));
    assert.match(results.toSorted().join(), /^500 .*no available IPv6 addresses.*,won$/);
    assert.deepEqual([own(a, network.id).length, own(b, network.id).length].toSorted(), [0, 2]);
  }
});

test('a host that was forgotten loses the blocks of IPv6 that another took, and keeps the rest', async () => {
  const disk = new Store(':memory:');
  const [dead, other] = [await host(8, disk), await host(9)];
  const network = await dead.createNetwork('kept', (_, vni) =>
    spec('kept', 'kept', '10.5.0.0/24', vni, 'fd00:5::/64'),
  );
  await dead.blocks.claim(network, BOTH);
  dead.close();
  const client = etcd.client();
  await client.commit([], [{ remove: 'alive/node-8' }]);
  await until(() => !other.isAlive('node-8'));
  await other.forget('host8');
  assert.deepEqual((await client.list('blocks/kept/')).entries, []);
  await other.blocks.claim(network, [{ more: 'ipv6' }]);
  const lost: Prefix[] = [];
  const back = await host(8, disk, lost);
  assert.deepEqual(lost.map(formatPrefix), ['fd00:5::/122']);
  assert.deepEqual(own(back, 'kept'), ['10.5.0.0/28']);
  client.close();
});

test('records of an earlier version are read, and what it does not know of is beside what it knows', async () => {
  const reader = etcd.client();
  const a = await host(10);
  // As the version before wrote them: a network and an endpoint without IPv6.
  await reader.commit(
    [],
    [
      { put: 'nets/old', value: spec('old', 'old', '10.6.0.0/24', 9000) },
      { put: 'netnames/old', value: 'old' },
      { put: 'blocks/old/10.6.0.0/28', value: 'node-99' },
      { put: 'eps/old/node-99/endpoint-1', value: { ...endpoint('old', 1), nodeId: 'node-99' } },
    ],
  );
  await until(() => a.network('old') !== undefined);
  a.join('old');
  await until(() => a.remotes('old').length === 1);
  assert.equal(a.remote('old', 'endpoint-1')?.ipv6, undefined);
  const network = a.network('old');
  assert.ok(network);
  await a.blocks.claim(network, [{ more: 'ipv4' }]);
  assert.deepEqual(own(a, 'old'), ['10.6.0.16/28']);

  // What that version reads of a network with both: the same keys, the members it knows where they were.
  const both = await a.createNetwork('both', (_, vni) =>
    spec('both', 'both', '10.7.0.0/24', vni, 'fd00:7::/64'),
  );
  await a.blocks.claim(both, BOTH);
  const keys = (await reader.list<unknown>('blocks/both/')).entries.map(({ key, value }) => [key, value]);
  assert.deepEqual(keys, [
    ['blocks/both/10.7.0.0/28', 'node-10'],
    ['blocks/both/fd00:7::/122', 'node-10'],
  ]);
  const stored = (await reader.get<Record<string, unknown>>('nets/both'))?.value ?? {};
  const { ipv6: _unknown, ...known } = stored;
  assert.deepEqual(known, spec('both', 'both', '10.7.0.0/24', both.vni));
  reader.close();
});
