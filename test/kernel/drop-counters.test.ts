import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseIp } from '../../src/model/address.ts';
import { countedDrops } from '../../src/observe/drop-metrics.ts';
import { rulesetResource } from '../../src/plan/nft-text.ts';
import { IPV4_RULESET } from '../../src/plan/ruleset.ts';
import { SPOOF_GUARD } from '../../src/plan/spoof-guard.ts';
import { call, create, element, kernel, serve } from './stage.ts';
import { db, twoNetworks, web } from './two-networks.ts';

kernel.enableForwarding('ipv4');
assert.deepEqual(kernel.ruleCounters(), [], 'without our tables there is none');
kernel.apply(
  [
    rulesetResource(IPV4_RULESET, true),
    rulesetResource(SPOOF_GUARD, false),
    ...twoNetworks,
    element('home', '10.88.0.0/24 . "gwtest0"'),
    element('home', '10.89.0.0/24 . "gwtest1"'),
  ].map(create),
);
const server = await serve(db.path, '10.88.0.3', 80);
after(() => {
  server.close();
  kernel.close();
});

const drops = (): Readonly<Record<string, number>> =>
  Object.fromEntries(
    countedDrops(kernel.ruleCounters())
      .filter(({ packets }) => packets > 0)
      .map(({ rule, cause, packets, bytes }) => {
        // A SYN has 20 bytes of IP and at least 20 of TCP.
        assert.ok(bytes >= 40 * packets, `${bytes} bytes`);
        return [`${rule} ${cause}`, packets];
      }),
  );

test('every rule that drops counts, and no other', () => {
  const counters = kernel.ruleCounters();
  assert.equal(counters.length, 15);
  assert.equal(countedDrops(counters).length, 15);
  assert.deepEqual(drops(), {});
});

test('a packet between two networks raises the counter of the rule with its cause', async () => {
  await assert.rejects(call(web.path, '10.89.0.4', 80, 200));
  const { 'isolation no-common-network': forwarded, ...none } = drops();
  assert.ok(forwarded !== undefined && forwarded >= 1, JSON.stringify(drops()));
  assert.deepEqual(none, {});
  kernel.apply([create(element('endpoints', '10.89.0.4'))]);
  await assert.rejects(call(web.path, '10.89.0.4', 80, 200));
  const after = drops();
  assert.ok((after['direct-access no-common-network'] ?? 0) >= 1, JSON.stringify(after));
  assert.equal(after['isolation no-common-network'], forwarded);
});

test('connections are counted at who asks and at who answers, while they are open', async () => {
  const [to, unknown] = [parseIp('10.88.0.3'), parseIp('10.88.0.99')];
  const host = parseIp('10.88.0.1');
  const open = async () => Object.fromEntries(await kernel.openConnections([to, unknown, host]));
  assert.deepEqual((await open())[to], { in: 0, out: 0 });
  const sockets = await Promise.all(
    [1, 2, 3].map(async () => {
      const socket = connect(8080, '10.88.0.1');
      socket.on('error', () => {});
      await once(socket, 'connect');
      return socket;
    }),
  );
  const counted = await open();
  for (const socket of sockets) socket.destroy();
  await sleep(200);
  const after = await open();
  assert.deepEqual(
    [counted[unknown], after[to]],
    [
      { in: 0, out: 0 },
      { in: 0, out: 0 },
    ],
  );
  assert.deepEqual(counted[to], { in: 3, out: 0 });
  const { in: came, out: went } = counted[host] ?? { in: 0, out: 0 };
  assert.ok(came === 0 && went >= 3, `${came} in, ${went} out`);
});
