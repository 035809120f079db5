import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DecodedPacket } from 'dns-packet';
import { AnswerCache } from './answer-cache.ts';

const packet = (...ttls: number[]): DecodedPacket =>
  ({
    answers: ttls.map((ttl) => ({ type: 'A', name: 'x', ttl, data: '192.0.2.1' })),
    authorities: [],
  }) as unknown as DecodedPacket;
const ttls = (answers: readonly object[] | undefined): unknown[] =>
  (answers ?? []).map((answer) => (answer as { ttl: number }).ttl);

test('an answer lives as long as its shortest TTL, and its TTLs count down', () => {
  let now = 0;
  const cache = new AnswerCache(10, () => now);
  cache.store('k', packet(60, 10), 0);
  now = 4_000;
  assert.deepEqual(ttls(cache.fresh('k')?.answers), [56, 6]);
  now = 10_000;
  assert.equal(cache.fresh('k'), undefined);
});

test('stale answers go out with 30 s, for a day', () => {
  let now = 0;
  const cache = new AnswerCache(10, () => now);
  cache.store('k', packet(10), 0);
  now = 3600_000;
  assert.deepEqual(ttls(cache.stale('k')?.answers), [30]);
  now = 48 * 3600_000;
  assert.equal(cache.stale('k'), undefined);
});

test('failures and negative answers without SOA are not kept; the oldest entry leaves a full cache', () => {
  const cache = new AnswerCache(2, () => 0);
  cache.store('servfail', packet(60), 2);
  cache.store('empty', packet(), 0);
  assert.equal(cache.fresh('servfail'), undefined);
  assert.equal(cache.fresh('empty'), undefined);
  for (const key of ['a', 'b', 'c']) cache.store(key, packet(60), 0);
  assert.equal(cache.fresh('a'), undefined);
  assert.notEqual(cache.fresh('c'), undefined);
});
