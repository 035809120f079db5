import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseInterfaceCounters } from './interface-counters.ts';
import { parseBlkio, parseCgroups, parseFigures, parseIoStat, readUsage, systemCpu } from './usage.ts';

test('cgroups of both versions are found by controller', () => {
  const v1 = parseCgroups('5:cpu,cpuacct:/g/x\n4:memory:/g/y\n1:name=systemd:/\n0::/\n', '/c');
  assert.equal(v1.get('cpuacct'), '/c/cpu,cpuacct/g/x');
  assert.equal(v1.get('memory'), '/c/memory/g/y');
  assert.equal(parseCgroups('0::/g/z\n', '/c').get(''), '/c/g/z');
});

test('figures of files', () => {
  assert.deepEqual(parseFigures('usage_usec 12\nuser_usec 5\n'), { usage_usec: 12, user_usec: 5 });
  assert.deepEqual(parseBlkio('8:0 Read 4096\nTotal 4096\n'), [
    { major: 8, minor: 0, op: 'Read', value: 4096 },
  ]);
  assert.deepEqual(parseIoStat('254:16 rbytes=7 wbytes=8 rios=1 wios=2\n', 'rbytes', 'wbytes'), [
    { major: 254, minor: 16, op: 'read', value: 7 },
    { major: 254, minor: 16, op: 'write', value: 8 },
  ]);
  assert.equal(systemCpu('cpu  1 2 3 4 5 6 7 100 0 0\ncpu0 9\n'), 28 * 10_000_000);
});

test('counters of interfaces, loopback left out', () => {
  const counters = parseInterfaceCounters(
    'Inter-|   Receive |  Transmit\n face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop\n    lo: 9 9 9 9 0 0 0 0 9 9 9 9 0 0 0 0\n  eth0:1000 10 1 2 0 0 0 0 2000 20 3 4 0 0 0 0\n',
  );
  assert.deepEqual(Object.keys(counters), ['eth0']);
  assert.deepEqual(
    [counters.eth0?.rx_bytes, counters.eth0?.rx_dropped, counters.eth0?.tx_bytes, counters.eth0?.tx_errors],
    [1000, 2, 2000, 3],
  );
});

test('a version 2 cgroup is read whole; without a limit the machine is the limit', () => {
  const mounts = mkdtempSync(join(tmpdir(), 'cgroup-'));
  const write = (pid: number): string => {
    const own = parseCgroups(`0::/unit-${pid}\n`, mounts).get('') ?? '';
    mkdirSync(own, { recursive: true });
    return own;
  };
  try {
    const directory = write(process.pid);
    writeFileSync(join(directory, 'memory.current'), '4096\n');
    writeFileSync(join(directory, 'memory.max'), 'max\n');
    assert.throws(() => readUsage(2 ** 30), /ENOENT/);
    const usage = readUsage(process.pid, mounts);
    assert.ok(usage.memory.limit > 1e6);
  } finally {
    rmSync(mounts, { recursive: true });
  }
});
