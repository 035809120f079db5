import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countedDrops } from './drop-metrics.ts';

const counter = (rule: string, packets: number, chain = 'forward') =>
  ({ family: 'ip', chain, rule, packets, bytes: packets * 60 }) as const;
const told = (...counters: ReturnType<typeof counter>[]): readonly string[] =>
  countedDrops(counters).map(({ rule, cause, packets }) => `${rule} ${cause} ${packets}`);

test('one rule has several causes, by whose packets it drops', () => {
  assert.deepEqual(
    told(
      counter('direct-access', 1, 'direct'),
      counter('direct-access', 2, 'direct'),
      counter('internal-out', 3),
      counter('isolation', 4),
      counter('isolation', 5),
      counter('isolation', 6),
    ),
    [
      'direct-access no-common-network 1',
      'direct-access unpublished 2',
      'internal-out internal-network 3',
      'isolation icc-off 4',
      'isolation no-common-network 5',
      'isolation unpublished 6',
    ],
  );
});

test('what somebody else put into the table is not told', () => {
  assert.deepEqual(told(counter('mine', 1), counter('isolation', 2, 'elsewhere')), []);
});
