import assert from 'node:assert/strict';
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { afterEach, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LogWriter } from '../streams.ts';
import { openStreams } from './process-streams.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'gangway-streams-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

class Log implements LogWriter {
  text = '';
  write(stream: string, chunk: Buffer): void {
    this.text += `${stream}:${chunk}`;
  }
  flush(): void {
    this.text += '.';
  }
  close(): void {}
}

const plain = { terminal: false, stdin: false, stdinOnce: false };
const shimSide = (name: string): number => openSync(join(directory, name), constants.O_WRONLY);
const collect = (stream: PassThrough): Promise<Buffer> =>
  stream.toArray().then((chunks) => Buffer.concat(chunks));

test('output goes to the log and, framed, to the client; its end comes with the last writer', async () => {
  const log = new Log();
  const streams = openStreams({ ...plain, directory, log });
  const output = new PassThrough();
  streams.attach({ output, stdout: true, stderr: true, framing: 'multiplexed' });
  const out = shimSide('stdout');
  const err = shimSide('stderr');
  writeSync(out, 'hello\n');
  await sleep(20);
  writeSync(err, 'oops');
  let done = false;
  const drained = streams.drained().then(() => {
    done = true;
  });
  await sleep(30);
  assert.equal(done, false);
  writeSync(out, 'last');
  closeSync(out);
  closeSync(err);
  const closedAt = Date.now();
  await drained;
  assert.ok(Date.now() - closedAt < 1000, 'waited for the timeout, not for the end');
  assert.match(log.text, /^stdout:hello\n(stderr:oops|stdout:last){2}\.$/);
  const bytes = await collect(output);
  assert.deepEqual(bytes.subarray(0, 14), Buffer.from('\x01\0\0\0\0\0\0\x06hello\n', 'latin1'));
  assert.ok(bytes.includes(Buffer.from('\x02\0\0\0\0\0\0\x04oops', 'latin1')));
  streams.close();
});

test('what was written while nobody read is there for the next daemon', async () => {
  const first = openStreams({ ...plain, directory });
  const out = shimSide('stdout');
  const keep = openSync(join(directory, 'stdout'), constants.O_RDONLY | constants.O_NONBLOCK);
  // A killed daemon closes nothing and unlinks nothing; stopping to read stands for it here.
  const paths = first.paths;
  (first as unknown as { attach(c: object): () => void }).attach({
    output: new Writable({ highWaterMark: 1, write() {} }),
    stdout: true,
    stderr: true,
    framing: 'raw',
  });
  writeSync(out, Buffer.alloc(1_000_000, 'x'));
  await sleep(30);
  writeSync(out, Buffer.alloc(300_000, 'x'));
  await sleep(30);
  const rest = Buffer.alloc(500_000, 'y');
  writeSync(out, rest);
  const log = new Log();
  const second = openStreams({ ...plain, directory, log });
  assert.deepEqual(second.paths, paths);
  closeSync(out);
  await second.drained();
  assert.equal(log.text.replaceAll('stdout:', '').replaceAll('x', ''), `${rest}.`);
  closeSync(keep);
  first.close();
  second.close();
});

test('a client that takes nothing makes the process wait, not the memory grow', async () => {
  const log = new Log();
  const streams = openStreams({ ...plain, directory, log });
  const stuck = new Writable({ highWaterMark: 1, write() {} });
  const end = streams.attach({ output: stuck, stdout: true, stderr: true, framing: 'raw' });
  const out = openSync(join(directory, 'stdout'), constants.O_WRONLY | constants.O_NONBLOCK);
  let written = 0;
  for (let round = 0; round < 40; round++) {
    try {
      written += writeSync(out, Buffer.alloc(256 * 1024));
    } catch {
      break;
    }
    await sleep(5);
  }
  assert.ok(written < 4 << 20, `${written} bytes were taken`);
  end();
  closeSync(out);
  await streams.drained();
  assert.equal(log.text.replaceAll('stdout:', '').length, written + 1);
  streams.close();
});

test('stdin reaches the process; its end is passed on once the shim is there', async () => {
  let attempts = 0;
  const streams = openStreams({
    directory,
    terminal: false,
    stdin: true,
    stdinOnce: true,
    closeStdin: async () => {
      if (++attempts < 3) throw new Error('not created');
    },
  });
  const stdin = new PassThrough();
  streams.attach({ stdin, output: new PassThrough(), stdout: true, stderr: true, framing: 'raw' });
  stdin.end('typed');
  await sleep(5);
  const reader = openSync(join(directory, 'stdin'), constants.O_RDONLY);
  await sleep(80);
  assert.equal(attempts, 3);
  assert.equal(readFileSync(reader, 'utf8'), 'typed');
  closeSync(reader);
  streams.close();
});

test('the detach keys end the attachment and reach nobody', async () => {
  const streams = openStreams({ directory, terminal: true, stdin: true, stdinOnce: true });
  assert.equal(streams.paths.stderr, undefined);
  const reader = openSync(join(directory, 'stdin'), constants.O_RDONLY | constants.O_NONBLOCK);
  const stdin = new PassThrough();
  const output = new PassThrough();
  const detached = new Promise<void>((resolve) => {
    streams.attach({
      stdin,
      output,
      stdout: true,
      stderr: false,
      framing: 'raw',
      detachKeys: Buffer.from([16, 17]),
      onDetach: resolve,
    });
  });
  stdin.write(Buffer.from([65, 16, 66, 16]));
  stdin.write(Buffer.from([17, 67]));
  await detached;
  await collect(output);
  const into = Buffer.alloc(16);
  assert.deepEqual([...into.subarray(0, readSync(reader, into))], [65, 16, 66]);
  closeSync(reader);
  streams.close();
});
