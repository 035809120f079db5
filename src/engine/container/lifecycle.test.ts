import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { HostConfig } from '@docker/node-sdk';
import { system } from '../../model/errors.ts';
import { fakeEngine } from './fake-platform.ts';

async function containerIn(t: TestContext, hostConfig: HostConfig = {}) {
  const engine = fakeEngine(t);
  const { id } = await engine.containers.create('web', {
    config: { Image: 'busybox' },
    hostConfig: { NetworkMode: 'none', ...hostConfig },
    networks: {},
  });
  const status = () => engine.containers.find(id)?.state.status;
  const actions = () =>
    engine.events.history().flatMap(({ Type, Action }) => (Type === 'container' ? [Action] : []));
  return { ...engine, id, status, actions };
}

async function until(condition: () => boolean): Promise<void> {
  for (let n = 0; n < 400 && !condition(); n++) await sleep(5);
  assert.ok(condition(), 'it did not come to pass');
}

test('a run from start to end, and nothing left after the removal', async (t) => {
  const { lifecycle, tasks, id, status, actions, sandboxes, rootfs } = await containerIn(t);
  await lifecycle.start(id);
  await assert.rejects(lifecycle.start(id), { code: 'NOT_MODIFIED' });
  const end = lifecycle.wait('web', 'not-running');
  tasks.exit(id, 3);
  assert.deepEqual(await end, { statusCode: 3 });
  assert.equal(status(), 'exited');
  await lifecycle.remove('web', { force: false, volumes: false });
  await lifecycle.garbage.settled();
  assert.deepEqual(actions(), ['create', 'start', 'die', 'destroy']);
  assert.deepEqual([tasks.left.size, sandboxes.size, rootfs.size], [0, 0, 0]);
});

test('a command that is not there: 127, Docker’s words, and the network closed again', async (t) => {
  const { lifecycle, containers, tasks, id, status, sandboxes } = await containerIn(t);
  const words = 'failed to create task for container: exec: "serve": executable file not found in $PATH';
  tasks.failures.push(system(words));
  await assert.rejects(lifecycle.start(id), { code: 'INVALID_PARAMETER', message: words });
  assert.deepEqual([status(), containers.get(id).state.exitCode], ['created', 127]);
  assert.equal(containers.get(id).state.error, words);
  assert.equal(sandboxes.size, 0);
  await lifecycle.start(id);
  assert.equal(status(), 'running');
});

test('stop: the signal first, SIGKILL after the timeout', async (t) => {
  const { lifecycle, containers, tasks, id, status, actions } = await containerIn(t);
  await lifecycle.start(id);
  tasks.stubborn = true;
  await lifecycle.stop(id, { timeout: 0 });
  assert.deepEqual([status(), containers.get(id).state.exitCode], ['exited', 137]);
  assert.deepEqual(actions(), ['create', 'start', 'kill', 'kill', 'die', 'stop']);
  await assert.rejects(lifecycle.stop(id), { code: 'NOT_MODIFIED' });
});

test('remove refuses what runs, unless forced', async (t) => {
  const { lifecycle, id, status, tasks } = await containerIn(t);
  await lifecycle.start(id);
  await assert.rejects(lifecycle.remove(id, { force: false, volumes: false }), {
    code: 'CONFLICT',
    message:
      'cannot remove container "web": container is running: stop the container before removing or force remove',
  });
  await lifecycle.remove(id, { force: true, volumes: false });
  assert.equal(status(), undefined);
  assert.equal(tasks.alive.size, 0);
});

test('--rm: gone after its end, kept by a restart', async (t) => {
  const { lifecycle, tasks, id, status } = await containerIn(t, { AutoRemove: true });
  await lifecycle.start(id);
  await lifecycle.restart(id, { timeout: 1 });
  assert.equal(status(), 'running');
  const removed = lifecycle.wait(id, 'removed');
  tasks.exit(id, 4);
  assert.deepEqual(await removed, { statusCode: 4 });
  assert.equal(status(), undefined);
});

test('a policy starts it again; a stop between two runs is the last word', async (t) => {
  const { lifecycle, containers, tasks, id, status } = await containerIn(t, {
    RestartPolicy: { Name: 'always' },
  });
  await lifecycle.start(id);
  tasks.exit(id, 1);
  await until(() => status() === 'restarting');
  await until(() => status() === 'running');
  assert.equal(containers.get(id).restartCount, 1);
  tasks.exit(id, 1);
  await until(() => status() === 'restarting');
  const end = lifecycle.wait(id, 'not-running');
  await lifecycle.stop(id);
  assert.equal(status(), 'exited');
  assert.deepEqual(await end, { statusCode: 1 });
  await sleep(250);
  assert.equal(status(), 'exited');
});

for (const verb of ['stop', 'remove'] as const) {
  test(`${verb} meets a restart on its way: the new run ends too`, async (t) => {
    const { lifecycle, tasks, id, status } = await containerIn(t, { RestartPolicy: { Name: 'always' } });
    await lifecycle.start(id);
    const gate = Promise.withResolvers<void>();
    tasks.gate = gate.promise;
    tasks.exit(id, 1);
    await until(() => status() === 'restarting');
    await sleep(150);
    const done = verb === 'stop' ? lifecycle.stop(id) : lifecycle.remove(id, { force: true, volumes: false });
    gate.resolve();
    await done;
    assert.equal(tasks.alive.size, 0);
    assert.equal(status(), verb === 'stop' ? 'exited' : undefined);
  });
}

test('a failed creation gives name, volumes and directories back', async (t) => {
  const { containers, rootfs } = await containerIn(t);
  const volumes = (): readonly string[] => containers.volumes.list().map(({ name }) => name);
  containers.volumes.create({ name: 'there' });
  const request = (...names: string[]) => ({
    config: { Image: 'busybox' },
    hostConfig: { NetworkMode: 'none', Binds: names.map((name, n) => `${name}:/v${n}`) },
    networks: {},
  });
  const before = rootfs.size;
  await assert.rejects(containers.create('second', request('there', 'new', 'b@d')), {
    code: 'INVALID_PARAMETER',
  });
  assert.deepEqual([volumes(), rootfs.size], [['there'], before]);
  await containers.create('second', request('there', 'new'));
  await assert.rejects(containers.create('second', request('other')), { code: 'CONFLICT' });
  assert.deepEqual(volumes(), ['there', 'new']);
});
