import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { IS_GANGWAY } from './engine-under-test.ts';
import { Machine } from './machine.ts';
import { OUTSIDE } from './namespaces.ts';

/** Names on networks of the user's: found there, and only there. The client is musl-free busybox with its own resolver. */
const NAME_SERVER = OUTSIDE;
let machine: Machine;
before(async () => {
  machine = await Machine.start({ flags: ['--dns', NAME_SERVER, '--dns-search', '.'] });
  const server = new URL('name-server.ts', import.meta.url).pathname;
  await machine.spawnHelper(machine.inOutside([process.execPath, server, NAME_SERVER]), 'SERVING');
  for (const network of ['lamp', 'lnmp']) await machine.dockerOk('network', 'create', network);
  const keep = ['busybox', 'sleep', '1000'];
  await machine.dockerOk(
    'run',
    '-d',
    '--name',
    'mysql',
    '--network',
    'lamp',
    '--network-alias',
    'db',
    ...keep,
  );
  await machine.dockerOk('run', '-d', '--name', 'web', '--network', 'lamp', ...keep);
  await machine.dockerOk('run', '-d', '--name', 'other', '--network', 'lnmp', ...keep);
});
after(() => machine.close());

const lookUp = async (from: string, name: string) =>
  machine.docker('exec', from, 'nslookup', '-type=a', name);

test('by name, alias and short id, from the same network', async () => {
  const address = await machine.address('mysql', 'lamp');
  const id = await machine.dockerOk('inspect', '-f', '{{slice .Id 0 12}}', 'mysql');
  for (const name of ['mysql', 'db', id, 'mysql.lamp']) {
    const { stdout, status } = await lookUp('web', name);
    assert.equal(status, 0, `${name}: ${stdout}`);
    assert.ok(stdout.includes(`Address: ${address}\n`), `${name}: ${stdout}`);
  }
  const reverse = await machine.docker('exec', 'web', 'nslookup', address);
  assert.match(reverse.stdout, /name = mysql\.lamp/);
});

test('not from another network, nor from the default one', async () => {
  assert.doesNotMatch((await lookUp('other', 'mysql')).stdout, /Address: 172\.\d+\.\d+\.\d+\n(?!.*:53)/);
  const plain = await machine.docker('run', '--rm', 'busybox', 'nslookup', '-type=a', 'mysql');
  assert.doesNotMatch(plain.stdout, /Address: 172\./);
});

test('what is no container is asked outside', async () => {
  const { stdout } = await lookUp('web', 'printer.lan.test');
  assert.match(stdout, /Address: 203\.0\.113\.7/);
});

test('connect and disconnect of a running container change what it knows and is known by', async () => {
  await machine.dockerOk('network', 'connect', '--alias', 'late', 'lamp', 'other');
  assert.match((await lookUp('web', 'late')).stdout, /Address: 172\./);
  assert.match((await lookUp('other', 'db')).stdout, /Address: 172\./);
  await machine.dockerOk('network', 'disconnect', 'lamp', 'other');
  assert.doesNotMatch((await lookUp('web', 'late')).stdout, /Name:\s+late/);
});

test('a container that is replaced is found at its new address at once', async () => {
  const before = await machine.address('mysql', 'lamp');
  await machine.dockerOk('run', '-d', '--name', 'between', '--network', 'lamp', 'busybox', 'sleep', '1000');
  await machine.dockerOk('rm', '-f', 'mysql');
  await machine.dockerOk('run', '-d', '--name', 'taker', '--network', 'lamp', 'busybox', 'sleep', '1000');
  await machine.dockerOk('run', '-d', '--name', 'mysql', '--network', 'lamp', 'busybox', 'sleep', '1000');
  const now = await machine.address('mysql', 'lamp');
  assert.notEqual(now, before);
  assert.ok((await lookUp('web', 'mysql')).stdout.includes(`Address: ${now}\n`));
});

test('the restarted daemon answers again', { skip: !IS_GANGWAY }, async () => {
  await machine.stopDaemon('SIGKILL');
  await machine.startDaemon();
  assert.match((await lookUp('web', 'mysql')).stdout, /Address: 172\./);
  assert.match((await lookUp('web', 'printer.lan.test')).stdout, /Address: 203\.0\.113\.7/);
});
