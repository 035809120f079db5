import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { rulesetResource } from '../../src/plan/nft-text.ts';
import type { Resource } from '../../src/plan/resource.ts';
import { IPV4_RULESET } from '../../src/plan/ruleset.ts';
import { SPOOF_GUARD } from '../../src/plan/spoof-guard.ts';
import { call, create, element, kernel, serve } from './stage.ts';
import { db, twoNetworks, web } from './two-networks.ts';

kernel.enableForwarding('ipv4');
assert.equal(kernel.canLogDrops(), true);
kernel.apply(
  [rulesetResource(IPV4_RULESET, true), rulesetResource(SPOOF_GUARD, true), ...twoNetworks].map(create),
);
const server = await serve(db.path, '10.88.0.3', 80);
const source = kernel.hearTraffic();
after(() => {
  server.close();
  kernel.close();
});

const accounting = () => readFileSync('/proc/sys/net/netfilter/nf_conntrack_acct', 'utf8').trim();

test('a connection tells of both its tuples, and at its end of its bytes', async () => {
  assert.deepEqual(source.missing, []);
  source.read(1000);
  assert.equal(await call(undefined, '10.88.0.1', 8080), '10.88.0.1');
  await sleep(50);
  const { connections, lost, more } = source.read(1000);
  assert.deepEqual([lost, more], [0, false]);
  const ours = connections.filter(({ original }) => original.destinationPort === 8080);
  assert.equal(ours[0]?.kind, 'new');
  assert.equal(ours[0]?.original.destination, '10.88.0.1');
  assert.deepEqual([ours[0]?.reply.source, ours[0]?.reply.sourcePort], ['10.88.0.3', 80]);
  const closed = ours.find((event) => event.closed);
  assert.ok(closed?.answered, JSON.stringify(ours));
  const traffic = source.trafficOf(closed);
  assert.ok((traffic?.back.bytes ?? 0) > 150 && (traffic?.there.packets ?? 0) >= 3, JSON.stringify(traffic));
});

test('what a rule drops is told with the rule and the packet', async () => {
  kernel.apply([create(element('endpoints', '10.89.0.4'))]);
  await assert.rejects(call(undefined, '10.89.0.4', 80, 300));
  // No rule of the engine's stands between the host and its networks: refused. Between two networks one does.
  await assert.rejects(call(web.path, '10.89.0.4', 80, 300));
  await sleep(150);
  const { drops, lost } = source.read(1000);
  assert.equal(lost, 0);
  const { rule, tuple, iif } = drops.find((drop) => drop.tuple?.protocol === 'tcp') ?? {};
  assert.equal(rule, 'direct-access', JSON.stringify(drops));
  assert.deepEqual(
    [tuple?.source, tuple?.destination, tuple?.destinationPort],
    ['10.88.0.2', '10.89.0.4', 80],
  );
  assert.ok((iif ?? 0) > 0);
});

test('a frame with an address that is another’s', async () => {
  kernel.apply([create({ ...element('taken_ip', '10.88.0.2'), table: 'bridge' } as Resource)]);
  await assert.rejects(call(web.path, '10.88.0.3', 80, 300));
  await sleep(150);
  const spoofed = source.read(1000).drops.map(({ rule }) => rule);
  assert.ok(spoofed.includes('arp-spoof') || spoofed.includes('ip-spoof'), spoofed.join());
});

test('bytes are counted only while somebody hears', () => {
  assert.equal(accounting(), '1');
  source.close();
  assert.equal(accounting(), '0');
});
