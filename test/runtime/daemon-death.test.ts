import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { JsonFileLog } from '../../src/runtime/log/json-file-log.ts';
import { readLogs } from '../../src/runtime/log/log-reader.ts';
import { openStreams } from '../../src/runtime/stream/process-streams.ts';
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
  const path = join(stage.directory, 'log/c-json.log');
  const log = new JsonFileLog({ path, journal: join(stage.directory, 'journal') });
  const streams = openStreams({
    directory: join(stage.directory, 'streams'),
    terminal: false,
    stdin: false,
    stdinOnce: false,
    log,
  });
  t.after(() => {
    streams.close();
    log.close();
  });
  const read = async (): Promise<string> => {
    const options = {
      path,
      stdout: true,
      stderr: true,
      timestamps: false,
      details: false,
      framing: 'raw',
    } as const;
    return Buffer.concat(await readLogs(options).toArray()).toString();
  };
  let text = '';
  for (const deadline = Date.now() + 60_000; Date.now() < deadline && !text.endsWith('line 2999\n'); ) {
    await sleep(50);
    text = await read();
  }
  assert.equal(text, Array.from({ length: 3000 }, (_, i) => `line ${i}\n`).join(''));
  // The group is known from before: another member joins the same shim.
  await stage.run('second', ['sleep', '100']);
  assert.equal(stage.shims().length, 1);
  await stage.remove('talker');
  await streams.drained();
});
