import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { HeldLog } from './held-log.ts';
import { Stage } from './stage.ts';

test('the daemon dies by SIGKILL: containerd and container run on, and no line of the log is missing', async (t) => {
  Stage.isolate();
  const stage = new Stage();
  stage.makeRootfs();
  t.after(() => stage.close());
  const fixture = fileURLToPath(new URL('./mortal-daemon.ts', import.meta.url));
  const daemon = spawn(process.execPath, [fixture, stage.directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(daemon.stdout, 'data');
  await sleep(150);
  daemon.kill('SIGKILL');
  await once(daemon, 'exit');
  const pid = stage.process.pid();
  assert.ok(pid !== undefined);
  await sleep(200);

  await stage.process.start();
  assert.equal(stage.process.pid(), pid);
  assert.deepEqual(
    (await stage.tasks.list()).map((task) => [task.id, task.state]),
    [['talker', 'running']],
  );
  const log = new HeldLog(stage.directory);
  t.after(() => log.close());
  let text = '';
  for (const deadline = Date.now() + 60_000; Date.now() < deadline && !text.endsWith('line 2999\n'); ) {
    await sleep(50);
    text = await log.text();
  }
  assert.equal(text, Array.from({ length: 3000 }, (_, i) => `line ${i}\n`).join(''));
  // The group is known from before: another member joins the same shim.
  await stage.run('second', ['sleep', '100']);
  assert.equal(stage.shims().length, 1);
  await stage.remove('talker');
  await log.streams.drained();
});
