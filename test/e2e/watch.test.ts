import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { after, before, test } from 'node:test';
import type { WatchEvent } from '../../src/model/flow.ts';
import { CHECKOUT } from './engine-under-test.ts';
import { Machine } from './machine.ts';
import { HOST, OUTSIDE } from './namespaces.ts';
import { must, processorSeconds, until } from './process.ts';

let machine: Machine;
before(async () => {
  machine = await Machine.start();
  for (const network of ['lamp', 'lnmp']) await machine.dockerOk('network', 'create', network);
  await container('web', 'lamp', '-p', '8080:80');
  await container('client', 'lamp');
  await container('db', 'lnmp');
  await serve('web');
  await serve('db');
});
after(() => machine.close());

const container = (name: string, network: string, ...flags: string[]): Promise<string> =>
  machine.dockerOk('run', '-d', '--name', name, '--network', network, ...flags, 'busybox', 'sleep', '1000');
const serve = async (name: string): Promise<void> =>
  machine.serve(await machine.containerPid(name), name, [{ protocol: 'tcp', port: 80 }]);
const addressOf = (name: string): Promise<string> =>
  machine.dockerOk('inspect', '-f', '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}', name);
const ask = async (from: string, address: string, port = 80): Promise<string | undefined> =>
  (await machine.ask(await machine.containerPid(from), [{ protocol: 'tcp', address, port }]))[0];
const accounting = async (): Promise<string> =>
  (await machine.host(['cat', '/proc/sys/net/netfilter/nf_conntrack_acct'])).stdout.trim();
/** Whether the daemon hears what is dropped. */
const tracing = async (): Promise<boolean> =>
  (await machine.host(['nft', 'list', 'tables'])).stdout.includes('table inet gangway_watch');

interface Watching {
  readonly child: ChildProcess;
  readonly lines: string[];
  find(what: string, wanted: (event: WatchEvent) => boolean): Promise<WatchEvent>;
}

/** `gangway watch` as a user runs it, and that it hears. */
async function watch(...flags: string[]): Promise<Watching> {
  const command = [
    process.execPath,
    `${CHECKOUT}bin/gangway.ts`,
    '-H',
    `unix://${machine.socket}`,
    'watch',
    ...flags,
  ];
  // The heading comes before the question is asked; what is there then says that it is answered.
  const child = await machine.spawnHelper(
    ['sh', '-c', 'echo WATCHING; exec "$@"', 'sh', ...command],
    'WATCHING',
  );
  const counts = flags.includes('--drops') ? '0' : '1';
  await until('the daemon to hear', async () =>
    (await tracing()) && (await accounting()) === counts ? true : undefined,
  );
  const lines: string[] = [];
  let rest = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    const parts = (rest + chunk.toString()).split('\n');
    rest = parts.pop() ?? '';
    lines.push(...parts);
  });
  const events = (): WatchEvent[] => lines.map((line) => JSON.parse(line) as WatchEvent);
  return { child, lines, find: (what, wanted) => until(what, () => events().find(wanted)) };
}

async function end({ child }: Watching): Promise<void> {
  child.kill('SIGTERM');
  await until('the daemon to hear nothing any more', async () =>
    (await tracing()) ? undefined : (await accounting()) === '0' || undefined,
  );
}

test('a connection to a published port: both ends, what was asked, and its bytes at the end', async () => {
  const watching = await watch('--json');
  const { outside } = machine.namespaces;
  const [answer] = await machine.ask(outside, [{ protocol: 'tcp', address: HOST, port: 8080 }]);
  assert.equal(answer, `web ${OUTSIDE} 80`);
  const isOurs = (event: WatchEvent): boolean => 'from' in event && event.from.address === OUTSIDE;
  const open = await watching.find('the connection', (event) => event.kind === 'open' && isOurs(event));
  assert.ok(open.kind === 'open');
  assert.deepEqual([open.to.name, open.to.network, open.to.port], ['web', 'lamp', 80]);
  assert.equal(open.to.address, await addressOf('web'));
  assert.deepEqual(open.nat, { asked: { address: HOST, port: 8080 } });
  const close = await watching.find('its end', (event) => event.kind === 'close' && isOurs(event));
  assert.ok(close.kind === 'close' && close.answered);
  assert.ok((close.bytes?.there ?? 0) > 200 && (close.bytes?.back ?? 0) > 200, JSON.stringify(close.bytes));
  await end(watching);
});

test('what leaves is seen by its container’s name, and as whom the host sends it', async () => {
  const watching = await watch('--json', '--container', 'client');
  await ask('client', OUTSIDE, 9);
  const open = await watching.find('the connection', (event) => event.kind === 'open');
  assert.ok(open.kind === 'open');
  assert.deepEqual([open.from.name, open.to.name, open.to.address], ['client', undefined, OUTSIDE]);
  assert.equal(open.nat?.seenAs?.address, HOST);
  await end(watching);
});

test('a packet between two networks is dropped: by which rule, and why', async () => {
  const watching = await watch('--json', '--drops', '--network', 'lnmp');
  assert.equal(await ask('client', await addressOf('web')), `web ${await addressOf('client')} 80`);
  assert.equal(await ask('client', await addressOf('db')), '-');
  const drop = await watching.find('the drop', (event) => event.kind === 'drop');
  assert.ok(drop.kind === 'drop');
  assert.deepEqual([drop.from.name, drop.to.name, drop.to.port], ['client', 'db', 80]);
  assert.equal(drop.cause, 'no-common-network');
  assert.match(drop.rule, /^(isolation|direct-access)$/);
  assert.match(drop.device ?? '', /^br-/);
  assert.ok(
    watching.lines.every((line) => (JSON.parse(line) as WatchEvent).kind === 'drop'),
    watching.lines.join('\n'),
  );
  await end(watching);
});

test('a container is followed by its name before it is there, and by its new one', async () => {
  const watching = await watch('--json', '--container', 'late', '--container', 'later');
  await container('late', 'lamp');
  await ask('late', OUTSIDE, 9);
  await watching.find('its connection', (event) => event.kind === 'open' && event.from.name === 'late');
  await machine.dockerOk('rename', 'late', 'later');
  await ask('later', OUTSIDE, 10);
  await watching.find('its connection', (event) => event.kind === 'open' && event.from.name === 'later');
  await end(watching);
});

test('a connection within a network is seen once, whether the firewall sees what bridges hand on or not', async () => {
  const address = await addressOf('web');
  const setting = (value: number) =>
    machine.host(['sysctl', '-q', `net.bridge.bridge-nf-call-iptables=${value}`]);
  const answer = `web ${await addressOf('client')} 80`;
  for (const shown of [1, 0]) {
    await setting(shown);
    const watching = await watch('--json', '--network', 'lamp');
    assert.equal(await ask('client', address), answer);
    const close = await watching.find('its end', (event) => event.kind === 'close');
    assert.ok(close.kind === 'close' && close.answered);
    assert.deepEqual([close.from.name, close.to.name, close.to.port], ['client', 'web', 80]);
    if (shown === 1) assert.ok((close.bytes?.back ?? 0) > 150, 'with headers');
    else assert.deepEqual(close.bytes, { there: 0, back: answer.length }, 'data alone');
    const kinds = watching.lines.map((line) => (JSON.parse(line) as WatchEvent).kind);
    assert.deepEqual(kinds, ['open', 'close']);
    await end(watching);
  }
  await setting(1);
});

test('what the firewall of somebody else drops is told with table, chain and rule', async () => {
  const watching = await watch('--json', '--drops', '--container', 'web');
  const rules =
    'table inet theirs { chain forwards { type filter hook forward priority 5; tcp dport 80 drop; }; }';
  assert.equal((await machine.host(['nft', rules])).status, 0);
  await machine.ask(machine.namespaces.outside, [{ protocol: 'tcp', address: HOST, port: 8080 }]);
  const drop = await watching.find('the drop', (event) => event.kind === 'drop');
  assert.ok(drop.kind === 'drop');
  assert.deepEqual([drop.cause, drop.from.address, drop.to.name], ['foreign-rule', OUTSIDE, 'web']);
  assert.equal(drop.rule, 'inet theirs forwards: tcp dport 80 drop');
  assert.equal(drop.device, 'up0');
  assert.equal((await machine.host(['nft', 'delete', 'table', 'inet', 'theirs'])).status, 0);
  await end(watching);
});

test('for people: a heading and a line an event', async () => {
  const watching = await watch();
  await ask('client', await addressOf('db'));
  await until('a line', () =>
    watching.lines.find((line) => / drop {3}tcp .*client .*→ db:80 .*no-common-network/.test(line)),
  );
  await end(watching);
});

test('a burst of drops is told or counted, and the daemon answers meanwhile', async () => {
  const watching = await watch('--json', '--drops');
  const db = await addressOf('db');
  const pid = await machine.containerPid('client');
  const burst = `const s = require('node:dgram').createSocket('udp4'); let n = 0;
    const next = () => { for (let i = 0; i < 50; i++) s.send('x', 9, '${db}'); n += 50; n < 20000 ? setImmediate(next) : s.close(); };
    next();`;
  const sending = machine.host(['nsenter', '-t', String(pid), '-n', process.execPath, '-e', burst]);
  for (let i = 0; i < 5; i++) {
    const begin = performance.now();
    assert.equal((await machine.api('GET', '/_ping')).status, 200);
    assert.ok(performance.now() - begin < 1000);
  }
  assert.equal((await sending).status, 0);
  // The kernel numbers what it tells: the next one says how many were lost before it.
  await ask('client', db);
  await until('all to be told or counted', () => {
    let total = 0;
    for (const line of watching.lines) {
      const event = JSON.parse(line) as WatchEvent;
      if (event.kind === 'left-out') total += event.events;
      else if (event.kind === 'drop' && event.protocol === 'udp') total++;
    }
    return total > 19_000 ? true : undefined;
  });
  await end(watching);
});

test('1,000 connections a second: each is told, and the daemon takes less than a tenth of a core for it', async (t) => {
  await container('fast', 'lamp', '-p', '8082:82');
  const load = [process.execPath, `${CHECKOUT}bench/load.ts`];
  const inFast = ['nsenter', '-t', String(await machine.containerPid('fast')), '-n'];
  await machine.spawnHelper([...inFast, ...load, 'serve', '82'], 'SERVING');
  const seconds = 5;
  const spend = async (): Promise<{ readonly percent: number; readonly answered: number }> => {
    const [before, began] = [processorSeconds(machine.daemonPid), performance.now()];
    const paced = ['paced', HOST, '8082', String(seconds), '1000'];
    const answered = Number(await must(machine.inOutside([...load, ...paced])));
    const spent = processorSeconds(machine.daemonPid) - before;
    return { percent: (spent / ((performance.now() - began) / 1000)) * 100, answered };
  };
  const unwatched = await spend();
  const watching = await watch('--json');
  const costs: number[] = [];
  // A busy machine may spoil one, not all.
  for (let n = 0; n < 3; n++) {
    const told = watching.lines.length;
    const { percent, answered } = await spend();
    assert.ok(answered > 300, `${answered} connections a second`);
    // The rate is rounded.
    const most = 2 * seconds * (answered - 1);
    await until('all to be told', () => watching.lines.length - told >= most || undefined);
    costs.push(((percent - unwatched.percent) / answered) * 1000);
    t.diagnostic(`${answered} a second: ${percent.toFixed(1)} % of a core`);
    if (Math.min(...costs) < 10) break;
  }
  assert.ok(Math.min(...costs) < 10, `percent of a core: ${costs.map((cost) => cost.toFixed(1)).join(', ')}`);
  assert.ok(!watching.lines.some((line) => line.includes('left-out')));
  await end(watching);
});

test('a daemon that is killed while it is watched: the next one puts back what it had changed, and no other', async () => {
  const watching = await watch('--json');
  await machine.stopDaemon('SIGKILL');
  assert.equal(await accounting(), '1');
  await machine.startDaemon();
  assert.equal(await accounting(), '0');
  watching.child.kill('SIGTERM');
  // Whoever sets it then means it.
  const set = await machine.host(['sysctl', '-q', 'net.netfilter.nf_conntrack_acct=1']);
  assert.equal(set.status, 0, set.stderr);
  const other = await watch('--json');
  await machine.stopDaemon('SIGKILL');
  other.child.kill('SIGTERM');
  await machine.startDaemon();
  assert.equal(await accounting(), '1');
});
