import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { OUTPUTS, type OutputName } from '../../src/runtime/streams.ts';
import { HeldLog } from './held-log.ts';

const KILLS = 40;

/** A container that writes in bursts, not always to a line's end, to both outputs. */
class Talker {
  readonly written = { stdout: '', stderr: '' };
  readonly #pipes: Readonly<Record<OutputName, number>>;
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
    talker ??= new Talker(join(directory, 'streams'));
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
  const log = new HeldLog(directory);
  t.after(() => log.close());
  await log.streams.drained();
  for (const name of OUTPUTS) assert.equal(await log.text(name), talker?.written[name] ?? '');
});
