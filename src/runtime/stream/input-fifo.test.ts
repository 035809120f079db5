import assert from 'node:assert/strict';
import { constants, mkdtempSync, openSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { InputFifo } from './input-fifo.ts';

test('the end of the input comes after bytes that still wait for a slow reader', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'gangway-input-'));
  const path = join(directory, 'stdin');
  const fifo = new InputFifo(path);
  const source = new PassThrough();
  fifo.write(Buffer.alloc(65_536), source);
  // More than the pipe takes, too little for the socket to ask for a pause.
  fifo.write(Buffer.alloc(100), source);
  const reader = new Socket({
    fd: openSync(path, constants.O_RDONLY | constants.O_NONBLOCK),
    writable: false,
  });
  const patience = setTimeout(() => reader.destroy(new Error('the end of the input does not come')), 2000);
  try {
    await fifo.end(() => {});
    let bytes = 0;
    for await (const chunk of reader) bytes += (chunk as Buffer).length;
    assert.equal(bytes, 65_636);
  } finally {
    clearTimeout(patience);
    reader.destroy();
    fifo.close();
    rmSync(directory, { recursive: true });
  }
});
