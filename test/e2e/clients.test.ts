import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { PassThrough, type Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import Docker from 'dockerode';
import { Machine } from './machine.ts';
import { run, until } from './process.ts';

/** What must be shown, 6: dockerode, and the docker command on a real terminal. */
let machine: Machine;
let dockerode: Docker;
before(async () => {
  machine = await Machine.start();
  await machine.dockerOk('pull', '-q', 'busybox');
  dockerode = new Docker({ socketPath: machine.socket });
});
after(() => machine.close());

/** Splits Docker's framed stream into its two outputs. */
async function split(stream: NodeJS.ReadableStream): Promise<{ stdout: string; stderr: string }> {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  dockerode.modem.demuxStream(stream, stdout, stderr);
  stream.on('end', () => {
    stdout.end();
    stderr.end();
  });
  const [out, err] = await Promise.all([text(stdout), text(stderr)]);
  return { stdout: out, stderr: err };
}

test('dockerode: list, create, start, exec, wait, remove', async () => {
  const container = await dockerode.createContainer({
    Image: 'busybox',
    Cmd: ['sleep', '1000'],
    name: 'ode',
  });
  await container.start();
  const listed = await dockerode.listContainers({ filters: { name: ['ode'] } });
  assert.deepEqual(
    listed.map((each) => [each.Names[0], each.Image, each.State]),
    [['/ode', 'busybox', 'running']],
  );
  const exec = await container.exec({
    Cmd: ['sh', '-c', 'echo out; echo err >&2; exit 3'],
    AttachStdout: true,
    AttachStderr: true,
  });
  assert.deepEqual(await split(await exec.start({})), { stdout: 'out\n', stderr: 'err\n' });
  assert.equal((await exec.inspect()).ExitCode, 3);
  const ended = container.wait();
  await container.kill();
  assert.equal((await ended).StatusCode, 137);
  await container.remove();
  assert.deepEqual(await dockerode.listContainers({ all: true }), []);
});

test('dockerode: exec with stdin, hijacked', async () => {
  const container = await dockerode.createContainer({ Image: 'busybox', Cmd: ['sleep', '1000'] });
  await container.start();
  const exec = await container.exec({ Cmd: ['wc', '-c'], AttachStdin: true, AttachStdout: true });
  const stream = await exec.start({ hijack: true, stdin: true });
  const answer = split(stream);
  const million = Buffer.alloc(1_000_000, 'x');
  stream.write(million);
  stream.end();
  assert.equal((await answer).stdout.trim(), '1000000');
  await container.remove({ force: true });
});

test('dockerode: run streams the output and gives the exit code', async () => {
  const output = new PassThrough();
  const read = text(output);
  const [result, container] = (await dockerode.run(
    'busybox',
    ['sh', '-c', 'echo $0 $1; exit 5', 'a', 'b'],
    output,
  )) as [{ StatusCode: number }, Docker.Container];
  output.end();
  assert.equal(result.StatusCode, 5);
  assert.equal((await read).trim(), 'a b');
  await container.remove();
});

test('dockerode: attach with stdin', async () => {
  const container = await dockerode.createContainer({
    Image: 'busybox',
    Cmd: ['sh', '-c', 'while read line; do echo "got $line"; done; echo end'],
    OpenStdin: true,
    StdinOnce: true,
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
  });
  const stream = await container.attach({
    stream: true,
    stdin: true,
    stdout: true,
    stderr: true,
    hijack: true,
  });
  const answer = split(stream);
  await container.start();
  stream.write('one\ntwo\n');
  stream.end();
  assert.equal((await answer).stdout, 'got one\ngot two\nend\n');
  assert.equal((await container.wait()).StatusCode, 0);
  await container.remove();
});

test('dockerode: logs followed to the end', async () => {
  const container = await dockerode.createContainer({
    Image: 'busybox',
    Cmd: ['sh', '-c', 'for i in 1 2 3 4 5; do echo $i; usleep 100000; done; echo bad >&2'],
  });
  await container.start();
  const stream = (await container.logs({ follow: true, stdout: true, stderr: true })) as unknown as Readable;
  assert.deepEqual(await split(stream), { stdout: '1\n2\n3\n4\n5\n', stderr: 'bad\n' });
  const tail = (await container.logs({ stdout: true, stderr: true, tail: 2 })) as unknown as Buffer;
  assert.match(tail.toString('latin1'), /^[^4]*5\n.*bad\n$/s);
  await container.remove();
});

test('dockerode: events of a container from create to destroy', async () => {
  const since = Math.floor(Date.now() / 1000) - 1;
  const live = (await dockerode.getEvents({ filters: { container: ['eventful'] } })) as Readable;
  let seen = '';
  live.on('data', (chunk: Buffer) => {
    seen += chunk.toString();
  });
  await machine.dockerOk('run', '--rm', '--name', 'eventful', 'busybox', 'true');
  const actions = await until('the destroy event', () => {
    const list = seen
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as { Type: string; Action: string })
      .filter((event) => event.Type === 'container')
      .map((event) => event.Action);
    return list.includes('destroy') ? list : undefined;
  });
  live.removeAllListeners();
  (live as Readable).destroy();
  for (const wanted of ['create', 'attach', 'start', 'die', 'destroy'])
    assert.ok(actions.includes(wanted), wanted);
  assert.ok(
    actions.indexOf('create') < actions.indexOf('start') && actions.indexOf('start') < actions.indexOf('die'),
  );
  const until_ = String(Math.floor(Date.now() / 1000) + 1);
  const past = await machine.dockerOk(
    ...[
      'events',
      '--since',
      String(since),
      '--until',
      until_,
      '--filter',
      'container=eventful',
      '--format',
      '{{.Action}}',
    ],
  );
  assert.deepEqual(past.split('\n'), actions);
});

/** Types into a command that runs on a terminal of 33 rows and 101 columns. @returns everything the terminal showed */
async function onTerminal(
  command: readonly string[],
  type: (write: (keys: string) => void, seen: () => string) => Promise<void>,
) {
  const quoted = command.map((word) => `'${word}'`).join(' ');
  const child = spawn('script', ['-q', '-e', '-c', `stty rows 33 cols 101; exec ${quoted}`, '/dev/null'], {
    env: { ...process.env, TERM: 'xterm', SHELL: '/bin/sh' },
  });
  let shown = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      shown += chunk.toString();
    });
  }
  const closed = once(child, 'close');
  try {
    await type(
      (keys) => child.stdin.write(keys),
      () => shown,
    );
    await until('the command to end', () => (child.exitCode === null ? undefined : true));
  } catch (error) {
    throw new Error(`${String(error)}; the terminal shows: ${JSON.stringify(shown)}`);
  } finally {
    child.kill('SIGKILL');
  }
  await closed;
  return { shown, status: child.exitCode };
}

const sees = (seen: () => string, what: RegExp) => until(String(what), () => what.test(seen()) || undefined);

test('docker run -it on a terminal: its size, echo, and exit code', async () => {
  const { shown, status } = await onTerminal(
    machine.dockerCommand('run', '-it', '--rm', 'busybox', 'sh'),
    async (write, seen) => {
      await sees(seen, /# /);
      write('tty; until stty size | grep 101; do usleep 50000; done\n');
      await sees(seen, /33 101/);
      write('echo $((40+2)); exit 9\n');
    },
  );
  assert.match(shown, /\/dev\/pts\/0/);
  assert.match(shown, /\r\n42\r\n/);
  assert.equal(status, 9);
});

test('docker run -it: ctrl-p ctrl-q detaches and the container goes on; attach and exec -it come back to it', async () => {
  await onTerminal(
    machine.dockerCommand('run', '-it', '--name', 'tty', 'busybox', 'sh'),
    async (write, seen) => {
      await sees(seen, /# /);
      write('mark=here\n');
      await sees(seen, /mark=here\r\n.*# /s);
      write('\u0010\u0011');
    },
  );
  assert.equal(await machine.dockerOk('inspect', '-f', '{{.State.Running}}', 'tty'), 'true');
  const { shown } = await onTerminal(
    machine.dockerCommand('exec', '-it', 'tty', 'sh'),
    async (write, seen) => {
      await sees(seen, /# /);
      write('echo in-$((1+1)); exit\n');
    },
  );
  assert.match(shown, /in-2/);
  const attached = await onTerminal(machine.dockerCommand('attach', 'tty'), async (write, seen) => {
    write('\n');
    await sees(seen, /# /);
    write('echo "[$mark]"; exit\n');
  });
  assert.match(attached.shown, /\[here\]/);
  await machine.dockerOk('rm', 'tty');
});

test('docker run -i with a pipe, and large output both ways', async () => {
  const bytes = Buffer.alloc(3_000_000, 'gangway ');
  const echoed = await run(machine.dockerCommand('run', '-i', '--rm', 'busybox', 'cat'), { input: bytes });
  assert.equal(echoed.status, 0, echoed.stderr);
  assert.equal(echoed.stdout.length, bytes.length);
  assert.ok(Buffer.from(echoed.stdout).equals(bytes));
});

test('docker logs with --since, --until, --tail, -t', async () => {
  await machine.dockerOk(
    'run',
    '--name',
    'logged',
    'busybox',
    'sh',
    '-c',
    'echo a; echo b; sleep 1.2; echo c',
  );
  const stamped = (await machine.dockerOk('logs', '-t', 'logged')).split('\n');
  assert.equal(stamped.length, 3);
  for (const line of stamped) assert.match(line, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z [abc]$/);
  const middle = stamped[2]?.split(' ')[0] ?? '';
  assert.equal(await machine.dockerOk('logs', '--since', middle, 'logged'), 'c');
  const early = new Date(Date.parse(middle) - 500).toISOString();
  assert.equal(await machine.dockerOk('logs', '--until', early, 'logged'), 'a\nb');
  assert.equal(await machine.dockerOk('logs', '--tail', '1', 'logged'), 'c');
  await machine.dockerOk('rm', 'logged');
});

test('docker start -a shows the output of every run, not of the first alone', async () => {
  await machine.dockerOk('create', '--name', 'again', 'busybox', 'echo', 'one run');
  for (let run = 0; run < 3; run++) assert.equal(await machine.dockerOk('start', '-a', 'again'), 'one run');
  await machine.dockerOk('rm', 'again');
});
