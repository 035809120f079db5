import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Container, initialState, type State } from './container.ts';
import { humanDuration, statusText } from './summary.ts';

const SECOND = 1000;
const HOUR = 3600 * SECOND;
const DAY = 24 * HOUR;

test('durations read as docker ps shows them', () => {
  const rows: readonly (readonly [number, string])[] = [
    [999, 'Less than a second'],
    [1 * SECOND, '1 second'],
    [59 * SECOND, '59 seconds'],
    [60 * SECOND, 'About a minute'],
    [3 * 60 * SECOND, '3 minutes'],
    [HOUR, 'About an hour'],
    [2 * HOUR, '2 hours'],
    [47 * HOUR, '47 hours'],
    [3 * DAY, '3 days'],
    [21 * DAY, '3 weeks'],
    [90 * DAY, '3 months'],
    [800 * DAY, '2 years'],
  ];
  for (const [ms, text] of rows) assert.equal(humanDuration(ms), text);
});

test('the status of each state', () => {
  const now = Date.parse('2026-01-02T03:04:10Z');
  const container = (state: Partial<State>): Container => ({
    id: 'c'.repeat(64),
    name: 'web',
    created: '2026-01-02T03:00:00Z',
    image: 'busybox',
    imageId: 'sha256:0',
    config: {},
    hostConfig: {},
    networks: {},
    mounts: [],
    restartCount: 0,
    manuallyStopped: false,
    state: {
      ...initialState,
      startedAt: '2026-01-02T03:04:05Z',
      finishedAt: '2026-01-02T03:04:08Z',
      exitCode: 7,
      ...state,
    },
  });
  const text = (state: Partial<State>): string => statusText(container(state), now);
  const health = { failingStreak: 0, log: [] };
  assert.equal(text({ status: 'created' }), 'Created');
  assert.equal(text({ status: 'running' }), 'Up 5 seconds');
  assert.equal(
    text({ status: 'running', health: { ...health, status: 'starting' } }),
    'Up 5 seconds (health: starting)',
  );
  assert.equal(
    text({ status: 'running', health: { ...health, status: 'unhealthy' } }),
    'Up 5 seconds (unhealthy)',
  );
  assert.equal(text({ status: 'paused' }), 'Up 5 seconds (Paused)');
  assert.equal(text({ status: 'restarting' }), 'Restarting (7) 2 seconds ago');
  assert.equal(text({ status: 'exited' }), 'Exited (7) 2 seconds ago');
});
