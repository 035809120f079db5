import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { CHECKOUT, daemonCommand } from './engine-under-test.ts';
import { Machine } from './machine.ts';
import { HOST, NAME_SERVER, OUTSIDE } from './namespaces.ts';
import { must, until } from './process.ts';

const ADDRESS = '127.0.0.1:9323';
const DEAD_SERVER = '198.51.100.99';
let machine: Machine;

before(async () => {
  machine = await Machine.start({ flags: ['--metrics-addr', ADDRESS] });
  const servers = JSON.stringify([{ address: NAME_SERVER, kind: 'good' }]);
  const serve = [process.execPath, `${CHECKOUT}test/e2e/upstreams.ts`, servers];
  await machine.spawnHelper(machine.inOutside(serve), 'SERVING');
  await machine.dockerOk('network', 'create', 'lan');
  for (const [name, ...options] of [['web', '-p', '8080:80', '-p', '127.0.0.1:8090-8091:90-91'], ['peer']]) {
    const run = ['run', '-d', '--name', name ?? '', '--network', 'lan', '--dns-search', '.', ...options];
    await machine.dockerOk(...run, 'busybox', 'sleep', '1000');
  }
  const web = await machine.containerPid('web');
  await machine.serve(web, 'web', [
    { protocol: 'tcp', port: 80 },
    { protocol: 'tcp', port: 90 },
    { protocol: 'tcp', port: 91 },
  ]);
});
after(() => machine?.close());

const fetchText = (): Promise<string> =>
  must(machine.inMachine(['curl', '-sf', '-m', '10', `http://${ADDRESS}/metrics`]));

type Sample = readonly [name: string, labels: Readonly<Record<string, string>>, value: number];

/** Prometheus' text format, each line of which must be one. */
async function scrape(): Promise<readonly Sample[]> {
  return (await fetchText())
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [, name, labels = '', value] = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
      assert.ok(name !== undefined, line);
      const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key = '', text = '']) => [
        key,
        text,
      ]);
      return [name, Object.fromEntries(pairs) as Record<string, string>, Number(value)];
    });
}

const select = (
  samples: readonly Sample[],
  name: string,
  labels: Record<string, string> = {},
): readonly Sample[] =>
  samples.filter(
    ([each, has]) => each === name && Object.entries(labels).every(([key, value]) => has[key] === value),
  );
async function value(name: string, labels: Record<string, string> = {}): Promise<number> {
  return select(await scrape(), name, labels).reduce((sum, [, , number]) => sum + number, 0);
}

/** How much a number grows while something happens. */
async function growth(
  name: string,
  labels: Record<string, string>,
  body: () => Promise<unknown>,
): Promise<number> {
  const before = await value(name, labels);
  await body();
  return (await value(name, labels)) - before;
}

test('bytes and packets of a container grow as its traffic does, in both directions', async () => {
  const ping = () => machine.dockerOk('exec', 'peer', 'ping', '-c', '10', '-s', '1000', '-i', '0.2', 'web');
  const web = { container: 'web', network: 'lan', interface: 'eth0' };
  const before = await scrape();
  await ping();
  const after = await scrape();
  const grown = (name: string): number => {
    const of = (samples: readonly Sample[]): number => select(samples, name, web)[0]?.[2] ?? Number.NaN;
    return of(after) - of(before);
  };
  // 1000 bytes of data, 8 of ICMP, 20 of IP, 14 of Ethernet; ARP may come beside it.
  for (const direction of ['receive', 'transmit']) {
    const bytes = grown(`gangway_container_${direction}_bytes_total`);
    assert.ok(bytes >= 10 * 1042 && bytes < 10 * 1042 + 1000, `${direction}: ${bytes} bytes`);
    const packets = grown(`gangway_container_${direction}_packets_total`);
    assert.ok(packets >= 10 && packets < 20, `${direction}: ${packets} packets`);
  }
  assert.equal(select(after, 'gangway_container_drops_total', web).length, 1);
});

test('what goes one way counts on that side: 1 MB into a container', async () => {
  const pid = await machine.containerPid('peer');
  const listen = `require('node:net').createServer((s) => { s.resume(); s.on('end', () => s.end()); }).listen(99, () => console.log('UP'))`;
  await machine.spawnHelper(['nsenter', '-t', String(pid), '-n', process.execPath, '-e', listen], 'UP');
  const address = await machine.dockerOk(
    ...['inspect', '-f', '{{.NetworkSettings.Networks.lan.IPAddress}}', 'peer'],
  );
  const send = `const s = require('node:net').connect(99, '${address}', () => s.end(Buffer.alloc(1e6))); s.resume()`;
  const push = () => must(machine.inMachine([process.execPath, '-e', send]));
  const labels = { container: 'peer' };
  const received = await growth('gangway_container_receive_bytes_total', labels, push);
  assert.ok(received > 1e6 && received < 1.2e6, `${received} bytes received`);
  const sent = await growth('gangway_container_transmit_bytes_total', labels, push);
  assert.ok(sent < 2e5, `${sent} bytes sent`);
  // It came from the host: that is what the network counts too.
  const entered = await growth('gangway_network_receive_bytes_total', { network: 'lan' }, push);
  assert.ok(entered > 1e6, `${entered} bytes entered the network`);
});

test('a published port counts its connections, a range all of its ports', async () => {
  const pid = machine.namespaces.outside;
  const ask = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      const [answer] = await machine.ask(pid, [{ protocol: 'tcp', address: HOST, port: 8080 }]);
      assert.match(answer ?? '', /^web /);
    }
  };
  const port = { container: 'web', host_port: '8080', container_port: '80', host_ip: '0.0.0.0' };
  assert.equal(await growth('gangway_published_connections_total', port, () => ask(5)), 5);
  assert.equal(
    await growth('gangway_published_connections_total', { host_port: '8090-8091' }, () => ask(1)),
    0,
  );
  const range = { protocol: 'tcp', host_ip: '127.0.0.1', host_port: '8090-8091', network: 'lan' };
  const own = (): Promise<unknown> =>
    machine.ask(machine.namespaces.machine, [
      { protocol: 'tcp', address: '127.0.0.1', port: 8090 },
      { protocol: 'tcp', address: '127.0.0.1', port: 8091 },
    ]);
  assert.equal(await growth('gangway_published_connections_total', range, own), 2);
  const uplink = { edge: 'uplink', interface: 'up0' };
  assert.ok((await growth('gangway_edge_receive_packets_total', uplink, () => ask(1))) >= 4);
});

test('a published port has its bytes and packets, both ways, asked from outside and by the host', async () => {
  await machine.dockerOk(
    ...['run', '-d', '--name', 'shop', '--network', 'lan', '-p', '8095:95', 'busybox', 'sleep', '1000'],
  );
  const pid = await machine.containerPid('shop');
  const answer = `require('node:net').createServer({ allowHalfOpen: true }, (s) =>
    s.resume().on('end', () => s.end(Buffer.alloc(1e5)))).listen(95, () => console.log('UP'))`;
  await machine.spawnHelper(['nsenter', '-t', String(pid), '-n', process.execPath, '-e', answer], 'UP');
  const ask = (address: string): string[] => [
    ...[process.execPath, '-e'],
    `require('node:net').connect(8095, '${address}').resume().end(Buffer.alloc(3e4))`,
  ];
  const port = { container: 'shop', network: 'lan', protocol: 'tcp', host_ip: '0.0.0.0', host_port: '8095' };
  for (const [command, times] of [
    [machine.inOutside(ask(HOST)), 1],
    [machine.inMachine(ask('127.0.0.1')), 2],
  ] as const) {
    await must(command);
    const samples = await scrape();
    const told = (kind: string): number =>
      select(samples, `gangway_published_${kind}_total`, port)[0]?.[2] ?? Number.NaN;
    const [received, sent] = [told('receive_bytes'), told('transmit_bytes')];
    assert.ok(received > times * 3e4 && received < times * 4e4, `${received} bytes received`);
    assert.ok(sent > times * 1e5 && sent < times * 1.2e5, `${sent} bytes sent`);
    for (const kind of ['receive_packets', 'transmit_packets']) assert.ok(told(kind) > times * 2, kind);
  }
  await machine.dockerOk('rm', '-f', 'shop');
  assert.deepEqual(select(await scrape(), 'gangway_published_receive_bytes_total', port), []);
});

test('questions to the name service, and those that went on, with the time they took', async () => {
  const lookup = (name: string) => machine.docker('exec', 'peer', 'nslookup', '-type=A', name);
  const engine = await growth('gangway_dns_queries_total', { answered_by: 'engine' }, () => lookup('web'));
  assert.equal(engine, 1);
  const count = 'gangway_dns_upstream_duration_seconds_count';
  const answered = { upstream: NAME_SERVER, outcome: 'answered' };
  assert.equal(await growth(count, answered, () => lookup('one.example.test')), 1);
  const seconds = await value('gangway_dns_upstream_duration_seconds_sum', answered);
  assert.ok(seconds > 0 && seconds < 2, `${seconds} s`);
  const cached = await growth('gangway_dns_queries_total', { answered_by: 'upstream' }, () =>
    lookup('two.example.test'),
  );
  assert.equal(cached, 1);

  writeFileSync(join(machine.directory, 'resolv.conf'), `nameserver ${DEAD_SERVER}\n`);
  const failed = async (): Promise<number> =>
    (await value(count, { upstream: DEAD_SERVER, outcome: 'silent' })) +
    (await value(count, { upstream: DEAD_SERVER, outcome: 'failed' }));
  // The host's file is looked at once a second.
  await until('the dead server to be counted', async () => {
    await lookup(`x${Date.now()}.example.test`);
    return (await failed()) > 0 ? true : undefined;
  });
});

test('a packet between two networks raises the counter of the rule that drops it, with the cause', async () => {
  const labels = { cause: 'no-common-network', family: 'ip' };
  await machine.dockerOk('network', 'create', 'apart');
  await machine.dockerOk('run', '-d', '--name', 'lonely', '--network', 'apart', 'busybox', 'sleep', '1000');
  const address = await machine.dockerOk(
    ...['inspect', '-f', '{{.NetworkSettings.Networks.lan.IPAddress}}', 'web'],
  );
  const ping = () => machine.docker('exec', 'lonely', 'ping', '-c', '3', '-i', '0.2', '-W', '1', address);
  assert.equal(await growth('gangway_dropped_packets_total', labels, ping), 3);
  // 56 bytes of data, 8 of ICMP, 20 of IP.
  assert.equal(await growth('gangway_dropped_bytes_total', labels, ping), 3 * 84);
  assert.equal(await value('gangway_dropped_packets_total', { cause: 'source-forged' }), 0);
  await machine.dockerOk('rm', '-f', 'lonely');
});

test('open connections are counted at the container that has them, and go away', async () => {
  const pid = await machine.containerPid('peer');
  const listen = `require('node:net').createServer((s) => s.resume()).listen(98, () => console.log('UP'))`;
  await machine.spawnHelper(['nsenter', '-t', String(pid), '-n', process.execPath, '-e', listen], 'UP');
  const address = await machine.dockerOk(
    ...['inspect', '-f', '{{.NetworkSettings.Networks.lan.IPAddress}}', 'peer'],
  );
  const peer = { container: 'peer', network: 'lan', direction: 'in' };
  assert.equal(await value('gangway_connections', peer), 0);
  // The ping of before is tracked for 30 s.
  const out = await value('gangway_connections', { ...peer, direction: 'out' });
  const hold = `const { connect } = require('node:net');
    const all = Array.from({ length: 5 }, () => connect(98, '${address}'));
    Promise.all(all.map((s) => new Promise((up) => s.on('connect', up)))).then(() => console.log('UP'));
    setTimeout(() => { for (const s of all) s.end(); }, 6000)`;
  await machine.spawnHelper(machine.inMachine([process.execPath, '-e', hold]), 'UP');
  assert.equal(await value('gangway_connections', peer), 5);
  assert.ok((await value('gangway_connections', { ...peer, direction: 'out' })) <= out);
  assert.equal(await value('gangway_connections_counted'), 1);
  await until('them to be gone', async () =>
    (await value('gangway_connections', peer)) === 0 ? true : undefined,
  );
});

test('operations and requests, with the time they took', async () => {
  const start = 'gangway_operation_duration_seconds_count';
  const restart = () => machine.dockerOk('restart', '-t', '0', 'peer');
  assert.equal(await growth(start, { operation: 'container restart' }, restart), 1);
  const samples = await scrape();
  for (const operation of ['container create', 'container start', 'network create']) {
    assert.ok((select(samples, start, { operation })[0]?.[2] ?? 0) >= 1, operation);
  }
  const route = { method: 'GET', route: '/containers/:id/json', status: '404' };
  const ask = () => machine.docker('inspect', '--type', 'container', 'nobody');
  assert.equal(await growth('gangway_api_request_duration_seconds_count', route, ask), 1);
  assert.equal(select(samples, 'gangway_containers', { state: 'running' })[0]?.[2], 2);
  assert.ok((select(samples, 'gangway_conntrack_entries_limit')[0]?.[2] ?? 0) > 0);
});

test('the dashboard asks for numbers that there are', async () => {
  const dashboard = readFileSync(`${CHECKOUT}docs/grafana-dashboard.json`, 'utf8');
  JSON.parse(dashboard);
  const there = await fetchText();
  const asked = new Set(dashboard.match(/\bgangway_[a-z_]+/g));
  assert.ok(asked.size > 15);
  for (const name of asked) assert.ok(new RegExp(`^${name}[{ ]`, 'm').test(there), name);
});

test('a container on a macvlan network has its bytes too, as it sees them', async () => {
  await machine.dockerOk(
    ...['network', 'create', '-d', 'macvlan', '-o', 'parent=up0', '--subnet', '198.51.100.0/24'],
    ...['--gateway', OUTSIDE, '--ip-range', '198.51.100.128/28', 'street'],
  );
  await machine.dockerOk('run', '-d', '--name', 'far', '--network', 'street', 'busybox', 'sleep', '1000');
  const far = { container: 'far', network: 'street', interface: 'eth0' };
  const swallow = `require('node:net').createServer((s) => s.resume().on('end', () => s.end())).listen(97, () => console.log('UP'))`;
  await machine.spawnHelper(machine.inOutside([process.execPath, '-e', swallow]), 'UP');
  const before = await scrape();
  await machine.dockerOk('exec', 'far', 'sh', '-c', `head -c 200000 /dev/zero | nc ${OUTSIDE} 97`);
  const after = await scrape();
  const grown = (name: string): number =>
    (select(after, name, far)[0]?.[2] ?? Number.NaN) - (select(before, name, far)[0]?.[2] ?? Number.NaN);
  const sent = grown('gangway_container_transmit_bytes_total');
  assert.ok(sent > 2e5 && sent < 3e5, `${sent} bytes sent`);
  const received = grown('gangway_container_receive_bytes_total');
  assert.ok(received > 0 && received < 5e4, `${received} bytes received`);
  assert.ok(grown('gangway_container_transmit_packets_total') > 4);
  await machine.dockerOk('rm', '-f', 'far');
  assert.deepEqual(select(await scrape(), 'gangway_container_receive_bytes_total', far), []);
});

test('what a container had goes with it', async () => {
  await machine.dockerOk('network', 'connect', 'bridge', 'peer');
  assert.equal(
    select(await scrape(), 'gangway_container_receive_bytes_total', { container: 'peer' }).length,
    2,
  );
  await machine.dockerOk('rm', '-f', 'peer');
  const samples = await scrape();
  assert.deepEqual(
    samples.filter(([, { container }]) => container === 'peer'),
    [],
  );
  assert.equal(select(samples, 'gangway_container_receive_bytes_total', { container: 'web' }).length, 1);
});

test('above 50,000 tracked connections none are counted, and that is told', async () => {
  const many = await machine.spawnHelper(
    machine.inMachine([process.execPath, `${CHECKOUT}test/e2e/fill-conntrack.ts`, '50100']),
    'FULL',
  );
  const counted = async (): Promise<readonly number[]> => {
    const samples = await scrape();
    const [[, , known = Number.NaN] = []] = select(samples, 'gangway_connections_counted');
    const [[, , entries = 0] = []] = select(samples, 'gangway_conntrack_entries');
    return [known, Math.floor(entries / 50_000), select(samples, 'gangway_connections').length > 0 ? 1 : 0];
  };
  assert.deepEqual(await counted(), [0, 1, 0]);
  many.kill('SIGTERM');
  await until('them to be forgotten', async () => ((await counted())[1] === 0 ? true : undefined));
  assert.deepEqual(await counted(), [1, 0, 1]);
});

test('nothing else is served there, and a wrong or taken address is told', async () => {
  const other = await machine.host([
    'curl',
    '-s',
    '-o',
    '/dev/null',
    '-w',
    '%{http_code}',
    `http://${ADDRESS}/info`,
  ]);
  assert.equal(other.stdout, '404');
  const start = async (...flags: string[]): Promise<string> => {
    const result = await machine.host(daemonCommand(machine.directory, flags), {
      timeout: 20,
    });
    assert.notEqual(result.status, 0);
    return result.stdout + result.stderr;
  };
  assert.match(
    await start('--metrics-addr', '9323'),
    /invalid --metrics-addr "9323": it should be HOST:PORT/,
  );
  await machine.stopDaemon();
  const holder = `require('node:net').createServer().listen(9323, '127.0.0.1', () => console.log('UP'))`;
  await machine.spawnHelper(machine.inMachine([process.execPath, '-e', holder]), 'UP');
  await assert.rejects(
    machine.startDaemon(),
    /failed to listen on --metrics-addr 127\.0\.0\.1:9323: .*EADDRINUSE/,
  );
});
