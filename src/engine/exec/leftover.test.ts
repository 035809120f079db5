import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeFifo } from '../../kernel/fifo.ts';
import { execDirectory, releaseLeftoverExecs } from './leftover.ts';

test('a writer that waits for the reader of a dead daemon goes on, then the FIFO is gone', async (t) => {
  const state = mkdtempSync(join(tmpdir(), 'leftover-'));
  t.after(() => rmSync(state, { recursive: true, force: true }));
  const exec = execDirectory(state, 'abc');
  mkdirSync(exec);
  makeFifo(join(exec, 'stdout'));
  makeFifo(join(state, 'stdout'));
  const writer = open(join(exec, 'stdout'), 'w');

  const remove = releaseLeftoverExecs([state, join(state, 'absent')]);
  await (await writer).close();
  remove();

  assert.equal(existsSync(exec), false);
  assert.equal(existsSync(join(state, 'stdout')), true);
});
