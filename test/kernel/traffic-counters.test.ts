import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { until } from '../e2e/process.ts';
import { bridge, call, create, element, kernel, netns, ruleset, serve, veth } from './stage.ts';

after(() => kernel.close());
const sandbox = netns('counted');

test('counters of links by name, as the kernel has them; a link made later is among them', async () => {
  assert.deepEqual([...kernel.linkCounters().keys()].includes('gwtest0'), false);
  kernel.apply([create(bridge), create(sandbox), create(veth(2, sandbox))]);
  assert.deepEqual(kernel.linkCounters().get('vethtest2')?.length, 5);
  const server = await serve(undefined, '10.88.0.1', 9000);
  for (let n = 0; n < 10; n++) await call(sandbox.path, '10.88.0.1', 9000, 5000);
  server.close();
  const own = () => kernel.linkCounters().get('vethtest2');
  // The kernel sends packets by itself: the two are compared when none passed between.
  const { counted, listed } = await until('a moment without packets', () => {
    const counted = own();
    const [listed] = JSON.parse(
      execFileSync('ip', ['-s', '-s', '-j', 'link', 'show', 'vethtest2'], { encoding: 'utf8' }),
    );
    return isDeepStrictEqual(own(), counted) ? { counted, listed } : undefined;
  });
  const { rx, tx } = listed.stats64;
  assert.ok(rx.bytes > 1000, `received ${rx.bytes}`);
  assert.deepEqual(counted, [rx.bytes, tx.bytes, rx.packets, tx.packets, rx.dropped + tx.dropped]);
});

test('connections of a published port are counted, those of others not', async () => {
  kernel.apply([create(ruleset), create(element('pub_any', 'tcp . 8080', '10.88.0.2 . 80'))]);
  assert.equal(kernel.publishedConnections().get('tcp 0.0.0.0 8080'), 0);
  const server = await serve(sandbox.path, '10.88.0.2', 80);
  for (let n = 0; n < 2; n++) await call(undefined, '10.88.0.1', 8080, 5000);
  server.close();
  assert.equal(kernel.publishedConnections().get('tcp 0.0.0.0 8080'), 2);
  assert.equal(kernel.publishedConnections().get('tcp 0.0.0.0 8081'), undefined);
});

test('bytes of a published port, by what was asked and who answers; of others nothing', async () => {
  const tables = () => execFileSync('nft', ['list', 'tables'], { encoding: 'utf8' });
  assert.doesNotMatch(tables(), /gangway_metrics/);
  const traffic = kernel.countPublished();
  assert.match(tables(), /gangway_metrics/);
  const server = await serve(sandbox.path, '10.88.0.2', 80);
  await call(undefined, '10.88.0.2', 80, 5000);
  assert.deepEqual(traffic.read(), []);
  await call(undefined, '10.88.0.1', 8080, 5000);
  server.close();
  const port = { protocol: 'tcp', hostIp: '10.88.0.1', hostPort: 8080, containerIp: '10.88.0.2' };
  const found = traffic.read();
  assert.deepEqual(
    found.map(({ packets: _, bytes: __, ...rest }) => rest),
    [
      { ...port, way: 'there' },
      { ...port, way: 'back' },
    ],
  );
  for (const { packets, bytes, way } of found)
    assert.ok(packets >= 3 && bytes > 150, `${way}: ${packets}, ${bytes}`);
  traffic.close();
  for (let n = 0; n < 50 && tables().includes('gangway_metrics'); n++) await sleep(100);
  assert.doesNotMatch(tables(), /gangway_metrics/);
});

test('uplinks are the interfaces with default routes', () => {
  assert.deepEqual(kernel.uplinks(), []);
  const ip = (line: string) => execFileSync('ip', line.split(' '));
  ip('link add up0 type veth peer name up1');
  ip('link set up0 mtu 1400 up');
  ip('link set up1 up');
  ip('address add 192.0.2.7/24 dev up0');
  ip('route add default via 192.0.2.1');
  assert.deepEqual(kernel.uplinks(), [
    { ifName: 'up0', mtu: 1400, addresses: ['192.0.2.7/24'], gateways: ['192.0.2.1'] },
  ]);
});
