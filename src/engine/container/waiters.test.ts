import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Waiters } from './waiters.ts';

test('an end answers all but those who wait for the removal', async () => {
  const waiters = new Waiters();
  const stopped = waiters.wait('a', 'not-running');
  const next = waiters.wait('a', 'next-exit');
  const removed = waiters.wait('a', 'removed');
  const other = waiters.wait('b', 'next-exit');
  waiters.ended('a', { statusCode: 3 });
  waiters.removed('a', { statusCode: 4 });
  waiters.ended('b', { statusCode: 5 });
  assert.deepEqual(await stopped, { statusCode: 3 });
  assert.deepEqual(await next, { statusCode: 3 });
  assert.deepEqual(await removed, { statusCode: 4 });
  assert.deepEqual(await other, { statusCode: 5 });
});

test('a removal ends every wait', async () => {
  const waiters = new Waiters();
  const next = waiters.wait('a', 'next-exit');
  waiters.removed('a', { statusCode: 0 });
  assert.deepEqual(await next, { statusCode: 0 });
});

test('a client that has gone is not answered', async () => {
  const waiters = new Waiters();
  const gone = new AbortController();
  const abandoned = waiters.wait('a', 'next-exit', gone.signal);
  gone.abort();
  waiters.ended('a', { statusCode: 1 });
  assert.equal(await Promise.race([abandoned, Promise.resolve('nothing')]), 'nothing');
});
