import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Turns } from './turns.ts';

test('one key: one after another, also after a failure; another key does not wait; nothing is kept', async () => {
  const turns = new Turns();
  const steps: string[] = [];
  const gate = Promise.withResolvers<void>();
  const first = turns.run('a', async () => {
    await gate.promise;
    steps.push('first');
    throw new Error('no');
  });
  const second = turns.run('a', async () => void steps.push('second'));
  await turns.run('b', async () => void steps.push('other'));
  gate.resolve();
  await assert.rejects(first, /no/);
  await second;
  assert.deepEqual(steps, ['other', 'first', 'second']);
  assert.equal(turns.size, 0);
});
