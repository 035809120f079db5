import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decideRestart, startsWithDaemon } from './restart-policy.ts';

const exit = { exitCode: 1, manuallyStopped: false, restartCount: 0, previousDelayMs: 0, ranMs: 5 };
const stays = { restart: false };
const after = (delayMs: number) => ({ restart: true, delayMs });

test('the policy decides about an exit', () => {
  assert.deepEqual(decideRestart(undefined, exit), stays);
  assert.deepEqual(decideRestart({ Name: 'no' }, exit), stays);
  assert.deepEqual(decideRestart({ Name: 'always' }, { ...exit, exitCode: 0 }), after(100));
  assert.deepEqual(decideRestart({ Name: 'unless-stopped' }, exit), after(100));
  assert.deepEqual(decideRestart({ Name: 'always' }, { ...exit, manuallyStopped: true }), stays);
  assert.deepEqual(decideRestart({ Name: 'on-failure' }, { ...exit, exitCode: 0 }), stays);
  const limited = { Name: 'on-failure', MaximumRetryCount: 2 } as const;
  assert.deepEqual(decideRestart(limited, { ...exit, restartCount: 1 }), after(100));
  assert.deepEqual(decideRestart(limited, { ...exit, restartCount: 2 }), stays);
});

test('the delay doubles from 100 ms to a minute, and starts over after 10 s of running', () => {
  const always = { Name: 'always' } as const;
  const delays: number[] = [];
  for (let previousDelayMs = 0; delays.length < 12; ) {
    const decision = decideRestart(always, { ...exit, previousDelayMs });
    assert.ok(decision.restart);
    previousDelayMs = decision.delayMs;
    delays.push(decision.delayMs);
  }
  assert.deepEqual(delays.slice(0, 4), [100, 200, 400, 800]);
  assert.deepEqual(delays.slice(-2), [60_000, 60_000]);
  assert.deepEqual(decideRestart(always, { ...exit, previousDelayMs: 51_200, ranMs: 9_999 }), after(60_000));
  assert.deepEqual(decideRestart(always, { ...exit, previousDelayMs: 51_200, ranMs: 10_000 }), after(100));
});

test('who starts with the daemon', () => {
  const [stopped, wasRunning] = [true, true];
  assert.equal(startsWithDaemon({ Name: 'always' }, stopped, false), true);
  assert.equal(startsWithDaemon({ Name: 'unless-stopped' }, stopped, false), false);
  assert.equal(startsWithDaemon({ Name: 'unless-stopped' }, false, false), true);
  assert.equal(startsWithDaemon({ Name: 'on-failure' }, false, wasRunning), true);
  assert.equal(startsWithDaemon({ Name: 'on-failure' }, false, false), false);
  assert.equal(startsWithDaemon(undefined, false, wasRunning), false);
});
