import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { HostConfig } from '@docker/node-sdk';
import { fakeEngine } from './fake-platform.ts';
import { restore } from './restore.ts';

test('a daemon that starts takes over what runs, ends what has ended, and starts what a policy says', async (t) => {
  const { containers, lifecycle, tasks, rootfs } = fakeEngine(t);
  const made = async (name: string, hostConfig: HostConfig = {}): Promise<string> => {
    const config = { Image: 'busybox' };
    const { id } = await containers.create(name, {
      config,
      hostConfig: { NetworkMode: 'none', ...hostConfig },
      networks: {},
    });
    return id;
  };
  const always = { RestartPolicy: { Name: 'always' } } as const;
  const unlessStopped = { RestartPolicy: { Name: 'unless-stopped' } } as const;
  const ids = {
    running: await made('running'),
    halfStarted: await made('half-started'),
    ended: await made('ended'),
    endedRm: await made('ended-rm', { AutoRemove: true }),
    rebooted: await made('rebooted', always),
    stopped: await made('stopped', unlessStopped),
    fresh: await made('fresh', always),
  };
  const ran = { status: 'running', pid: 7, startedAt: '2026-01-01T00:00:00Z' } as const;
  for (const id of [ids.running, ids.ended, ids.endedRm, ids.rebooted]) containers.update(id, { state: ran });
  containers.update(ids.stopped, { manuallyStopped: true, state: { ...ran, status: 'exited', pid: 0 } });
  tasks.alive.set(ids.running, 7).set(ids.halfStarted, 8).set('f'.repeat(64), 9);
  rootfs.add('f'.repeat(64));

  await restore(lifecycle);
  assert.equal(containers.get(ids.rebooted).state.status, 'restarting');
  await sleep(200);
  await lifecycle.garbage.settled();

  const status = (id: string) => containers.find(id)?.state.status;
  assert.equal(status(ids.running), 'running');
  assert.equal(containers.get(ids.running).state.startedAt, ran.startedAt);
  assert.equal(status(ids.halfStarted), 'running');
  assert.ok(Date.parse(containers.get(ids.halfStarted).state.startedAt) > Date.parse(ran.startedAt));
  assert.deepEqual([status(ids.ended), containers.get(ids.ended).state.exitCode], ['exited', 255]);
  assert.equal(status(ids.endedRm), undefined);
  assert.equal(status(ids.rebooted), 'running');
  assert.equal(status(ids.stopped), 'exited');
  assert.equal(status(ids.fresh), 'created');
});
