import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DetachScanner, parseDetachKeys } from './detach-keys.ts';

test('detach keys are control keys or single characters', () => {
  assert.deepEqual([...parseDetachKeys('')], [16, 17]);
  assert.deepEqual([...parseDetachKeys('ctrl-a,q')], [1, 113]);
  assert.deepEqual([...parseDetachKeys('ctrl-@,ctrl-[,ctrl-_')], [0, 27, 31]);
  assert.throws(() => parseDetachKeys('ctrl-,x'), /Invalid detach keys \(ctrl-,x\) provided/);
  assert.throws(() => parseDetachKeys('ctrl-1'), { code: 'INVALID_PARAMETER' });
});

test('a begun match that fails is passed on, and may begin another', () => {
  const scanner = new DetachScanner(Buffer.from('aab'));
  assert.deepEqual(scanner.scan(Buffer.from('xaay')), { pass: Buffer.from('xaay'), detached: false });
  assert.equal(scanner.scan(Buffer.from('aa')).pass.length, 0);
  assert.equal(scanner.scan(Buffer.from('b')).detached, true);
});
