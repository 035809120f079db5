import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ShimGroups } from './shim-groups.ts';

test('groups are filled, and a removed member makes room', async () => {
  let made = 0;
  const groups = new ShimGroups(2, () => `g${++made}`);
  const joined: string[] = [];
  for (const id of ['a', 'b', 'c']) await groups.join(id, async (group) => void joined.push(group));
  assert.deepEqual(joined, ['g1', 'g1', 'g2']);
  await groups.leave('a', async () => {});
  await groups.join('d', async (group) => void joined.push(group));
  assert.equal(joined.at(-1), 'g1');
});

test('nobody joins while the last member leaves, and a failed join leaves no member', async () => {
  const groups = new ShimGroups(8, () => 'g');
  await groups.join('a', async () => {});
  const steps: string[] = [];
  const gate = Promise.withResolvers<void>();
  const leaving = groups.leave('a', async () => {
    await gate.promise;
    steps.push('left');
  });
  const joining = groups.join('b', async () => void steps.push('joined'));
  gate.resolve();
  await Promise.all([leaving, joining]);
  assert.deepEqual(steps, ['left', 'joined']);
  await assert.rejects(groups.join('c', () => Promise.reject(new Error('no'))));
  assert.equal(groups.groupOf('c'), undefined);
});

test('members between the first and the last come side by side', async () => {
  const groups = new ShimGroups(8, () => 'g');
  await groups.join('a', async () => {});
  const both = Promise.withResolvers<void>();
  let inside = 0;
  const enter = async (): Promise<void> => {
    if (++inside === 2) both.resolve();
    await both.promise;
  };
  await Promise.all([groups.join('b', enter), groups.join('c', enter)]);
});

test('the last member leaves only when those on their way have come', async () => {
  const groups = new ShimGroups(8, () => 'g');
  await groups.join('a', async () => {});
  const steps: string[] = [];
  const gate = Promise.withResolvers<void>();
  const joining = groups.join('b', async () => {
    await gate.promise;
    steps.push('joined');
  });
  const leaving = groups.leave('a', async () => void steps.push('left'));
  setImmediate(gate.resolve);
  await Promise.all([leaving, joining]);
  assert.deepEqual(steps, ['joined', 'left']);
});
