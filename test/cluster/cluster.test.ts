import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Cluster } from '../../src/cluster/cluster.ts';
import { Store } from '../../src/engine/store.ts';
import { EngineError } from '../../src/model/errors.ts';
import { begin, Etcd, endpoint, member, spec, until } from './store.ts';

const etcd = new Etcd();
const ROUNDS = 1000;
const open: Cluster[] = [];
before(() => etcd.start());
after(async () => {
  for (const cluster of open) cluster.close();
  await etcd.remove();
});

async function host(number: number, local?: Store): Promise<Cluster> {
  const made = member(etcd, number, local);
  open.push(made);
  await begin(made);
  return made;
}

const outcome = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'won',
    (error: unknown) => (error instanceof EngineError ? `${error.status} ${error.message}` : String(error)),
  );

test('two hosts make the same name at the same moment, 1,000 times: one wins, the other is told', async () => {
  const [a, b] = [await host(1), await host(2)];
  for (let i = 0; i < ROUNDS; i++) {
    const name = `net${i}`;
    const results = await Promise.all(
      [a, b].map((cluster, n) =>
        outcome(cluster.createNetwork(name, (_, vni) => spec(`${name}-${n}`, name, '10.9.0.0/24', vni))),
      ),
    );
    assert.deepEqual(results.toSorted(), [`409 network with name ${name} already exists`, 'won']);
  }
  await until(() => a.networks().length === ROUNDS && b.networks().length === ROUNDS);
  const vnis = new Set(a.networks().map(({ vni }) => vni));
  assert.equal(vnis.size, ROUNDS, 'and no network identifier is given twice');
});

test('two hosts take the last block at the same moment, 1,000 times: one has it, the other is told', async () => {
  const [a, b] = [await host(3), await host(4)];
  for (let i = 0; i < ROUNDS; i++) {
    const network = spec(`small${i}`, `small${i}`, '10.9.0.0/30', 5000 + i);
    const results = await Promise.all(
      [a, b].map((cluster) => outcome(cluster.blocks.claim(network, [{ more: 'ipv4' }]))),
    );
    assert.equal(results.filter((each) => each === 'won').length, 1, results.join());
    assert.match(results.toSorted().join(), /^500 .*no available IPv4 addresses.*,won$/);
    assert.equal(a.blocks.own(network.id).length + b.blocks.own(network.id).length, 1);
  }
});

test('an address of another host’s block is refused, of a free one claimed, of the own one nothing is asked', async () => {
  const [a, b] = [await host(5), await host(6)];
  const network = spec('static', 'static', '10.8.0.0/24', 9000);
  await a.blocks.claim(network, [{ of: '10.8.0.20' as never }]);
  await a.blocks.claim(network, [{ of: '10.8.0.21' as never }]);
  assert.deepEqual(a.blocks.own('static'), [{ address: '10.8.0.16', length: 28 }]);
  await assert.rejects(b.blocks.claim(network, [{ of: '10.8.0.22' as never }]), /which another host has/);
  await b.blocks.claim(network, [{ of: '10.8.0.40' as never }]);
});

test('endpoints are told to who is on the network, and to nobody else; what a crash left is swept', async () => {
  const disk = new Store(':memory:');
  const first = await host(7, disk);
  const other = await host(8);
  await first.createNetwork('told', (_, vni) => spec('told', 'told', '10.7.0.0/24', vni));
  other.join('told');
  first.publish(endpoint('told', 1));
  first.publish(endpoint('told', 2));
  await until(() => other.remotes('told').length === 2);
  assert.deepEqual(first.remotes('told'), []);
  // It dies, and while it is away one of its containers ends.
  first.close();
  disk.collection('cluster_endpoints').delete('eps/told/node-7/endpoint-2');
  await host(7, disk);
  await until(() => other.remotes('told').length === 1);
  assert.deepEqual(
    other.remotes('told').map(({ id }) => id),
    ['endpoint-1'],
  );
});

test('what is listed in one go is told once, however much it is; a change after that by its endpoint, a host by its endpoints', async () => {
  const a = await host(21);
  await a.createNetwork('many', (_, vni) => spec('many', 'many', '10.6.0.0/24', vni));
  for (let i = 0; i < 100; i++) a.publish(endpoint('many', i));
  await until(() => a.status().waiting === 0);
  const b = member(etcd, 22);
  open.push(b);
  const told: (readonly string[] | 'any')[] = [];
  await begin(b, {
    remotesChanged: (id, endpointIds) => {
      if (id === 'many') told.push(endpointIds === 'any' ? 'any' : [...endpointIds]);
    },
  });
  b.join('many');
  await until(() => b.remotes('many').length === 100);
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.deepEqual(
    told.map((ids) => ids.length),
    [100],
  );
  const c = await host(23);
  c.publish(endpoint('many', 100));
  await until(() => b.remotes('many').length === 101);
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.deepEqual(told.slice(1), [['endpoint-100']]);
  c.withdraw('many', 'endpoint-100');
  await until(() => b.remote('many', 'endpoint-100') === undefined);
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.deepEqual(told.slice(2), [['endpoint-100']]);
  // The place of a host is taken anew: what is on it is looked at.
  const again = await host(21);
  await until(() => told.length > 3);
  assert.equal(told[3]?.length, 100);
  // It knows nothing of them: they are swept, and what comes next is not to count that.
  await until(() => again.status().waiting === 0);
});

test('a host that comes back writes nothing that the store has already', async () => {
  const disk = new Store(':memory:');
  const before = await host(24, disk);
  await before.createNetwork('kept', (_, vni) => spec('kept', 'kept', '10.7.0.0/24', vni));
  for (let i = 0; i < 5; i++) before.publish(endpoint('kept', i));
  await until(() => before.status().waiting === 0);
  before.close();
  disk.collection('cluster_endpoints').delete('eps/kept/node-24/endpoint-3');
  const reader = etcd.client();
  const revision = async (): Promise<number> => Number((await reader.list('none/')).revision);
  const written = await revision();
  const again = await host(24, disk);
  await until(() => again.status().waiting === 0);
  // Its place, its lease, and the one endpoint that is no more.
  assert.equal((await revision()) - written, 3);
  reader.close();
});

test('a daemon whose place was taken by another writes nothing any more', async () => {
  const old = await host(9);
  const now = await host(9);
  const watcher = await host(10);
  await now.createNetwork('fenced', (_, vni) => spec('fenced', 'fenced', '10.6.0.0/24', vni));
  watcher.join('fenced');
  old.publish(endpoint('fenced', 3));
  now.publish(endpoint('fenced', 4));
  await until(() => watcher.remotes('fenced').length > 0);
  await until(() => old.status().state === 'away');
  assert.deepEqual(
    watcher.remotes('fenced').map(({ id }) => id),
    ['endpoint-4'],
  );
  await assert.rejects(
    old.blocks.claim(spec('fenced', 'fenced', '10.6.0.0/24', 1), [{ more: 'ipv4' }]),
    /taken|place/,
  );
  old.close();
});

test('the store goes and comes back: what was said meanwhile is said then, what was removed is gone', async () => {
  const [a, b] = [await host(11), await host(12)];
  await a.createNetwork('away', (_, vni) => spec('away', 'away', '10.5.0.0/24', vni));
  for (const each of [a, b]) each.join('away');
  a.publish(endpoint('away', 5));
  await until(() => b.remotes('away').length === 1);
  await etcd.stop();
  await until(() => a.status().state === 'away' && b.status().state === 'away', 20_000);
  assert.equal(b.remotes('away').length, 1, 'nothing is forgotten');
  a.withdraw('away', 'endpoint-5');
  a.publish(endpoint('away', 6));
  const begun = performance.now();
  for (let tries = 0; tries < 8; tries++) {
    await assert.rejects(
      a.createNetwork('late', (_, vni) => spec('late', 'late', '10.4.0.0/24', vni)),
      (error: unknown) =>
        error instanceof EngineError && error.status === 503 && /ECONNREFUSED/.test(error.message),
    );
    if (tries === 0) assert.ok(performance.now() - begun < 4000, 'it fails fast');
  }
  await etcd.start();
  await until(() => b.remotes('away')[0]?.id === 'endpoint-6', 20_000);
  assert.equal(b.remotes('away').length, 1);
});
