import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildProcess } from '../../src/runtime/spec/build-process.ts';
import { openStreams } from '../../src/runtime/stream/process-streams.ts';
import type { LogWriter, StreamsOptions } from '../../src/runtime/streams.ts';
import { Stage } from './stage.ts';

let stage: Stage;
before(async () => {
  Stage.isolate();
  stage = new Stage();
  stage.makeRootfs();
  await stage.process.start();
});
after(() => stage.close());

class Log implements LogWriter {
  text = '';
  write(_: string, chunk: Buffer): void {
    this.text += chunk;
  }
  flush(): void {}
  close(): void {}
}

const streams = (id: string, more: Partial<StreamsOptions> = {}) =>
  openStreams({
    directory: join(stage.directory, 'streams', id),
    terminal: false,
    stdin: false,
    stdinOnce: false,
    ...more,
  });

/** Runs a command to its end: what it wrote, and its status. */
async function output(
  id: string,
  args: readonly string[],
  options: Parameters<Stage['run']>[2] = {},
): Promise<{ text: string; status: number }> {
  const log = new Log();
  const io = streams(id, { log });
  await stage.run(id, args, { ...options, stdio: io.paths });
  const { exitStatus } = await stage.exit(id);
  await io.drained();
  io.close();
  await stage.tasks.delete(id);
  return { text: log.text, status: exitStatus };
}

test('a command runs, and its output and status come back', async () => {
  const { text, status } = await output('hello', ['sh', '-c', 'echo out; echo err >&2; exit 3']);
  assert.deepEqual([[...text.matchAll(/\w+/g)].map(String).sort(), status], [['err', 'out'], 3]);
  assert.deepEqual(await stage.tasks.info('hello'), undefined);
});

test('what the spec says is what the process finds', async () => {
  const { text } = await output(
    'facts',
    [
      'sh',
      '-c',
      'id; grep -E "CapBnd|Seccomp:|NoNewPrivs" /proc/self/status; cat /proc/sys/kernel/hostname; echo x > /sys/x',
    ],
    {
      config: { User: 'app' },
      hostConfig: {
        CapDrop: ['ALL'],
        CapAdd: ['CHOWN'],
        SecurityOpt: ['no-new-privileges'],
        Memory: 32 << 20,
      },
    },
  );
  assert.match(text, /uid=1000\(app\) gid=1001\(app\) groups=50\(extra\),1001\(app\)/);
  assert.match(text, /CapBnd:\s*0000000000000001/);
  assert.match(text, /NoNewPrivs:\s*1/);
  assert.match(text, stage.host.seccomp ? /Seccomp:\s*2/ : /Seccomp:\s*0/);
  assert.match(text, /facts/);
  assert.match(text, /Read-only file system|Permission denied/);
});

test('a command that is not there is told in dockerd’s words, and nothing stays', async () => {
  await assert.rejects(stage.run('bad', ['nosuch']), {
    code: 'SYSTEM',
    message:
      'failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "nosuch": executable file not found in $PATH: unknown',
  });
  assert.equal(await stage.tasks.info('bad'), undefined);
  await assert.rejects(stage.tasks.kill('bad', 9), { code: 'NOT_FOUND' });
  assert.deepEqual(await stage.tasks.list(), []);
});

test('stdin is passed on to its end; large output arrives whole', async () => {
  const io = streams('cat', {
    stdin: true,
    stdinOnce: true,
    closeStdin: () => stage.tasks.closeStdin('cat', ''),
  });
  const stdin = new PassThrough();
  const stdout = new PassThrough();
  io.attach({ stdin, output: stdout, stdout: true, stderr: true, framing: 'raw' });
  const data = Buffer.alloc(5 << 20, 'gangway ');
  stdin.end(data);
  const received = stdout.toArray();
  await stage.run('cat', ['cat'], { stdio: io.paths });
  assert.equal((await stage.exit('cat')).exitStatus, 0);
  await io.drained();
  assert.ok(Buffer.concat(await received).equals(data));
  io.close();
  await stage.tasks.delete('cat');
});

test('a terminal has a size, an exec its own streams and status', async () => {
  const io = streams('tty', { terminal: true, stdin: true });
  const screen = new PassThrough();
  const stdin = new PassThrough();
  io.attach({ stdin, output: screen, stdout: true, stderr: false, framing: 'raw' });
  let text = '';
  screen.on('data', (chunk) => {
    text += chunk;
  });
  await stage.run('tty', ['sh'], { stdio: io.paths, config: { Tty: true } });
  await stage.tasks.resize('tty', '', 81, 23);
  stdin.write('stty size\n');
  for (let i = 0; i < 50 && !text.includes('23 81'); i++) await sleep(20);
  assert.match(text, /23 81/);

  const config = { Env: ['A=1'] };
  const log = new Log();
  const execIo = streams('exec', { log });
  const process = buildProcess({
    config,
    hostConfig: {},
    hostname: 'tty',
    user: { uid: 0, gid: 0, additionalGids: [0] },
    host: stage.host,
    exec: { Cmd: ['sh', '-c', 'echo $A; exit 7'] },
  });
  await stage.tasks.addExec('tty', 'e', process as unknown as Record<string, unknown>, execIo.paths);
  await assert.rejects(stage.tasks.closeStdin('tty', 'e'), { code: 'SYSTEM' });
  await stage.tasks.startExec('tty', 'e');
  assert.equal((await stage.exit('tty', 'e')).exitStatus, 7);
  await execIo.drained();
  assert.equal(log.text, '1\n');
  await stage.tasks.deleteExec('tty', 'e');
  execIo.close();
  await stage.remove('tty');
  io.close();
});

test('containers share a shim, whoever of them goes first', async () => {
  const ids = Array.from({ length: 10 }, (_, i) => `g${i}`);
  await Promise.all(ids.map((id) => stage.run(id, ['sleep', '100'])));
  assert.equal(stage.shims().length, 2);
  await stage.remove('g0');
  assert.ok((await stage.tasks.pids('g1')).length === 1);
  await stage.run('g0', ['sleep', '100']);
  await Promise.all([
    ...ids.slice(0, 5).map((id) => stage.remove(id)),
    ...['n0', 'n1', 'n2'].map((id) => stage.run(id, ['sleep', '100'])),
  ]);
  assert.deepEqual((await stage.tasks.list()).map((t) => t.id).sort(), [
    'g5',
    'g6',
    'g7',
    'g8',
    'g9',
    'n0',
    'n1',
    'n2',
  ]);
  await Promise.all(['g5', 'g6', 'g7', 'g8', 'g9', 'n0', 'n1', 'n2'].map((id) => stage.remove(id)));
  for (let i = 0; i < 50 && stage.shims().length > 0; i++) await sleep(20);
  assert.deepEqual(stage.shims(), []);
});

test('containerd dies and comes back; an exit in between is reported', async () => {
  const pid = await stage.run('stays', ['sleep', '100']);
  await stage.run('other', ['sleep', '100']);
  const before = stage.process.pid() ?? 0;
  const recovered = new Promise<void>((resolve) => stage.process.onRecovered(resolve));
  process.kill(before, 'SIGKILL');
  process.kill(pid, 'SIGKILL');
  await recovered;
  assert.notEqual(stage.process.pid(), before);
  assert.equal((await stage.exit('stays')).exitStatus, 137);
  assert.equal((await stage.tasks.info('other'))?.state, 'running');
  await stage.remove('stays');
  await stage.remove('other');
});

test('out of memory is told', async () => {
  let oom = '';
  stage.tasks.onOom((id) => {
    oom = id;
  });
  const { status } = await output('oom', ['sh', '-c', 'x=$(cat /dev/zero | busybox tr "\\0" a)'], {
    hostConfig: { Memory: 16 << 20, MemorySwap: 16 << 20 },
  });
  assert.notEqual(status, 0);
  for (let i = 0; i < 50 && oom === ''; i++) await sleep(20);
  assert.equal(oom, 'oom');
});

test('pause, update and resume reach the cgroup', async () => {
  await stage.run('limits', ['sleep', '100'], { hostConfig: { PidsLimit: 50 } });
  await stage.tasks.pause('limits');
  assert.equal((await stage.tasks.info('limits'))?.state, 'paused');
  await stage.tasks.resume('limits');
  await stage.tasks.update('limits', { pids: { limit: 60 } });
  const file =
    stage.host.cgroupVersion === 2
      ? '/sys/fs/cgroup/gangway-test/limits/pids.max'
      : '/sys/fs/cgroup/pids/gangway-test/limits/pids.max';
  assert.equal(readFileSync(file, 'utf8').trim(), '60');
  await stage.remove('limits');
});
