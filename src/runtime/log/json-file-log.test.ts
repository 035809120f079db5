import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { JsonFileLog } from './json-file-log.ts';
import { openLog, validateLogConfig } from './log-driver.ts';
import { type ReadLogsOptions, readLogs } from './log-reader.ts';
import { formatLogTime, parseLogTime } from './log-time.ts';

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'gangway-log-'));
  path = join(directory, 'c-json.log');
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const everything = (): ReadLogsOptions => ({
  path,
  stdout: true,
  stderr: true,
  timestamps: false,
  details: false,
  framing: 'raw',
});
const read = async (options: Partial<ReadLogsOptions> = {}): Promise<string> => {
  const stream = readLogs({ ...everything(), ...options });
  return Buffer.concat(await stream.toArray()).toString();
};
const records = (): { log: string; stream: string; time: string }[] =>
  readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

test('whole lines are in the file at once, the rest at the end, long lines in pieces of 16 KiB', () => {
  const log = new JsonFileLog({ path });
  log.write('stdout', Buffer.from('one\ntw'));
  assert.deepEqual(
    records().map((r) => r.log),
    ['one\n'],
  );
  log.write('stderr', Buffer.from('err\n'));
  log.write('stdout', Buffer.from(`o\n${'x'.repeat(40_000)}`));
  log.write('stdout', Buffer.from('\ntail'));
  log.close();
  const written = records();
  assert.deepEqual(
    written.map((r) => [r.stream, r.log.length, r.log.at(-1)]),
    [
      ['stdout', 4, '\n'],
      ['stderr', 4, '\n'],
      ['stdout', 4, '\n'],
      ['stdout', 16384, 'x'],
      ['stdout', 16384, 'x'],
      ['stdout', 7233, '\n'],
      ['stdout', 4, 'l'],
    ],
  );
  assert.match(
    readFileSync(path, 'utf8'),
    /^{"log":"one\\n","stream":"stdout","time":"[\d-]+T[\d:]+\.\d+Z"}\n/,
  );
});

test('reading selects streams, times and the last lines, and formats as asked', async () => {
  const log = new JsonFileLog({ path, attributes: { a: 'x y' } });
  for (let i = 0; i < 5; i++) {
    log.write(i % 2 ? 'stderr' : 'stdout', Buffer.from(`l${i}\n`));
    await sleep(2);
  }
  log.close();
  assert.equal(await read(), 'l0\nl1\nl2\nl3\nl4\n');
  assert.equal(await read({ stderr: false }), 'l0\nl2\nl4\n');
  assert.equal(await read({ tail: 2 }), 'l3\nl4\n');
  assert.equal(await read({ tail: 0 }), '');
  assert.equal(await read({ tail: 9 }), 'l0\nl1\nl2\nl3\nl4\n');
  assert.equal(await read({ tail: 1, details: true }), 'a=x+y l4\n');
  const times = records().map((r) => parseLogTime(r.time) ?? 0n);
  assert.equal(await read({ since: times[1] ?? 0n, until: times[3] ?? 0n }), 'l1\nl2\nl3\n');
  assert.match(await read({ tail: 1, timestamps: true }), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z l4\n$/);
  assert.equal(await read({ tail: 1, framing: 'multiplexed' }), '\x01\0\0\0\0\0\0\x03l4\n');
});

test('rotation keeps so many files; tail and following go over their borders', async () => {
  const log = new JsonFileLog({ path, maxSize: 400, maxFiles: 3 });
  const follow = read({ follow: log });
  await sleep(5);
  let expected = '';
  for (let i = 0; i < 40; i++) {
    log.write('stdout', Buffer.from(`line ${i}\n`));
    expected += `line ${i}\n`;
    if (i % 7 === 0) await sleep(1);
  }
  assert.deepEqual(readdirSync(directory).sort(), ['c-json.log', 'c-json.log.1', 'c-json.log.2']);
  assert.equal(await read({ tail: 8 }), expected.split('\n').slice(-9).join('\n'));
  log.close();
  assert.equal(await follow, expected);
});

test('a log that somebody has removed is written on, also where it is rotated', () => {
  const log = new JsonFileLog({ path, maxSize: 200, maxFiles: 3 });
  log.write('stdout', Buffer.from('one\n'));
  rmSync(path);
  for (let i = 0; i < 4; i++) log.write('stdout', Buffer.from(`line ${i}\n`));
  log.close();
  assert.match(readFileSync(path, 'utf8'), /line 3/);
});

test('with one file rotation begins it anew', async () => {
  const log = new JsonFileLog({ path, maxSize: 200 });
  for (let i = 0; i < 10; i++) log.write('stdout', Buffer.from(`line ${i}\n`));
  log.close();
  assert.deepEqual(readdirSync(directory), ['c-json.log']);
  assert.match(await read(), /^(line \d\n){0,2}$/);
});

test('a following reader that goes away ends, and a broken last line is skipped', async () => {
  appendFileSync(path, '{"log":"a\\n","stream":"stdout","time":"2026-01-01T00:00:00Z"}\n{"log":"cut');
  const log = new JsonFileLog({ path });
  log.write('stdout', Buffer.from('b\n'));
  assert.equal(await read(), 'a\nb\n');
  const stream = readLogs({ ...everything(), follow: log });
  await new Promise((resolve) => stream.once('data', resolve));
  stream.destroy();
  await sleep(5);
  log.write('stdout', Buffer.from('c\n'));
  log.close();
});

test('drivers and options are told in Docker’s words', () => {
  const check =
    (driver: string, options: Record<string, string> = {}): (() => void) =>
    () =>
      validateLogConfig({ driver, options });
  assert.doesNotThrow(check('', { 'max-size': '10m', 'max-file': '3' }));
  assert.throws(check('nosuch'), {
    message: 'error looking up logging plugin nosuch: plugin "nosuch" not found',
  });
  assert.throws(check('json-file', { foo: '1' }), {
    message: "unknown log opt 'foo' for json-file log driver",
  });
  assert.throws(check('journald'), { code: 'NOT_IMPLEMENTED' });
  assert.throws(check('json-file', { 'max-file': '0' }), /max-file cannot be less than 1/);
  assert.throws(check('json-file', { 'max-size': 'x' }), /invalid size: 'x'/);
  assert.doesNotThrow(() =>
    openLog({ driver: 'none', options: {} }, { path }).write('stdout', Buffer.from('x\n')),
  );
});

test('times keep nanoseconds both ways', () => {
  assert.equal(formatLogTime(1_700_000_000_120_000_000n), '2023-11-14T22:13:20.12Z');
  assert.equal(formatLogTime(1_700_000_000_000_000_000n), '2023-11-14T22:13:20Z');
  assert.equal(parseLogTime('2023-11-14T22:13:20.120000001Z'), 1_700_000_000_120_000_001n);
});
