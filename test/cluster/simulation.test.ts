import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Cluster } from '../../src/cluster/cluster.ts';
import { begin, Etcd, endpoint, member, spec, until } from './store.ts';

const HOSTS = 100;
const ENDPOINTS = 5000;
const NETWORK = 'big';

const etcd = new Etcd();
const hosts: Cluster[] = [];
before(() => etcd.start());
after(async () => {
  for (const host of hosts) host.close();
  await etcd.remove();
});

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

test('100 hosts, 5,000 endpoints: a new one is known everywhere, a new host is ready, a start writes once', async (t) => {
  for (let i = 0; i < HOSTS; i++) hosts.push(member(etcd, i));
  await Promise.all(hosts.map((host) => begin(host)));
  const [first] = hosts;
  assert.ok(first);
  await first.createNetwork(NETWORK, (_, vni) => spec(NETWORK, NETWORK, '10.0.0.0/16', vni));
  for (let i = 0; i < ENDPOINTS; i++) hosts[i % HOSTS]?.publish(endpoint(NETWORK, i));
  await until(() => hosts.every((host) => host.status().waiting === 0), 60_000);
  for (const host of hosts) host.join(NETWORK);
  const others = ENDPOINTS - ENDPOINTS / HOSTS;
  await until(() => hosts.every((host) => host.remotes(NETWORK).length === others), 60_000);

  const reader = etcd.client();
  const revision = async (): Promise<number> => Number((await reader.list('none/')).revision);
  const times: number[] = [];
  const before = await revision();
  const rounds = 20;
  for (let i = 0; i < rounds; i++) {
    const begun = performance.now();
    const from = hosts[i];
    from?.publish(endpoint(NETWORK, ENDPOINTS + i));
    const id = `endpoint-${ENDPOINTS + i}`;
    await until(() =>
      hosts.every((host) => host === from || host.remotes(NETWORK).some((remote) => remote.id === id)),
    );
    times.push(performance.now() - begun);
  }
  const writes = ((await revision()) - before) / rounds;
  reader.close();

  const joining = member(etcd, HOSTS);
  hosts.push(joining);
  const begun = performance.now();
  await begin(joining);
  joining.join(NETWORK);
  await until(() => joining.remotes(NETWORK).length === ENDPOINTS + rounds);
  const joined = performance.now() - begun;

  t.diagnostic(
    `known on all: median ${median(times).toFixed(0)} ms, longest ${Math.max(...times).toFixed(0)} ms; a host joins in ${joined.toFixed(0)} ms; ${writes} writes a start`,
  );
  assert.ok(median(times) < 1000);
  assert.ok(joined < 2000);
  assert.ok(writes <= 2);
});
