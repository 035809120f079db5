import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSignal } from './signal.ts';

test('signals by name, by number and counted from the real-time ends', () => {
  for (const text of ['SIGTERM', 'TERM', 'term', '15']) assert.equal(parseSignal(text), 15);
  assert.equal(parseSignal('SIGRTMIN+3'), 37);
  assert.equal(parseSignal('RTMAX-1'), 63);
  assert.equal(parseSignal('64'), 64);
});

test('what is no signal is told', () => {
  for (const text of ['', 'SIGNOPE', '65', '0', '-9', 'RTMIN+99', 'RTMAX+1', '9 ']) {
    assert.throws(() => parseSignal(text), { code: 'INVALID_PARAMETER', message: `invalid signal: ${text}` });
  }
});
