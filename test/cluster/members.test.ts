import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { CACHE } from '../e2e/engine-under-test.ts';
import { makeCertificates } from './certificates.ts';
import { answering, begin, Etcd, endpoint, member, spec, until } from './store.ts';

test('one of three members is away, whichever it is: everything goes on', async (t) => {
  const etcd = new Etcd({ members: 3 });
  t.after(() => etcd.remove());
  await etcd.start();
  const [a, b] = [member(etcd, 1), member(etcd, 2)];
  t.after(() => {
    a.close();
    b.close();
  });
  await Promise.all([begin(a), begin(b)]);
  await a.createNetwork('three', (_, vni) => spec('three', 'three', '10.0.0.0/24', vni));
  b.join('three');
  for (const [i, away] of [0, 1, 2].entries()) {
    await etcd.stop(away);
    a.publish(endpoint('three', i));
    await until(() => b.remotes('three').some(({ id }) => id === `endpoint-${i}`), 30_000);
    await etcd.start();
    await until(() => a.status().state === 'connected' && b.status().state === 'connected', 30_000);
  }
  assert.equal(b.remotes('three').length, 3);
});

test('hosts are told by name and number, whatever their ids are', async (t) => {
  const etcd = new Etcd();
  t.after(() => etcd.remove());
  await etcd.start();
  const all = [10, 9, 2].map((number) => member(etcd, number));
  t.after(() => {
    for (const each of all) each.close();
  });
  for (const each of all) await begin(each);
  for (const each of all) {
    await until(() => each.hosts().length === 3);
    assert.deepEqual(
      each.hosts().map(({ name }) => name),
      ['host2', 'host9', 'host10'],
    );
  }
});

test('TLS: with the right certificates it works; a wrong one, and none, are refused in words', async (t) => {
  const certificates = new Etcd();
  const { directory } = certificates;
  t.after(() => certificates.remove());
  const file = makeCertificates(directory);
  const etcd = new Etcd({ tls: { ca: file('ca.pem'), cert: file('one.pem'), key: file('one.key') } });
  t.after(() => etcd.remove());
  await etcd.start();
  const [cert, key] = [readFileSync(file('one.pem')), readFileSync(file('one.key'))];
  const good = etcd.client({ tls: { ca: readFileSync(file('ca.pem')), cert, key } });
  t.after(() => good.close());
  await answering(good);
  for (const tls of [
    { ca: readFileSync(file('other.pem')), cert, key },
    { ca: readFileSync(file('ca.pem')) },
  ]) {
    const bad = etcd.client({ tls });
    await assert.rejects(bad.list('nets/'), /^EngineError: the cluster store does not answer: /);
    bad.close();
  }
});

test('user and password: the right ones work, wrong ones are refused in words', async (t) => {
  const etcd = new Etcd();
  t.after(() => etcd.remove());
  await etcd.start();
  const etcdctl = (...args: string[]) =>
    execFileSync(join(CACHE, 'etcdctl'), [`--endpoints=${etcd.hosts[0]}`, ...args], {
      env: { ETCDCTL_API: '3' },
      stdio: 'pipe',
    });
  etcdctl('user', 'add', 'root:secret');
  etcdctl('user', 'grant-role', 'root', 'root');
  etcdctl('auth', 'enable');
  const good = etcd.client({ auth: { username: 'root', password: 'secret' } });
  assert.deepEqual((await good.list('nets/')).entries, []);
  good.close();
  for (const auth of [{ username: 'root', password: 'guessed' }, undefined]) {
    const bad = etcd.client(auth === undefined ? {} : { auth });
    await assert.rejects(
      bad.list('nets/'),
      /^EngineError: the cluster store does not answer: .*(auth|user|password)/i,
    );
    bad.close();
  }
});
