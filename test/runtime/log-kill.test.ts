import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { JsonFileLog } from '../../src/runtime/log/json-file-log.ts';
import { readLogs } from '../../src/runtime/log/log-reader.ts';
import { openStreams } from '../../src/runtime/stream/process-streams.ts';

const KILLS = 40;

/** A container that writes in bursts, not always to a line's end, to both outputs. */
class Talker {
  readonly written = { stdout: '', stderr: '' };
  readonly #pipes: Readonly<Record<'stdout' | 'stderr', number>>;
  #count = 0;

  constructor(directory: string) {
    const open = (name: string): number => openSync(join(directory, name), constants.O_RDWR);
    this.#pipes = { stdout: open('stdout'), stderr: open('stderr') };
  }

  burst(): void {
    for (const name of ['stdout', 'stderr', 'stdout'] as const) {
      let text = '';
      for (let i = 0; i < 8; i++) text += `line ${this.#count++} of many\nbeginning ${this.#count}, `;
      writeSync(this.#pipes[name], text);
      this.written[name] += text;
    }
  }
}

test('a daemon killed at any instruction loses no byte of a log, and its successor writes none twice', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'gangway-log-kill-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const fixture = fileURLToPath(new URL('./log-keeper.ts', import.meta.url));
  let talker: Talker | undefined;
  for (let kill = 0; kill < KILLS; kill++) {
    const daemon = spawn(process.execPath, [fixture, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(daemon.stdout, 'data');
    talker ??= new Talker(join(directory, 's'));
    for (let i = 0; i < 5; i++) {
      talker.burst();
      await sleep(1);
    }
    talker.burst();
    // Somewhere in the half millisecond in which it reads, formats and writes that.
    for (const until = performance.now() + Math.random() / 2; performance.now() < until; );
    daemon.kill('SIGKILL');
    await once(daemon, 'exit');
  }
  const path = join(directory, 'c-json.log');
  const log = new JsonFileLog({ path, journal: join(directory, 'journal') });
  const streams = openStreams({
    directory: join(directory, 's'),
    terminal: false,
    stdin: false,
    stdinOnce: false,
    log,
  });
  t.after(() => {
    streams.close();
    log.close();
  });
  await streams.drained();
  for (const name of ['stdout', 'stderr'] as const) {
    const options = { path, stdout: name === 'stdout', stderr: name === 'stderr' };
    const read = readLogs({ ...options, timestamps: false, details: false, framing: 'raw' });
    const text = Buffer.concat(await read.toArray()).toString();
    assert.equal(text, talker?.written[name] ?? '');
  }
});
