import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EventMessage } from '@docker/node-sdk';
import { eventFilter } from './event-filter.ts';

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
