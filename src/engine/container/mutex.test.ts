import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Mutex } from './mutex.ts';

test('bodies run one after another in order of arrival, also after one that fails', async () => {
  const mutex = new Mutex();
  const steps: string[] = [];
  const gate = Promise.withResolvers<void>();
  const first = mutex.run(async () => {
    steps.push('first in');
    await gate.promise;
    steps.push('first out');
    throw new Error('first');
  });
  const second = mutex.run(async () => {
    steps.push('second');
    return 2;
  });
  const third = mutex.run(async () => void steps.push('third'));
  gate.resolve();
  await assert.rejects(first, /first/);
  assert.equal(await second, 2);
  await third;
  assert.deepEqual(steps, ['first in', 'first out', 'second', 'third']);
});
