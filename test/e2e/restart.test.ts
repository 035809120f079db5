import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { daemonCommand, IS_GANGWAY } from './engine-under-test.ts';
import { Machine } from './machine.ts';
import { HOST, OUTSIDE, processesNaming } from './namespaces.ts';
import { until } from './process.ts';

/** What must be shown, 5: the daemon may die at any moment, and nothing is left when all is removed. */
let machine: Machine;
before(async () => {
  machine = await Machine.start({ flags: IS_GANGWAY ? [] : ['--live-restore'] });
});
after(() => machine.close());

const MEGABYTES = 96;
const counting = 'i=0; while true; do i=$((i+1)); echo line $i; usleep 20000; done';
const containerd = (): number[] => processesNaming(`${machine.directory}/`).filter(isContainerd);
const isContainerd = (pid: number): boolean => processName(pid) === 'containerd';
const running = async (): Promise<string[]> =>
  (await machine.dockerOk('ps', '--format', '{{.Names}}')).split('\n').sort();

function processName(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return '';
  }
}

/** Downloads through the published port from outside, at a rate that leaves time to kill the daemon. */
function download(path: string): Promise<{ readonly bytes: number; readonly md5: string }> {
  const [program = '', ...args] = machine.inOutside([
    'curl',
    '-s',
    '-S',
    '-f',
    '--limit-rate',
    '24M',
    `http://${HOST}:8080/${path}`,
  ]);
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const hash = createHash('md5');
  let bytes = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    hash.update(chunk);
  });
  return new Promise((resolve, reject) => {
    child.on('close', (code) =>
      code === 0
        ? resolve({ bytes, md5: hash.digest('hex') })
        : reject(new Error(`curl: ${code} after ${bytes}`)),
    );
  });
}

/** A new connection to the published port, for little of the file. */
const beginning = () =>
  machine.outside(['curl', '-s', '-f', '-m', '3', '-r', '0-99', `http://${HOST}:8080/big`]);

const assertNoGap = (log: string): number => {
  const numbers = log
    .trim()
    .split('\n')
    .map((line) => Number(line.replace('line ', '')));
  numbers.forEach((value, index) => {
    assert.equal(value, index + 1, `line ${index + 1} of the log`);
  });
  return numbers.length;
};

test('kill -9 during a transfer through a published port: it ends complete', async () => {
  const prepare = `mkdir /www; dd if=/dev/urandom of=/www/big bs=1M count=${MEGABYTES} 2>/dev/null; md5sum /www/big; exec httpd -f -p 80 -h /www`;
  await machine.dockerOk('run', '-d', '--name', 'web', '-p', '8080:80', 'busybox', 'sh', '-c', prepare);
  await machine.dockerOk('run', '-d', '--name', 'counter', 'busybox', 'sh', '-c', counting);
  await machine.dockerOk('run', '-d', '--name', 'short', 'busybox', 'sh', '-c', 'sleep 3; exit 7');
  const sum = await until(
    'the file',
    async () => (await machine.docker('logs', 'web')).stdout.split(' ')[0] || undefined,
  );
  await until('the server', async () =>
    (await machine.outside(['curl', '-s', '-I', '-m', '1', `http://${HOST}:8080/big`])).status === 0
      ? true
      : undefined,
  );
  const before = containerd();
  const transfer = download('big');
  await sleep(700);
  await machine.stopDaemon('SIGKILL');
  const page = await beginning();
  assert.equal(page.status, 0, 'a new connection while there is no daemon');
  assert.deepEqual(await transfer, { bytes: MEGABYTES * 1024 * 1024, md5: sum });
  await sleep(1000);
  await machine.startDaemon();
  if (IS_GANGWAY) assert.deepEqual(containerd(), before, 'containerd is found again, not started again');
});

test('the restarted daemon lists, execs, and knows what ended meanwhile', async () => {
  assert.deepEqual(await running(), ['counter', 'web']);
  assert.equal(
    await machine.dockerOk('inspect', '-f', '{{.State.ExitCode}} {{.State.Status}}', 'short'),
    '7 exited',
  );
  assert.equal(await machine.dockerOk('wait', 'short'), '7');
  assert.equal(await machine.dockerOk('exec', 'web', 'echo', 'still here'), 'still here');
  assert.match(await machine.dockerOk('port', 'web'), /80\/tcp -> 0\.0\.0\.0:8080/);
  const again = await machine.docker('run', '-d', '--name', 'rival', '-p', '8080:80', 'busybox', 'true');
  assert.match(again.stderr, /port is already allocated/);
  await machine.dockerOk('rm', 'rival');
});

test('no log line is lost over kill -9 and over a stop', async () => {
  const first = assertNoGap(await machine.dockerOk('logs', 'counter'));
  await machine.stopDaemon('SIGTERM');
  await sleep(500);
  await machine.startDaemon();
  assert.deepEqual(await running(), ['counter', 'web']);
  const second = await until('new lines', async () => {
    const count = assertNoGap(await machine.dockerOk('logs', 'counter'));
    return count > first + 20 ? count : undefined;
  });
  assert.ok(second > first);
});

test('at start, rules and links that someone removed are there again', async () => {
  if (!IS_GANGWAY) return;
  await machine.stopDaemon('SIGKILL');
  await machine.host(['nft', 'flush', 'ruleset']);
  const target = [{ protocol: 'tcp', address: HOST, port: 8080 }] as const;
  assert.deepEqual(await machine.ask(machine.namespaces.outside, target), ['-']);
  await machine.startDaemon();
  const page = await beginning();
  assert.equal(page.status, 0);
  await machine.serve(machine.namespaces.outside, 'outside', [{ protocol: 'tcp', port: 7000 }]);
  const egress = [{ protocol: 'tcp', address: OUTSIDE, port: 7000 }] as const;
  assert.deepEqual(await machine.ask(await machine.containerPid('web'), egress), [`outside ${HOST} 7000`]);
});

test('a second daemon on the same roots refuses to start and says why', async () => {
  const second = await machine.host(
    [...daemonCommand(machine.directory, ['-H', `unix://${machine.directory}/second.sock`])],
    { timeout: 20 },
  );
  assert.notEqual(second.status, 0);
  assert.notEqual(second.status, 124);
  assert.match(second.stdout + second.stderr, /pid ?file|(already|still) running|is in use/i);
  assert.deepEqual(await running(), ['counter', 'web'], 'the first one is not disturbed');
});

test('after a reboot restart policies hold', async () => {
  if (!IS_GANGWAY) return;
  const page = 'echo up >index.html; exec httpd -f -p 80';
  await machine.dockerOk(
    'run',
    '-d',
    '--name',
    'always',
    '--restart',
    'always',
    '-p',
    '8081:80',
    'busybox',
    'sh',
    '-c',
    page,
  );
  await machine.dockerOk(
    'run',
    '-d',
    '--name',
    'stopped',
    '--restart',
    'unless-stopped',
    'busybox',
    'sleep',
    '1000',
  );
  await machine.dockerOk('stop', '-t', '0', 'stopped');
  await machine.reboot();
  await until('always to run', async () => ((await running()).includes('always') ? true : undefined));
  assert.deepEqual(await running(), ['always']);
  const got = await machine.page(8081);
  assert.equal(got.stdout, 'up\n');
  assert.equal(await machine.dockerOk('inspect', '-f', '{{.State.Status}}', 'web'), 'exited');
});

test('it stops and removes them, and uninstalling leaves nothing', async () => {
  await machine.dockerOk('start', 'web', 'counter');
  await machine.dockerOk('stop', '-t', '1', 'counter');
  await machine.dockerOk('rm', 'counter');
  await machine.dockerOk('rm', '-f', 'web');
  const ids = (await machine.dockerOk('ps', '-aq')).split('\n').filter(Boolean);
  if (ids.length > 0) await machine.dockerOk('rm', '-f', ...ids);
  assert.equal(await machine.dockerOk('ps', '-aq'), '');
  const links = await machine.host(['ip', '-o', 'link', 'show', 'type', 'veth']);
  assert.deepEqual(links.stdout.match(/veth[0-9a-f]{7}\b/g), null);
});
