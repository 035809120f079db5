import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Ip } from '../model/address.ts';
import type { WatchEvent } from '../model/flow.ts';
import { formatEvent, size, watchPath } from './watch.ts';

const plain = { width: undefined, color: false };
const web = { name: 'web', network: 'lamp', address: '10.9.1.2' as Ip, port: 80 };
const client = { address: '192.0.2.9' as Ip, port: 40000 };
const base = { time: '2026-01-02T03:04:05.006Z', protocol: 'tcp', from: client, to: web } as const;
const after = (event: WatchEvent) => formatEvent(event, plain).replace(/^\S+ +/, '');

test('an event is a line: who, whom, and what there is to say', () => {
  assert.equal(
    after({ ...base, kind: 'open', nat: { asked: { address: '192.0.2.1' as Ip, port: 8080 } } }),
    'open   tcp     192.0.2.9          → web:80                  asked 192.0.2.1:8080',
  );
  assert.equal(
    after({ ...base, kind: 'close', answered: true, bytes: { there: 412, back: 1_234_567 } }),
    'close  tcp     192.0.2.9          → web:80                  412 B there, 1.23 MB back',
  );
  assert.equal(
    after({ ...base, kind: 'drop', from: web, to: client, cause: 'no-common-network', rule: 'isolation' }),
    'drop   tcp     web                → 192.0.2.9:40000         no-common-network (rule isolation)',
  );
  assert.match(after({ time: base.time, kind: 'left-out', events: 7 }), /at least 7 events left out/);
});

test('a line is never wider than the terminal, and has colors only where they are seen', () => {
  const long: WatchEvent = { ...base, kind: 'open', to: { ...web, name: 'x'.repeat(200) } };
  for (const width of [20, 80]) assert.equal(formatEvent(long, { width, color: false }).length, width);
  assert.ok(!formatEvent(long, plain).includes('\u001b'));
  assert.ok(formatEvent(long, { width: 80, color: true }).startsWith('\u001b[32m'));
});

test('filters go into the question', () => {
  assert.equal(watchPath({}), '/gangway/watch?');
  assert.equal(
    watchPath({ container: ['web', 'a b'], network: ['lamp'], drops: true }),
    '/gangway/watch?container=web&container=a+b&network=lamp&drops=1',
  );
});

test('sizes', () => {
  assert.deepEqual([0, 999, 1000, 1_500_000, 2e12, 5e15].map(size), [
    '0 B',
    '999 B',
    '1.00 kB',
    '1.50 MB',
    '2.00 TB',
    '5.00e+3 TB',
  ]);
});
