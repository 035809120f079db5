import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

/** The daemon as a process, in network and mount namespaces of its own; needs root. */
const GANGWAYD = fileURLToPath(new URL('../../bin/gangwayd', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'gangway-daemon-'));
const socketPath = join(directory, 'docker.sock');
const configFile = join(directory, 'daemon.json');
const pidfile = join(directory, 'gangwayd.pid');
const FLAGS = [
  ...['-H', `unix://${socketPath}`, '--data-root', join(directory, 'data')],
  ...['--exec-root', join(directory, 'exec'), '-p', pidfile, '--config-file', configFile],
];

interface Started {
  readonly child: ChildProcess;
  readonly log: () => string;
  readonly ended: Promise<number | null>;
}

const running = new Set<Started>();

function start(flags: readonly string[]): Started {
  const script = 'ip link set lo up; exec "$@"';
  const child = spawn('unshare', ['-n', '-m', 'sh', '-c', script, 'sh', GANGWAYD, ...flags], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    log += chunk;
  });
  const started: Started = {
    child,
    log: () => log,
    ended: new Promise((resolve) => child.on('exit', (code) => resolve(code))),
  };
  running.add(started);
  started.ended.then(() => running.delete(started));
  return started;
}

async function until<T>(what: string, probe: () => T | undefined | Promise<T | undefined>): Promise<T> {
  for (const end = Date.now() + 15_000; Date.now() < end; ) {
    const found = await probe();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`${what}: not within 15 seconds`);
}

function get(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const outgoing = request({ socketPath, path, agent: false }, (incoming) => {
      let text = '';
      incoming.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      incoming.on('end', () => resolve(text));
    });
    outgoing.on('error', () => resolve(undefined));
    outgoing.end();
  });
}

async function startReady(): Promise<Started> {
  const started = start(FLAGS);
  await until('the daemon to answer', async () => {
    if (started.child.exitCode !== null) throw new Error(`it ended: ${started.log()}`);
    return (await get('/_ping')) === 'OK' ? true : undefined;
  });
  return started;
}

let daemon: Started;
before(async () => {
  assert.equal(process.getuid?.(), 0, 'these tests need root: sudo npm test');
  writeFileSync(configFile, '{"labels":["site=a"]}');
  daemon = await startReady();
});
after(async () => {
  for (const { child } of running) child.kill('SIGTERM');
  await Promise.all([...running].map(({ ended }) => ended));
  // The daemon's own containerd outlives it on purpose.
  const containerd = join(directory, 'exec/containerd/containerd.pid');
  if (existsSync(containerd)) process.kill(Number(readFileSync(containerd, 'utf8')), 'SIGKILL');
  await new Promise((resolve) => setTimeout(resolve, 100));
  rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
});

test('it answers, and says who it is', async () => {
  const version = JSON.parse((await get('/v1.51/version')) ?? '') as Record<string, unknown>;
  assert.equal(version.ApiVersion, '1.51');
  assert.equal(version.KernelVersion, execFileSync('uname', ['-r'], { encoding: 'utf8' }).trim());
  const info = JSON.parse((await get('/info')) ?? '') as Record<string, unknown>;
  assert.deepEqual(info.Labels, ['site=a']);
  assert.equal(info.DockerRootDir, join(directory, 'data'));
  assert.equal(readFileSync(pidfile, 'utf8'), String(daemon.child.pid));
  assert.equal(statSync(join(directory, 'data')).mode & 0o777, 0o711);
});

test('its limit of open files is the hard one', () => {
  const limits = readFileSync(`/proc/${daemon.child.pid}/limits`, 'utf8');
  const [, soft, hard] = /^Max open files\s+(\d+)\s+(\d+)/m.exec(limits) ?? [];
  assert.equal(soft, hard);
});

test('the real docker command gets along with it', () => {
  const docker = (...args: string[]): string =>
    execFileSync('docker', ['-H', `unix://${socketPath}`, ...args], { encoding: 'utf8', stdio: 'pipe' });
  assert.match(docker('version'), /Server: Gangway/);
  assert.doesNotMatch(docker('info'), /ERROR/);
  assert.equal(docker('plugin', 'ls', '-q'), '');
  assert.throws(() => docker('node', 'ls'), /This node is not a swarm manager/);
});

test('a second daemon on the same roots refuses and says why', async () => {
  for (const [flag, other] of [
    ['--exec-root', 'exec2'],
    ['--data-root', 'data2'],
  ] as const) {
    const flags = FLAGS.map((given, i) => (FLAGS[i - 1] === flag ? join(directory, other) : given));
    const second = start(flags.map((given) => given.replace(/docker\.sock$|gangwayd\.pid$/, '$&2')));
    assert.equal(await second.ended, 1);
    assert.match(
      second.log(),
      new RegExp(
        `^failed to start daemon: another gangwayd \\(pid ${daemon.child.pid}\\) is already running on the`,
      ),
    );
  }
  assert.equal(await get('/_ping'), 'OK');
});

test('bad flags end it at once', async () => {
  const bad = start([...FLAGS, '--nonsense']);
  assert.equal(await bad.ended, 1);
  assert.equal(bad.log(), "unknown flag: --nonsense\nSee 'gangwayd --help'.\n");
});

test('SIGHUP reloads what may change and says so', async () => {
  writeFileSync(
    configFile,
    '{"labels":["site=b"],"debug":true,"registry-mirrors":["http://127.0.0.1:5000"]}',
  );
  daemon.child.kill('SIGHUP');
  const labels = await until('the new label', async () => {
    const info = JSON.parse((await get('/info')) ?? '{}') as { Labels?: string[]; Debug?: boolean };
    return info.Debug === true ? info.Labels : undefined;
  });
  assert.deepEqual(labels, ['site=b']);
  const events = await get(`/events?since=0&until=${Date.now() / 1000}&filters={"type":["daemon"]}`);
  const event = JSON.parse(events?.trim() ?? '') as {
    Action: string;
    Actor: { Attributes: Record<string, string> };
  };
  assert.equal(event.Action, 'reload');
  assert.equal(event.Actor.Attributes['registry-mirrors'], '["http://127.0.0.1:5000/"]');
  writeFileSync(configFile, '{"nonsense":1}');
  daemon.child.kill('SIGHUP');
  await until(
    'the refusal in the log',
    () => /directives don't match any.*nonsense/.test(daemon.log()) || undefined,
  );
  assert.equal(await get('/_ping'), 'OK');
  writeFileSync(configFile, '{}');
});

test('killed at any moment, it starts again on what it left', async () => {
  daemon.child.kill('SIGKILL');
  await daemon.ended;
  assert(existsSync(pidfile) && existsSync(socketPath));
  const id = (text: string | undefined): unknown => (JSON.parse(text ?? '{}') as { ID?: string }).ID;
  daemon = await startReady();
  const first = id(await get('/info'));
  daemon.child.kill('SIGKILL');
  await daemon.ended;
  daemon = await startReady();
  assert.equal(id(await get('/info')), first);
});

test('SIGTERM is a clean end', async () => {
  daemon.child.kill('SIGTERM');
  assert.equal(await daemon.ended, 0);
  assert(!existsSync(pidfile) && !existsSync(socketPath));
});
