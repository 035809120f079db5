import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Health, HealthResult } from './container.ts';
import { nextHealth } from './health-monitor.ts';

const result = (ExitCode: number, Output = ''): HealthResult => ({ Start: '', End: '', ExitCode, Output });
const starting: Health = { status: 'starting', failingStreak: 0, log: [] };

test('as many failures in a row as retries make it unhealthy, one success healthy', () => {
  let health = nextHealth(starting, result(1), 2, false);
  assert.equal(health.status, 'starting');
  health = nextHealth(health, result(1), 2, false);
  assert.deepEqual([health.status, health.failingStreak], ['unhealthy', 2]);
  health = nextHealth(health, result(0), 2, false);
  assert.deepEqual([health.status, health.failingStreak], ['healthy', 0]);
  health = nextHealth(health, result(1), 2, false);
  assert.deepEqual([health.status, health.failingStreak], ['healthy', 1]);
});

test('in the start period failures do not count, a success ends it', () => {
  const failed = nextHealth(starting, result(1), 1, true);
  assert.deepEqual([failed.status, failed.failingStreak, failed.log.length], ['starting', 0, 1]);
  const healthy = nextHealth(failed, result(0), 1, true);
  assert.equal(nextHealth(healthy, result(1), 1, true).status, 'unhealthy');
});

test('the last five results are kept', () => {
  let health = starting;
  for (let n = 0; n < 7; n++) health = nextHealth(health, result(0, String(n)), 3, false);
  assert.deepEqual(
    health.log.map(({ Output }) => Output),
    ['2', '3', '4', '5', '6'],
  );
});
