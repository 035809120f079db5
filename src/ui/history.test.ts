import assert from 'node:assert/strict';
import { test } from 'node:test';
import { History } from './history.ts';

const START = 1_800_000_000_000;

test('bytes of five seconds become a value; the one being filled is not shown, what is unknown is null', () => {
  const history = new History();
  for (let second = 0; second < 12; second++)
    history.add(START + second * 1000, 'a', 500, second < 5 ? 100 : 0);
  const { step, received, sent, end } = history.read(['a']);
  assert.equal(step, 5);
  assert.equal(received.length, 719);
  assert.deepEqual(received.slice(-4), [null, null, 500, 500]);
  assert.deepEqual(sent.slice(-2), [100, 0]);
  assert.equal(end, START + 10_000);
});

test('several links are summed, unknown ones are no zero', () => {
  const history = new History();
  for (let second = 0; second < 10; second++) {
    history.add(START + second * 1000, 'a', 10, 1);
    if (second >= 5) history.add(START + second * 1000, 'b', 20, 2);
  }
  history.add(START + 10_000, 'a', 0, 0);
  assert.deepEqual(history.read(['a', 'b', 'nobody']).received.slice(-3), [null, 10, 30]);
  assert.deepEqual(
    history.read(['nobody']).received.filter((value) => value !== null),
    [],
  );
});

test('a gap stays one, also when the ring has gone round; a link is forgotten after an hour', () => {
  const history = new History();
  history.add(START, 'a', 5000, 0);
  history.add(START + 3_590_000, 'b', 1, 1);
  assert.equal(history.read(['a']).received.filter((value) => value !== null).length, 1);
  history.add(START + 2 * 3_600_000, 'a', 5000, 0);
  history.add(START + 2 * 3_600_000 + 5000, 'a', 0, 0);
  assert.deepEqual(
    history.read(['a']).received.filter((value) => value !== null),
    [1000],
  );
  history.add(START + 4 * 3_600_000, 'b', 1, 1);
  history.prune();
  assert.deepEqual(
    history.read(['a']).received.filter((value) => value !== null),
    [],
  );
});
