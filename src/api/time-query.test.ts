import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTime, untilTimes } from './time-query.ts';

test('points in time', () => {
  const now = 1_700_000_000_000;
  assert.equal(parseTime(undefined, now), undefined);
  assert.equal(parseTime('1700000000', now), 1_700_000_000_000_000_000n);
  assert.equal(parseTime('1700000000.25', now), 1_700_000_000_250_000_000n);
  assert.equal(parseTime('1700000000.000000001', now), 1_700_000_000_000_000_001n);
  assert.equal(parseTime('1h30m', now), (1_700_000_000n - 5400n) * 1_000_000_000n);
  assert.equal(parseTime('2023-11-14T22:13:20Z', now), 1_700_000_000_000_000_000n);
  assert.throws(() => parseTime('abc', now), { message: 'strconv.ParseInt: parsing "abc": invalid syntax' });
});

test('until: a fraction of a unit counts, what is no time is named', () => {
  const [time = 0] = untilTimes(new Map([['until', new Set(['1.5h'])]]));
  assert.ok(Math.abs(Date.now() - 5_400_000 - time) < 5000);
  assert.deepEqual(untilTimes(new Map([['until', new Set(['1700000000'])]])), [1_700_000_000_000]);
  assert.deepEqual(untilTimes(new Map()), []);
  assert.throws(() => untilTimes(new Map([['until', new Set(['abc'])]])), {
    message: 'failed to parse value as time or duration: "abc"',
  });
});
