import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Answer } from '../../src/explain/answer.ts';
import { CHECKOUT } from './engine-under-test.ts';
import { Machine } from './machine.ts';
import { HOST, OUTSIDE } from './namespaces.ts';
import { must, type Result } from './process.ts';

let machine: Machine;

before(async () => {
  machine = await Machine.start();
  await machine.dockerOk('pull', '-q', 'busybox');
  await machine.dockerOk('network', 'create', 'lamp');
  await machine.dockerOk('network', 'create', 'lnmp');
  await machine.dockerOk('network', 'create', '--internal', 'vault');
  await start('web', '--network', 'lamp', '-p', '8080:80');
  await start('db', '--network', 'lnmp', '--network-alias', 'database');
  await start('cache', '--network', 'lamp', '-p', '127.0.0.1:6379:6379');
  await start('safe', '--network', 'vault');
  await start('old');
  await machine.dockerOk('stop', '-t', '0', 'old');
  await machine.serve(await machine.containerPid('web'), 'web', [{ protocol: 'tcp', port: 80 }]);
  await machine.serve(await machine.containerPid('cache'), 'cache', [
    { protocol: 'tcp', port: 6379 },
    { protocol: 'tcp', port: 7000, address: '127.0.0.1' },
  ]);
});
after(() => machine.close());

const start = (name: string, ...options: string[]): Promise<string> =>
  machine.dockerOk('run', '-d', '--name', name, ...options, 'busybox', 'sleep', '1000');
const gangway = (...args: string[]): Promise<Result> =>
  machine.host([`${CHECKOUT}bin/gangway`, '-H', `unix://${machine.socket}`, ...args]);
const why = (from: string, to: string): Promise<Result> => gangway('why', '--no-probe', from, to);

test('reached: the sentence first, then the way, at most 80 columns; exit status 0', async () => {
  const { status, stdout } = await why('cache', 'web:80');
  assert.equal(status, 0, stdout);
  const words = stdout.replaceAll(/\s+/g, ' ');
  assert.match(
    words,
    /^Yes: cache reaches web at 172\.\d+\.0\.\d+:80 over lamp; node \(pid \d+\) listens on \[::\]:80\./,
  );
  assert.match(stdout, /name +web: the engine's name service \(127\.0\.0\.11\) answers/);
  assert.match(stdout, /bridge +br-/);
  for (const line of stdout.split('\n')) assert.ok(line.length <= 80, line);
});

test('not reached: exit status 1, the cause, what to change', async () => {
  const { status, stdout } = await why('web', 'db:3306');
  assert.equal(status, 1, stdout);
  assert.match(stdout, /^No: web is on lamp, db is on lnmp; networks are isolated\.\n/);
  assert.match(stdout, /docker network connect lnmp web/);
});

test('every party, as one table of causes', async () => {
  const cases: readonly (readonly [string, string, string | null])[] = [
    ['web', 'db', 'no-common-network'],
    ['web', 'database:80', 'no-common-network'],
    ['web', 'wbe:80', 'name-unknown'],
    ['web', 'cache:6379', null],
    ['web', 'cache:7000', 'listens-on-loopback'],
    ['web', 'cache:81', 'nothing-listens'],
    ['web', 'old:80', 'container-stopped'],
    ['web', 'internet', null],
    ['safe', 'internet', 'internal-network'],
    ['safe', 'web:80', 'internal-network'],
    ['outside', 'web:80', null],
    ['outside', 'web:8080', null],
    ['outside', 'host:8080', null],
    ['outside', 'db:3306', 'unpublished'],
    ['outside', 'cache:6379', 'published-on-other-address'],
    ['outside', `${HOST}:6379`, 'published-on-other-address'],
    ['outside', 'safe:80', 'internal-network'],
    ['host', 'cache:6379', null],
    ['host', 'host:6379', null],
    ['db', 'host:8080', null],
    [OUTSIDE, 'web:80', null],
    ['old', 'web:80', 'container-stopped'],
  ];
  const wrong: string[] = [];
  for (const [from, to, cause] of cases) {
    const { stdout, stderr, status } = await gangway('why', '--json', '--no-probe', from, to);
    const answer = JSON.parse(stdout || '{}') as Partial<Answer>;
    if (answer.cause !== cause || status !== (cause === null ? 0 : 1))
      wrong.push(`${from} ${to}: ${answer.cause} ${answer.sentence} ${stderr}`);
    console.log(`${from} ${to}: ${answer.sentence} ${answer.fix ?? ''}`);
  }
  assert.deepEqual(wrong, []);
});

test('data: every member of the answer is there', async () => {
  const { stdout } = await gangway('why', '--json', '--no-probe', 'outside', 'web:80');
  const answer = JSON.parse(stdout) as Answer;
  assert.deepEqual(Object.keys(answer), [
    'reachable',
    'cause',
    'sentence',
    'steps',
    'fix',
    'probe',
    'agrees',
  ]);
  const nat = answer.steps.find(({ kind }) => kind === 'nat');
  assert.equal(nat?.rule, 'published');
  assert.equal(nat?.from, `${HOST}:8080`);
  assert.match(nat?.to ?? '', /^172\.\d+\.0\.2:80$/);
});

test('a question that is not understood: exit status 2 and what would be right', async () => {
  for (const [from, to, words] of [
    ['web', 'db:http', /"http" in db:http is no port: 1 to 65535/],
    ['nobody', 'web:80', /No such container: nobody.*docker ps -a/],
    ['web', 'http://web/', /is not understood: FROM TO\[:PORT/],
    ['outside', 'internet', /one end has to be on it/],
  ] as const) {
    const { status, stderr } = await why(from, to);
    assert.equal(status, 2, stderr);
    assert.match(stderr, words);
  }
  assert.equal((await gangway('why', 'web')).status, 2);
  assert.equal(
    (await machine.host([`${CHECKOUT}bin/gangway`, '-H', 'unix:///nobody', 'why', 'a', 'b'])).status,
    3,
  );
});

test('docker gangway why, and the engine by DOCKER_HOST and by context', async () => {
  const config = join(machine.directory, 'config');
  mkdirSync(join(config, 'cli-plugins'), { recursive: true });
  symlinkSync(`${CHECKOUT}bin/gangway`, join(config, 'cli-plugins/docker-gangway'));
  writeFileSync(join(config, 'config.json'), '{}');
  const host = `unix://${machine.socket}`;
  const docker = (...args: string[]): Promise<string> =>
    must(machine.inMachine(['docker', '--config', config, ...args]));
  assert.match(
    await docker('-H', host, 'gangway', 'why', '--no-probe', 'cache', 'web:80'),
    /^Yes: cache reaches web/,
  );
  assert.match(await docker('--help'), /gangway\* +Why can A reach B/);
  await docker('context', 'create', 'here', '--docker', `host=${host}`);
  await docker('context', 'use', 'here');
  assert.match(await docker('gangway', 'why', '--no-probe', 'cache', 'web:80'), /^Yes: cache reaches web/);
  const direct = (env: string[], ...args: string[]): Promise<Result> =>
    machine.host([
      'env',
      '-u',
      'DOCKER_HOST',
      ...env,
      `${CHECKOUT}bin/gangway`,
      ...args,
      'why',
      '--no-probe',
      'cache',
      'web:80',
    ]);
  assert.equal((await direct([`DOCKER_CONFIG=${config}`])).status, 0, 'currentContext');
  assert.equal((await direct([`DOCKER_HOST=${host}`])).status, 0, 'DOCKER_HOST');
  assert.equal(
    (await direct([`DOCKER_CONFIG=${config}`, 'DOCKER_CONTEXT=default'], '-c', 'here')).status,
    0,
    '-c',
  );
  const missing = await direct([`DOCKER_CONFIG=${config}`], '-c', 'nowhere');
  assert.match(missing.stderr, /there is no docker context "nowhere"/);
});
