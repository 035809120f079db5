import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Cluster } from '../../src/cluster/cluster.ts';
import { Store } from '../../src/engine/store.ts';
import { formatPrefix, type Prefix } from '../../src/model/address.ts';
import { EngineError } from '../../src/model/errors.ts';
import { CACHE } from '../e2e/engine-under-test.ts';
import { begin, Etcd, endpoint, member, spec, until } from './store.ts';

const etcd = new Etcd();
const open: Cluster[] = [];
before(() => etcd.start());
after(async () => {
  for (const cluster of open) cluster.close();
  await etcd.remove();
});

async function host(
  number: number,
  options: { readonly disk?: Store; readonly forgetAfterMs?: number; readonly lost?: Prefix[] } = {},
): Promise<Cluster> {
  const { disk, forgetAfterMs, lost } = options;
  const made = member(etcd, number, disk, forgetAfterMs);
  open.push(made);
  await begin(made, { blockLost: (_, block) => lost?.push(block) });
  return made;
}

const small = (id: string) => (_: unknown, vni: number) => spec(id, id, '10.9.0.0/28', vni);

test('a host that does not come back keeps a network and its blocks until it is forgotten; back, it keeps what nobody took', async () => {
  const disk = new Store(':memory:');
  const dead = await host(1, { disk });
  const other = await host(2);
  const network = await dead.createNetwork('kept', small('kept'));
  // Four blocks of four.
  await dead.blocks.claim(network, [{ more: 'ipv4' }]);
  await dead.blocks.claim(network, [{ more: 'ipv4' }]);
  dead.publish(endpoint('kept', 1));
  await until(() => dead.status().waiting === 0);
  await assert.rejects(
    other.forget('host1'),
    (error: unknown) =>
      error instanceof EngineError && error.status === 409 && /host1 .* is alive/.test(error.message),
  );
  await assert.rejects(
    other.forget('nobody'),
    /0 hosts of the cluster are called "nobody"; there are .*host1/,
  );
  dead.close();
  await until(() => !other.isAlive('node-1'), 40_000);
  await assert.rejects(other.removeNetwork(network), /has active endpoints .*host:"host1"/);
  assert.deepEqual(
    (await other.peers('kept')).map(({ name }) => name),
    ['host1'],
  );

  await other.forget('host1');
  assert.deepEqual(await other.peers('kept'), []);
  await until(() => other.hosts().every(({ id }) => id !== 'node-1'));
  // One of its two blocks is given to another now.
  await other.blocks.claim(network, [{ of: '10.9.0.1' as never }]);
  const lost: Prefix[] = [];
  const back = await host(1, { disk, lost });
  assert.deepEqual(lost.map(formatPrefix), ['10.9.0.0/30']);
  assert.deepEqual(back.blocks.own('kept').map(formatPrefix), ['10.9.0.4/30']);
  await assert.rejects(other.blocks.claim(network, [{ of: '10.9.0.5' as never }]), /which another host has/);
  other.join('kept');
  await until(() => other.remotes('kept').length === 1);
});

test('a host that was forgotten while its daemon ran joins anew at its next write', async () => {
  const forgotten = await host(3);
  const client = etcd.client();
  await forgotten.createNetwork('anew', small('anew'));
  await client.commit([], [{ remove: 'hosts/node-3' }, { remove: 'alive/node-3' }]);
  await assert.rejects(
    forgotten.createNetwork('late', (_, vni) => spec('late', 'late', '10.8.0.0/24', vni)),
    /had forgotten this host; it joins anew/,
  );
  await until(() => forgotten.status().state === 'connected');
  await forgotten.createNetwork('late', (_, vni) => spec('late', 'late', '10.8.0.0/24', vni));
  assert.notEqual(await client.get('hosts/node-3'), undefined);
  client.close();
});

test('who has been away for long is forgotten by itself', async () => {
  const dead = await host(4);
  const network = await dead.createNetwork('swept', (_, vni) => spec('swept', 'swept', '10.7.0.0/24', vni));
  await dead.blocks.claim(network, [{ more: 'ipv4' }]);
  dead.publish(endpoint('swept', 7));
  await until(() => dead.status().waiting === 0);
  await host(5, { forgetAfterMs: 2000 });
  dead.close();
  const client = etcd.client();
  const left = async (): Promise<number> => {
    const lists = await Promise.all(
      ['hosts/node-4', 'blocks/swept/', 'eps/swept/', 'gone/node-4'].map((prefix) => client.list(prefix)),
    );
    return lists.flatMap(({ entries }) => entries).length;
  };
  assert.equal(await left(), 3);
  const end = Date.now() + 60_000;
  while ((await left()) > 0) {
    assert.ok(Date.now() < end, 'it is still there');
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  client.close();
});

test('what a watch missed was compacted away: it is listed anew, and nothing is missed', async () => {
  const [a, b] = [await host(6), await host(7)];
  const client = etcd.client();
  await a.createNetwork('old', (_, vni) => spec('old', 'old', '10.6.0.0/24', vni));
  for (const each of [a, b]) each.join('old');
  a.publish(endpoint('old', 1));
  await until(() => b.remotes('old').length === 1);
  const { revision } = await client.list('none/');
  a.publish(endpoint('old', 2));
  a.withdraw('old', 'endpoint-1');
  await until(() => b.remotes('old')[0]?.id === 'endpoint-2');
  const now = (await client.list('none/')).revision;
  execFileSync(join(CACHE, 'etcdctl'), [`--endpoints=${etcd.hosts[0]}`, 'compact', now], {
    env: { ETCDCTL_API: '3' },
    stdio: 'pipe',
  });
  // A watch that begins behind what there is not any more is lost, and says so.
  let lost = 0;
  const changes: unknown[] = [];
  const stop = client.watch(
    'eps/old/',
    revision,
    (more) => changes.push(...more),
    () => lost++,
  );
  await until(() => lost > 0);
  assert.deepEqual(changes, []);
  stop();
  // And so with a host: the store is away while things change and are compacted.
  await etcd.stop();
  await until(() => b.status().state === 'away', 20_000);
  a.withdraw('old', 'endpoint-2');
  a.publish(endpoint('old', 3));
  await etcd.start();
  await until(() => b.remotes('old')[0]?.id === 'endpoint-3' && b.remotes('old').length === 1, 30_000);
  client.close();
});
