import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ChangedSetting, SettingNote } from '../../src/kernel/accounting.ts';
import { connectionIn, kindOf, openConnectionEvents } from '../../src/kernel/conntrack-events.ts';
import { close } from '../../src/kernel/libc.ts';
import { visitNow } from '../../src/kernel/netlink-listener.ts';
import { BEGINNING_AND_END } from '../../src/kernel/socket-filter.ts';
import type { Family, Ip } from '../../src/model/address.ts';
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
let noted: ChangedSetting | undefined;
const note: SettingNote = {
  get: () => noted,
  put: (changed) => {
    noted = changed;
  },
  delete: () => {
    noted = undefined;
  },
};
const source = kernel.hearConnections(note);
const drops = kernel.hearDrops();
const NONE: ReadonlySet<Family> = new Set();
after(() => {
  server.close();
  kernel.close();
});

const ACCOUNTING = '/proc/sys/net/netfilter/nf_conntrack_acct';
const accounting = () => readFileSync(ACCOUNTING, 'utf8').trim();

test('a connection tells of both its tuples, and at its end of its bytes', async () => {
  assert.deepEqual([source.missing, drops.missing], [[], []]);
  source.read(1000, NONE);
  assert.equal(await call(undefined, '10.88.0.1', 8080), '10.88.0.1');
  await sleep(50);
  const { connections, lost, more } = source.read(1000, NONE);
  assert.deepEqual([lost, more], [0, false]);
  const ours = connections.filter(({ original }) => original.destinationPort === 8080);
  assert.deepEqual(
    ours.map(({ kind }) => kind),
    ['begun', 'ended'],
  );
  const [begun, ended] = ours;
  assert.equal(begun?.original.destination, '10.88.0.1');
  assert.deepEqual([begun?.reply.source, begun?.reply.sourcePort], ['10.88.0.3', 80]);
  assert.ok(ended?.answered, JSON.stringify(ours));
  const { there, back } = ended.traffic ?? {};
  assert.ok((back?.bytes ?? 0) > 150 && (there?.packets ?? 0) >= 3, JSON.stringify(ended.traffic));
});

test('the kernel hands over the beginning and the end alone, and an end by force', async () => {
  const all = openConnectionEvents();
  const few = openConnectionEvents(BEGINNING_AND_END);
  await call(undefined, '10.88.0.1', 8080);
  const socket = createSocket('udp4');
  await new Promise((sent) => socket.send('x', 9, '10.88.0.3', sent));
  await sleep(50);
  const heard = (fd: number): readonly string[] => {
    const found: string[] = [];
    visitNow(fd, 1000, (message, length) => {
      found.push(`${connectionIn(message, length)?.original.protocol} ${kindOf(message, length)}`);
    });
    return found;
  };
  assert.deepEqual(heard(few), ['tcp new', 'tcp update', 'udp new']);
  assert.ok(heard(all).length > 5);
  kernel.forgetConnections('10.88.0.3' as Ip);
  await sleep(500);
  assert.ok(heard(all).includes('tcp destroy'));
  const after = heard(few).filter((what) => what.endsWith('destroy'));
  assert.ok(after.includes('udp destroy') && !after.includes('tcp destroy'), after.join());
  for (const fd of [all, few]) close(fd);
  socket.close();
});

test('what a rule drops is told with the rule and the packet', async () => {
  kernel.apply([create(element('endpoints', '10.89.0.4'))]);
  await assert.rejects(call(undefined, '10.89.0.4', 80, 300));
  // No rule of the engine's stands between the host and its networks: refused. Between two networks one does.
  await assert.rejects(call(web.path, '10.89.0.4', 80, 300));
  await sleep(150);
  const { drops: dropped, lost } = drops.read(1000);
  assert.equal(lost, 0);
  const { rule, tuple, iif } = dropped.find((drop) => drop.tuple?.protocol === 'tcp') ?? {};
  assert.equal(rule, 'direct-access', JSON.stringify(dropped));
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
  const spoofed = drops.read(1000).drops.map(({ rule }) => rule);
  assert.ok(spoofed.includes('arp-spoof') || spoofed.includes('ip-spoof'), spoofed.join());
});

test('bytes are counted only while somebody hears, and what is to be put back is noted meanwhile', () => {
  assert.equal(accounting(), '1');
  assert.equal(noted?.before, '0');
  source.close();
  drops.close();
  assert.deepEqual([accounting(), noted], ['0', undefined]);
});

test('what was not put back is put back here, and nowhere else', () => {
  kernel.hearConnections(note);
  const killed = noted;
  assert.ok(killed !== undefined);
  kernel.putBack(note);
  assert.deepEqual([accounting(), noted], ['0', undefined]);
  writeFileSync(ACCOUNTING, '1');
  kernel.putBack(note);
  assert.equal(accounting(), '1', 'nothing is noted');
  note.put({ ...killed, netns: 'net:[1]' });
  kernel.putBack(note);
  assert.deepEqual([accounting(), noted], ['1', undefined], 'noted of another namespace');
});
