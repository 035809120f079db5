import assert from 'node:assert/strict';
import { text } from 'node:stream/consumers';
import { after, afterEach, before, test } from 'node:test';
import { IS_GANGWAY } from './engine-under-test.ts';
import { Machine } from './machine.ts';
import { HOST, HOST_SECOND, OUTSIDE } from './namespaces.ts';
import { must } from './process.ts';
import type { Target } from './traffic.ts';

/** What must be shown, 4: every way to publish a port, with real packets from everywhere. */
let machine: Machine;
let neighbour = 0;
before(async () => {
  machine = await Machine.start();
  await machine.dockerOk('run', '-d', '--name', 'neighbour', 'busybox', 'sleep', '1000');
  neighbour = await machine.containerPid('neighbour');
});
afterEach(() => machine.docker('rm', '-f', 'web'));
after(() => machine.close());

interface Row {
  readonly flags: readonly string[];
  /** Lines of `docker port`; `*` stands for a port of the engine's choice. */
  readonly listed: readonly string[];
  /** Container port by host port, for what is to be asked; absent: taken from `docker port`. */
  readonly leads?: Readonly<Record<number, number>>;
  readonly protocol?: 'tcp' | 'udp';
  /** Addresses of the host on which it is published; all of them when absent. */
  readonly on?: readonly string[];
}

const LOOPBACK = '127.0.0.1';
const ALL = [HOST, HOST_SECOND, LOOPBACK];

const rows: readonly Row[] = [
  { flags: ['-p', '80'], listed: ['80/tcp -> 0.0.0.0:*'] },
  { flags: ['-p', '8080:80'], listed: ['80/tcp -> 0.0.0.0:8080'], leads: { 8080: 80 } },
  { flags: ['-p', '80:80'], listed: ['80/tcp -> 0.0.0.0:80'], leads: { 80: 80 } },
  { flags: ['-p', `${HOST_SECOND}::80`], listed: [`80/tcp -> ${HOST_SECOND}:*`], on: [HOST_SECOND] },
  { flags: ['-p', '127.0.0.1::80'], listed: ['80/tcp -> 127.0.0.1:*'], on: [LOOPBACK] },
  {
    flags: ['-p', `${HOST}:8080:80`],
    listed: [`80/tcp -> ${HOST}:8080`],
    leads: { 8080: 80 },
    on: [HOST],
  },
  {
    flags: ['-p', '127.0.0.1:8080:80'],
    listed: ['80/tcp -> 127.0.0.1:8080'],
    leads: { 8080: 80 },
    on: [LOOPBACK],
  },
  {
    flags: ['-p', `${HOST}:8080:80`, '-p', `${HOST_SECOND}:8080:81`],
    listed: [`80/tcp -> ${HOST}:8080`, `81/tcp -> ${HOST_SECOND}:8080`],
    leads: { 8080: 80 },
    on: [HOST],
  },
  {
    flags: ['-p', '7000-7002:7000-7002'],
    listed: ['7000/tcp -> 0.0.0.0:7000', '7001/tcp -> 0.0.0.0:7001', '7002/tcp -> 0.0.0.0:7002'],
    leads: { 7000: 7000, 7001: 7001, 7002: 7002 },
  },
  {
    flags: ['-p', '9000-9002:7000-7002'],
    listed: ['7000/tcp -> 0.0.0.0:9000', '7001/tcp -> 0.0.0.0:9001', '7002/tcp -> 0.0.0.0:9002'],
    leads: { 9000: 7000, 9001: 7001, 9002: 7002 },
  },
  { flags: ['-p', '9000-9010:80'], listed: ['80/tcp -> 0.0.0.0:9000'], leads: { 9000: 80 } },
  {
    flags: ['-p', '7000-7001'],
    listed: ['7000/tcp -> 0.0.0.0:*', '7001/tcp -> 0.0.0.0:*'],
  },
  {
    flags: ['-p', '127.0.0.1:9000-9001:7000-7001'],
    listed: ['7000/tcp -> 127.0.0.1:9000', '7001/tcp -> 127.0.0.1:9001'],
    leads: { 9000: 7000, 9001: 7001 },
    on: [LOOPBACK],
  },
  { flags: ['-p', '53:80/udp'], listed: ['80/udp -> 0.0.0.0:53'], leads: { 53: 80 }, protocol: 'udp' },
  { flags: ['-p', '80/udp'], listed: ['80/udp -> 0.0.0.0:*'], protocol: 'udp' },
  {
    flags: ['-p', `${HOST}:9000-9001:7000-7001/udp`],
    listed: [`7000/udp -> ${HOST}:9000`, `7001/udp -> ${HOST}:9001`],
    leads: { 9000: 7000, 9001: 7001 },
    protocol: 'udp',
    on: [HOST],
  },
  {
    flags: ['-p', '8080:80/tcp', '-p', '8080:80/udp'],
    listed: ['80/tcp -> 0.0.0.0:8080', '80/udp -> 0.0.0.0:8080'],
    leads: { 8080: 80 },
  },
  {
    flags: ['-p', '8080:80', '-p', '8081:80'],
    listed: ['80/tcp -> 0.0.0.0:8080', '80/tcp -> 0.0.0.0:8081'],
    leads: { 8080: 80, 8081: 80 },
  },
  {
    flags: ['--publish', 'published=8080,target=80,protocol=tcp,mode=host'],
    listed: ['80/tcp -> 0.0.0.0:8080'],
    leads: { 8080: 80 },
  },
  { flags: ['--expose', '80', '-P'], listed: ['80/tcp -> 0.0.0.0:*'] },
  {
    flags: ['--expose', '7000-7001', '--expose', '80/udp', '-P'],
    listed: ['80/udp -> 0.0.0.0:*', '7000/tcp -> 0.0.0.0:*', '7001/tcp -> 0.0.0.0:*'],
  },
];

/** `docker port` without the lines of IPv6, in the order of ports. */
async function listed(container: string): Promise<string[]> {
  const text = await machine.dockerOk('port', container);
  return text.split('\n').filter((line) => line !== '' && !line.includes('[::]'));
}

for (const row of rows) {
  test(`docker run ${row.flags.join(' ')}`, async () => {
    await machine.dockerOk('run', '-d', '--name', 'web', ...row.flags, 'busybox', 'sleep', '1000');
    const lines = await listed('web');
    const pattern = (line: string) => (line.endsWith('*') ? line.slice(0, -1) : line);
    assert.deepEqual(
      lines.map((line) =>
        row.listed.includes(line) ? line : `${line.slice(0, line.lastIndexOf(':') + 1)}*`,
      ),
      [...row.listed],
    );
    assert.equal(new Set(lines).size, lines.length);
    assert.ok(row.listed.every((want) => lines.some((line) => line.startsWith(pattern(want)))));
    await checkTraffic(row, lines);
  });
}

async function checkTraffic(row: Row, lines: readonly string[]): Promise<void> {
  const protocol = row.protocol ?? 'tcp';
  const inside = await machine.containerPid('web');
  await machine.serve(
    inside,
    'web',
    [80, 81, 7000, 7001, 7002].flatMap((port) => [
      { protocol: 'tcp', port },
      { protocol: 'udp', port },
    ]),
  );
  const leads =
    row.leads ??
    Object.fromEntries(
      lines
        .filter((line) => line.includes(`/${protocol} `))
        .map((line) => [line.slice(line.lastIndexOf(':') + 1), Number.parseInt(line, 10)]),
    );
  const address = await machine.dockerOk('inspect', '-f', '{{.NetworkSettings.IPAddress}}', 'web');
  const pairs = Object.entries(leads).map(([from, to]) => ({ from: Number(from), to }));
  const targets = (addresses: readonly string[]): Target[] =>
    addresses.flatMap((on) => pairs.map(({ from }) => ({ protocol, address: on, port: from })));
  const on = row.on ?? ALL;
  const elsewhere =
    row.on === undefined ? [] : ALL.filter((each) => !on.includes(each) && each !== HOST_SECOND);
  const notLoopback = (list: readonly string[]) => list.filter((each) => each !== LOOPBACK);
  const served = (list: readonly string[]): string[] =>
    list.flatMap(() => pairs.map(({ to }) => `web ${to}`));
  const withoutClient = (answers: readonly string[]) => answers.map((answer) => answer.replace(/ .* /, ' '));

  const { outside, machine: host } = machine.namespaces;
  const fromOutside = await machine.ask(outside, targets(notLoopback(on)));
  assert.deepEqual(
    fromOutside,
    notLoopback(on).flatMap(() => pairs.map(({ to }) => `web ${OUTSIDE} ${to}`)),
    "from outside, the client's own address kept",
  );
  assert.deepEqual(withoutClient(await machine.ask(host, targets(on))), served(on), 'from the host');
  const near = notLoopback(on);
  assert.deepEqual(
    withoutClient(await machine.ask(neighbour, targets(near))),
    served(near),
    'from a neighbour',
  );
  assert.deepEqual(
    withoutClient(await machine.ask(inside, targets(near))),
    served(near),
    'from the container itself',
  );
  if (elsewhere.length > 0) {
    const refused = await machine.ask(outside, targets(notLoopback(elsewhere)));
    assert.ok(
      refused.every((answer) => answer === '-'),
      `not published elsewhere: ${refused.join()}`,
    );
  }
  // Nobody outside gets at a container by its own address or the host's loopback.
  await machine.outside(['ip', 'route', 'replace', '172.17.0.0/16', 'via', HOST]);
  const direct = await machine.ask(outside, [{ protocol, address, port: 81 }]);
  await machine.outside(['ip', 'route', 'del', '172.17.0.0/16']);
  assert.deepEqual(direct, ['-'], 'an unpublished port by direct routing');
}

test('-p 5101:5100/sctp: an SCTP packet from outside arrives, translated; other protocols beside it', async () => {
  // The reference engine's proxy cannot listen where the kernel has no SCTP sockets.
  if (!IS_GANGWAY) return;
  const flags = ['5101:5100/sctp', '5101:5100/tcp', '6000-6004:6000-6004/sctp'].flatMap((each) => [
    '-p',
    each,
  ]);
  await machine.dockerOk('run', '-d', '--name', 'web', ...flags, 'busybox', 'sleep', '1000');
  const lines = await listed('web');
  assert.deepEqual(lines.slice(0, 2), ['5100/sctp -> 0.0.0.0:5101', '5100/tcp -> 0.0.0.0:5101']);
  assert.equal(lines.length, 7);
  const program = new URL('sctp.ts', import.meta.url).pathname;
  const inside = ['nsenter', '-t', String(await machine.containerPid('web')), '-n'];
  const receiver = await machine.spawnHelper([...inside, process.execPath, program, 'receive'], 'SERVING');
  const received = text(receiver.stdout ?? process.stdin);
  await must(machine.inOutside([process.execPath, program, 'send', HOST, '5101']));
  const timer = setTimeout(() => receiver.kill(), 3000);
  assert.equal(await received, `${OUTSIDE} 5100\n`);
  clearTimeout(timer);
});

test('a published port is truly held: a program of the host cannot take it, nor the engine one in use', async () => {
  await machine.dockerOk('run', '-d', '--name', 'web', '-p', '8080:80', 'busybox', 'sleep', '1000');
  const listen = `require('net').createServer().listen(8080,'0.0.0.0').on('error',e=>{console.log(e.code);process.exit()}).on('listening',()=>{console.log('listening');process.exit()})`;
  assert.equal((await machine.host([process.execPath, '-e', listen])).stdout.trim(), 'EADDRINUSE');
  await machine.dockerOk('rm', '-f', 'web');
  assert.equal((await machine.host([process.execPath, '-e', listen])).stdout.trim(), 'listening');
});

test('ports stay the same over stop and start when they were given, and the page answers again', async () => {
  const serve = 'echo again >index.html; exec httpd -f -p 80';
  await machine.dockerOk('run', '-d', '--name', 'web', '-p', '8080:80', 'busybox', 'sh', '-c', serve);
  await machine.dockerOk('restart', '-t', '0', 'web');
  await machine.dockerOk('stop', '-t', '0', 'web');
  await machine.dockerOk('start', 'web');
  const page = await machine.page(8080);
  assert.equal(page.stdout, 'again\n');
  await machine.dockerOk('stop', '-t', '0', 'web');
  const gone = await machine.ask(machine.namespaces.outside, [
    { protocol: 'tcp', address: HOST, port: 8080 },
  ]);
  assert.deepEqual(gone, ['-']);
  await machine.dockerOk('rm', 'web');
});
