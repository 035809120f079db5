import assert from 'node:assert/strict';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import type { OutputName } from '../streams.ts';
import { JsonFileLog } from './json-file-log.ts';

let directory: string;
let path: string;
let journal: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'gangway-journal-'));
  path = join(directory, 'c-json.log');
  journal = join(directory, 'journal');
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** As OutputFifo does: into the space, then handed on. */
function read(log: JsonFileLog, stream: OutputName, text: string): Buffer {
  const space = log.space(stream);
  assert.ok(space !== undefined);
  return space.subarray(0, space.write(text));
}
const logged = (): string =>
  readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line).log)
    .join('');

test('what was read and not written is in the log of the next daemon, before what comes then', () => {
  const killed = new JsonFileLog({ path, journal });
  killed.write('stdout', read(killed, 'stdout', 'one\ntw'));
  killed.write('stderr', read(killed, 'stderr', 'err'));
  read(killed, 'stdout', 'o\nthr');
  const log = new JsonFileLog({ path, journal });
  assert.equal(logged(), 'one\ntwo\n');
  log.write('stdout', read(log, 'stdout', 'ee\n'));
  log.write('stderr', read(log, 'stderr', 'or\n'));
  log.close();
  assert.equal(logged(), 'one\ntwo\nthree\nerror\n');
  assert.equal(existsSync(journal), false);
});

test('what was written while it is still held is written anew, not twice', () => {
  const killed = new JsonFileLog({ path, journal });
  killed.write('stdout', read(killed, 'stdout', 'one\n'));
  const before = readFileSync(path);
  read(killed, 'stdout', 'two\nthree\n');
  appendFileSync(path, '{"log":"two\\n","stream":"stdout","time":"2026-01-01T00:00:00Z"}\n{"log":"thr');
  new JsonFileLog({ path, journal }).close();
  assert.equal(logged(), 'one\ntwo\nthree\n');
  assert.deepEqual(readFileSync(path).subarray(0, before.length), before);
});

test('a log that somebody has emptied meanwhile is left as it is', () => {
  const killed = new JsonFileLog({ path, journal });
  killed.write('stdout', read(killed, 'stdout', 'one\nhalf'));
  writeFileSync(path, '');
  new JsonFileLog({ path, journal }).close();
  assert.equal(logged(), 'half');
});

test('after a reboot the journal counts for nothing: it and the log may be of two times', () => {
  const killed = new JsonFileLog({ path, journal });
  killed.write('stdout', read(killed, 'stdout', 'half'));
  appendFileSync(path, '{"log":"kept\\n","stream":"stdout","time":"2026-01-01T00:00:00Z"}\n');
  const bytes = readFileSync(journal);
  bytes.write('another boot');
  writeFileSync(journal, bytes);
  new JsonFileLog({ path, journal }).close();
  assert.equal(logged(), 'kept\n');
});

test('more than fits is taken in pieces, whatever the reader’s buffer; long lines too', () => {
  const log = new JsonFileLog({ path, journal });
  const text = `${'x'.repeat(40_000)}\n${'short\n'.repeat(20_000)}end`;
  log.write('stdout', Buffer.from(text));
  log.close();
  assert.equal(logged(), text);
});

test('where no journal can be made the log is written without', () => {
  mkdirSync(journal);
  const log = new JsonFileLog({ path, journal });
  assert.equal(log.space('stdout'), undefined);
  log.write('stdout', Buffer.from('one\n'));
  log.close();
  assert.equal(logged(), 'one\n');
});
