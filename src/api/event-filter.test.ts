import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EventMessage } from '@docker/node-sdk';
import { eventFilter, parseTime } from './event-filter.ts';

const STARTED: EventMessage = {
  Type: 'container',
  Action: 'start',
  Actor: { ID: 'abc123', Attributes: { name: 'web', image: 'nginx:1.27', tier: 'front' } },
  scope: 'local',
} as EventMessage;
const EXEC: EventMessage = { ...STARTED, Action: 'exec_create: sh -c true' } as EventMessage;
const PULLED: EventMessage = {
  Type: 'image',
  Action: 'pull',
  Actor: { ID: 'nginx:1.27', Attributes: { name: 'nginx' } },
  scope: 'local',
} as EventMessage;

const CASES: readonly (readonly [filters: object, started: boolean, exec: boolean, pulled: boolean])[] = [
  [{}, true, true, true],
  [{ type: ['container'] }, true, true, false],
  [{ type: { image: true, container: false } }, false, false, true],
  [{ event: ['start', 'pull'] }, true, false, true],
  [{ event: ['exec_create'] }, false, true, false],
  [{ container: ['web'] }, true, true, false],
  [{ container: ['abc'] }, true, true, false],
  [{ container: ['other'] }, false, false, false],
  [{ image: ['nginx'] }, true, true, true],
  [{ image: ['nginx:1.27'] }, true, true, true],
  [{ image: ['httpd'] }, false, false, false],
  [{ label: ['tier=front'] }, true, true, false],
  [{ label: ['tier=front', 'missing'] }, false, false, false],
  [{ scope: ['swarm'] }, false, false, false],
  [{ type: ['container'], event: ['start'] }, true, false, false],
];

for (const [filters, ...expected] of CASES) {
  test(JSON.stringify(filters), () => {
    assert.deepEqual([STARTED, EXEC, PULLED].map(eventFilter(JSON.stringify(filters))), expected);
  });
}

test('what is not a filter is refused', () => {
  for (const text of ['bad', '[]', '1', '{"type":[1]}']) {
    assert.throws(() => eventFilter(text), { message: 'invalid filter' });
  }
});

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
