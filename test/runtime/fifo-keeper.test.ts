import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, lstatSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { FifoKeeper } from '../../src/runtime/stream/fifo-keeper.ts';
import { openStreams } from '../../src/runtime/stream/process-streams.ts';
import type { LogWriter } from '../../src/runtime/streams.ts';

test('what a process wrote before it ended, while no daemon read, is read by the next one', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'gangway-keeper-'));
  const keeper = new FifoKeeper(join(directory, 'keeper'), pino({ level: 'silent' }));
  t.after(() => {
    keeper.stop();
    rmSync(directory, { recursive: true, force: true });
  });
  const fixture = fileURLToPath(new URL('./stream-holder.ts', import.meta.url));
  const daemon = spawn(process.execPath, [fixture, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(daemon.stdout, 'data');
  await sleep(200);
  const stdout = join(directory, 's/stdout');
  const program = spawn('/bin/sh', ['-c', `exec >${stdout}; read _; echo last words`], {
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  await sleep(100);
  daemon.kill('SIGKILL');
  await once(daemon, 'exit');
  program.stdin.end('\n');
  await once(program, 'exit');

  const pid = keeper.pid();
  assert.ok(pid !== undefined);
  let text = '';
  const log: LogWriter = {
    write: (_, chunk) => {
      text += chunk.toString();
    },
    flush() {},
    close() {},
  };
  const streams = openStreams({
    directory: join(directory, 's'),
    terminal: false,
    stdin: false,
    stdinOnce: false,
    log,
    keeper,
  });
  const begin = performance.now();
  await streams.drained();
  assert.ok(performance.now() - begin < 1000, 'the keeper lets go when it is told');
  assert.equal(text, 'last words\n');
  assert.equal(keeper.pid(), pid);
  streams.close();
  assert.ok(!existsSync(stdout));
});

test('a process that is over before the keeper hears of it leaves no plain file, and one in the way is replaced', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'gangway-keeper-'));
  const keeper = new FifoKeeper(join(directory, 'keeper'), pino({ level: 'silent' }));
  t.after(() => {
    keeper.stop();
    rmSync(directory, { recursive: true, force: true });
  });
  const gone = join(directory, 'gone');
  keeper.hold(gone);
  await sleep(200);
  assert.ok(!existsSync(gone));

  mkdirSync(join(directory, 's'));
  writeFileSync(join(directory, 's/stdout'), 'no FIFO');
  const streams = openStreams({
    directory: join(directory, 's'),
    terminal: false,
    stdin: false,
    stdinOnce: false,
    keeper,
  });
  assert.ok(lstatSync(join(directory, 's/stdout')).isFIFO());
  streams.close();
});
