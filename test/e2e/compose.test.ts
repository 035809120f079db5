import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { DATABASE, DATABASE_GATEWAY, PROJECT, WEB } from './compose-project.ts';
import { CACHE, IS_GANGWAY } from './engine-under-test.ts';
import { Machine } from './machine.ts';
import { HOST, NAME_SERVER, OUTSIDE } from './namespaces.ts';
import { must, run, until } from './process.ts';

/** Networks, 2: a compose project on two networks, as its user drives it; at the end nothing of it is there. */
let machine: Machine;
let untouched: string;
const PORTS = [8080, 8081, 8082];

before(async () => {
  const plugin = join(CACHE, 'docker-compose');
  if (!existsSync(plugin)) {
    throw new Error(`no ${plugin}: run \`sudo npm test\` or setup/compose-plugin.sh ${CACHE}`);
  }
  machine = await Machine.start({ flags: ['--dns-search', '.'] });
  const server = new URL('name-server.ts', import.meta.url).pathname;
  await machine.spawnHelper(machine.inOutside([process.execPath, server, NAME_SERVER]), 'SERVING');
  const plugins = join(machine.directory, 'config/cli-plugins');
  mkdirSync(plugins, { recursive: true });
  copyFileSync(plugin, join(plugins, 'docker-compose'));
  mkdirSync(join(machine.directory, 'shop'));
  writeFileSync(join(machine.directory, 'shop/compose.yaml'), PROJECT);
  await machine.serve(machine.namespaces.outside, 'outside', [{ protocol: 'tcp', port: 7000 }]);
  untouched = await state();
});
after(() => machine.close());

const command = (...args: string[]): string[] => [
  ...['env', '-C', join(machine.directory, 'shop'), `DOCKER_CONFIG=${join(machine.directory, 'config')}`],
  ...machine.dockerCommand('compose', ...args),
];
const compose = (...args: string[]): Promise<string> => must(command(...args));

const links = async (kind: string): Promise<string> =>
  (await machine.host(['ip', '-br', 'link', 'show', 'type', kind])).stdout.replace(/ .*$/gm, '');

/** All that a project can leave: containers, networks, volumes, links and rules, without their counters. */
async function state(): Promise<string> {
  // dockerd leaves an empty table behind a published port.
  const rules = IS_GANGWAY ? (await machine.host(['nft', '-s', 'list', 'ruleset'])).stdout : '';
  const parts = [
    await machine.dockerOk('ps', '-a', '--format', '{{.Names}}'),
    await machine.dockerOk('network', 'ls', '--format', '{{.Name}} {{.Driver}}'),
    await machine.dockerOk('volume', 'ls', '-q'),
    await links('veth'),
    await links('bridge'),
    rules,
  ];
  return parts.join('\n--\n');
}

/** The addresses that a container of the service is told for a name. */
async function resolved(service: string, name: string): Promise<string[]> {
  const { stdout } = await run(command('exec', '-T', service, 'nslookup', '-type=a', name));
  const answers = stdout.slice(stdout.indexOf('Name:'));
  return stdout.includes('Name:')
    ? [...answers.matchAll(/^Address: (\S+)$/gm)].map((m) => m[1] ?? '').sort()
    : [];
}

async function addresses(service: string, network: string): Promise<string[]> {
  const ids = (await compose('ps', '-q', service)).split('\n').filter(Boolean);
  const field = `{{(index .NetworkSettings.Networks "${network}").IPAddress}}`;
  return (await machine.dockerOk('inspect', '-f', field, ...ids)).split('\n').sort();
}

/** A shell's command that prints the one line of a page. */
const get = (host: string, port: number, path = '/'): string[] => [
  'sh',
  '-c',
  `printf 'GET ${path} HTTP/1.0\\r\\n\\r\\n' | nc -w 2 ${host} ${port} | tail -n 1`,
];
const fetched = (service: string, host: string, port: number, path?: string): Promise<string> =>
  compose('exec', '-T', service, ...get(host, port, path));

async function publishedAnswers(): Promise<void> {
  for (const port of PORTS) assert.equal((await machine.page(port)).stdout, `web ${port}\n`);
}

test('up -d: web starts when the database is healthy', async () => {
  await compose('up', '-d');
  assert.equal(await fetched('web', '127.0.0.1', 8080, '/first'), 'a gangway');
  const health = await machine.dockerOk('inspect', '-f', '{{.State.Health.Status}}', 'shop-database-1');
  assert.equal(health, 'healthy');
});

test('ps, port, logs and exec show the project', async () => {
  const listed = await compose('ps', '--format', '{{.Service}} {{.State}} {{.Health}}');
  assert.deepEqual(
    listed
      .split('\n')
      .map((line) => line.trim())
      .sort(),
    ['database running healthy', 'sidecar running', 'web running', 'worker running'],
  );
  assert.match(await compose('ps', 'web'), /0\.0\.0\.0:8080-8082->8080-8082\/tcp/);
  for (const port of PORTS) assert.match(await compose('port', 'web', String(port)), new RegExp(`:${port}$`));
  assert.match(await compose('logs', 'database'), /^database-1 +\| starting\s+database-1 +\| ready$/m);
  assert.equal(await compose('exec', '-T', 'web', 'hostname'), 'web');
});

test('the published range answers outside, and web sees the client itself', async () => {
  await publishedAnswers();
  await until('the log of it', async () =>
    (await compose('logs', 'web')).includes(`[::ffff:${OUTSIDE}]`) ? true : undefined,
  );
});

test('static addresses, aliases and service names, each on its network only', async () => {
  assert.deepEqual(await addresses('web', 'shop_front'), [WEB]);
  assert.deepEqual(await addresses('database', 'shop_back'), [DATABASE]);
  for (const name of ['db', 'database', 'shop-database-1']) {
    assert.deepEqual(await resolved('web', name), [DATABASE], name);
  }
  const behind = await addresses('web', 'shop_back');
  assert.deepEqual(await resolved('worker', 'frontend'), behind);
  assert.deepEqual(await resolved('worker', 'web'), behind);
  assert.deepEqual(await resolved('worker', 'shop.example.test'), [], 'an alias on front');
  assert.equal(await fetched('worker', 'frontend', 8081), 'web 8081');
  const visit = async (...args: string[]) =>
    (await machine.docker('run', '--rm', '--network', 'shop_front', 'busybox', ...args)).stdout;
  assert.equal(await visit(...get('shop.example.test', 8080)), 'web 8080\n');
  assert.doesNotMatch(await visit('nslookup', '-type=a', 'db'), /Name:/);
});

test('the internal network has no way out, the other has', async () => {
  const target = [{ protocol: 'tcp', address: OUTSIDE, port: 7000 }] as const;
  const from = async (container: string) => machine.ask(await machine.containerPid(container), target);
  assert.deepEqual(await from('shop-web-1'), [`outside ${HOST} 7000`]);
  assert.deepEqual(await from('shop-database-1'), ['-']);
  assert.deepEqual(await from('shop-worker-1'), ['-']);
  // Not even when it finds the way itself.
  const pid = await machine.containerPid('shop-database-1');
  const way = ['ip', 'route', 'add', 'default', 'via', DATABASE_GATEWAY];
  const added = await machine.host(['nsenter', '-t', String(pid), '-n', ...way]);
  assert.equal(added.status, 0, added.stderr);
  assert.deepEqual(await from('shop-database-1'), ['-']);
});

test('network_mode: service:web shares its network', async () => {
  assert.equal(await fetched('sidecar', '127.0.0.1', 8082), 'web 8082');
  const spaces = await Promise.all(
    ['web', 'sidecar'].map((service) => compose('exec', '-T', service, 'readlink', '/proc/self/ns/net')),
  );
  assert.equal(spaces[0], spaces[1]);
  assert.deepEqual(await resolved('sidecar', 'db'), [DATABASE]);
});

test('up -d --scale worker=3: the name tells all three, and each of them answers', async () => {
  await compose('up', '-d', '--scale', 'worker=3');
  const workers = await addresses('worker', 'shop_back');
  assert.equal(new Set(workers).size, 3);
  assert.deepEqual(await resolved('web', 'worker'), workers);
  const pages = await Promise.all(workers.map((address) => fetched('web', address, 80)));
  assert.equal(new Set(pages).size, 3);
  assert.ok(pages.includes(await fetched('web', 'worker', 80)));
  await compose('up', '-d', '--scale', 'worker=1');
  const left = await addresses('worker', 'shop_back');
  assert.equal(left.length, 1);
  assert.deepEqual(await resolved('web', 'worker'), left);
  await compose('up', '-d', '--scale', 'worker=3');
  assert.equal((await resolved('web', 'worker')).length, 3);
});

test('restart: the same addresses and names, the ports answer again', async () => {
  await compose('restart');
  assert.deepEqual(await addresses('web', 'shop_front'), [WEB]);
  await until('web', async () => (await machine.page(8080)).stdout !== '' || undefined);
  await publishedAnswers();
  assert.deepEqual(await resolved('web', 'db'), [DATABASE]);
  assert.equal((await resolved('web', 'worker')).length, 3);
  assert.equal(await fetched('sidecar', '127.0.0.1', 8080), 'web 8080');
});

test('down -v leaves no container, network, volume, link or rule', async () => {
  assert.notEqual(await links('veth'), '');
  assert.match(await links('bridge'), /^br-[0-9a-f]{12}$/m);
  await compose('down', '-v');
  assert.equal(await state(), untouched);
  const targets = PORTS.map((port) => ({ protocol: 'tcp', address: HOST, port }) as const);
  assert.deepEqual(await machine.ask(machine.namespaces.outside, targets), ['-', '-', '-']);
});
