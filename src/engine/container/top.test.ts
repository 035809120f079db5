import assert from 'node:assert/strict';
import { test } from 'node:test';
import { columnsOf, topRows } from './top.ts';

const titles = (args: string): string =>
  columnsOf(args)
    .map(({ title }) => title)
    .join(' ');

test('the columns of ps by its arguments', () => {
  assert.equal(titles(''), 'UID PID PPID C STIME TTY TIME CMD');
  assert.equal(titles('-ef'), titles(''));
  assert.equal(titles('aux'), 'USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND');
  assert.equal(titles('-o pid,cmd'), 'PID CMD');
  assert.equal(titles('-eo user,pid,args'), 'USER PID COMMAND');
  assert.equal(titles('-e -o pid -o comm=NAME'), 'PID NAME');
});

test('what ps would not print is refused', () => {
  assert.throws(() => columnsOf('-eo pid,foo'), {
    message: 'ps: error: unknown user-defined format specifier "foo"',
  });
  assert.throws(() => columnsOf('-eo user'), { message: "Couldn't find PID field in ps output" });
  assert.throws(() => columnsOf('--forest'), { code: 'SYSTEM' });
});

test('a process is read from proc, one that is gone is left out', () => {
  const { Processes: rows } = topRows([process.pid, 2 ** 30], '-o pid,ppid,comm,rss');
  assert.equal(rows.length, 1);
  assert.deepEqual(rows[0]?.slice(0, 2), [String(process.pid), String(process.ppid)]);
  assert.ok(Number(rows[0]?.[3]) > 1000);
});
