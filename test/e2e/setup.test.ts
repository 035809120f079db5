import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { CHECKOUT, IS_GANGWAY } from './engine-under-test.ts';
import { findLeftovers, type Inventory, takeInventory } from './leftovers.ts';
import { HOST, makeNamespaces, type Namespaces, processesInside } from './namespaces.ts';
import { must, type Result, run } from './process.ts';

/** Set-up as a user runs it, on a machine of its own: start, start again, stop, uninstall. */
let directory = '';
let namespaces: Namespaces;
let clean: Inventory;

before(async () => {
  directory = mkdtempSync('/tmp/gangway-e2e-');
  namespaces = await makeNamespaces(directory);
  clean = await takeInventory(namespaces);
});
after(() => {
  for (const pid of processesInside(namespaces)) process.kill(pid, 'SIGKILL');
  for (const holder of namespaces.holders) holder.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
});

const inside = (...command: string[]): string[] => [
  ...['nsenter', '-t', String(namespaces.machine), '-n', '-m', ...command],
];

/** A script of setup/ with every path of its own inside the test's directory. */
function script(name: string, ...args: string[]): Promise<Result> {
  const { SUDO_USER: _, DOCKER_HOST: __, DOCKER_CONTEXT: ___, ...environment } = process.env;
  return run(inside('bash', `${CHECKOUT}setup/${name}.sh`, ...args), {
    timeout: 180,
    env: {
      ...environment,
      GANGWAY_DATA_ROOT: join(directory, 'data'),
      GANGWAY_EXEC_ROOT: join(directory, 'exec'),
      GANGWAY_LOG: join(directory, 'log/gangwayd.log'),
      GANGWAY_LIB: join(directory, 'lib'),
      GANGWAY_TEST_CACHE: join(directory, 'no-cache'),
      GANGWAY_COMPILE_CACHE: join(directory, 'compiled'),
      GANGWAY_CGROUP_PARENT: directory.slice(directory.lastIndexOf('/') + 1),
      DOCKER_CONFIG: join(directory, 'docker-config'),
    },
  });
}
const docker = (...args: string[]) =>
  must(inside('docker', '-H', `unix://${directory}/exec/docker.sock`, ...args));
const page = (address: string) => run(inside('curl', '-s', '-m', '3', `http://${address}:8088/`));

test('npm start: the daemon runs, the context is there, the first page answers', {
  skip: !IS_GANGWAY,
}, async () => {
  const started = await script('start');
  assert.equal(started.status, 0, started.stdout + started.stderr);
  assert.match(started.stdout, /✓ daemon +started, pid \d+/);
  assert.match(started.stdout, /gangway-hello: http:\/\/127\.0\.0\.1:8088\/ answers/);
  assert.match(started.stdout, /docker context use gangway/);
  for (const line of started.stdout.split('\n')) assert.ok([...line].length <= 110, `too wide: ${line}`);
  assert.match((await page('127.0.0.1')).stdout, /It works/);
  assert.match((await page(HOST)).stdout, /It works/);
  const context = await must(
    ['docker', 'context', 'inspect', 'gangway', '-f', '{{.Endpoints.docker.Host}}'],
    {
      env: { ...process.env, DOCKER_CONFIG: join(directory, 'docker-config') },
    },
  );
  assert.equal(context, `unix://${directory}/exec/docker.sock`);
  assert.match(await docker('run', '--rm', 'busybox', 'ip', 'addr'), /inet 172\.17\.\d+\.\d+\/16/);
});

test('npm start again finds everything, in seconds', { skip: !IS_GANGWAY }, async () => {
  const id = await docker('inspect', '-f', '{{.Id}}', 'gangway-hello');
  const begin = performance.now();
  const again = await script('start');
  assert.equal(again.status, 0, again.stdout + again.stderr);
  assert.ok(performance.now() - begin < 10_000);
  assert.match(again.stdout, /runs already/);
  assert.equal(await docker('inspect', '-f', '{{.Id}}', 'gangway-hello'), id);
});

test('npm stop ends the daemon; the page still answers; npm start finds it', {
  skip: !IS_GANGWAY,
}, async () => {
  const stopped = await script('stop');
  assert.equal(stopped.status, 0, stopped.stdout + stopped.stderr);
  assert.match(stopped.stdout, /1 running container\(s\) stay/);
  assert.equal(existsSync(join(directory, 'exec/gangwayd.pid')), false);
  assert.match((await page(HOST)).stdout, /It works/);
  assert.match((await script('stop')).stdout, /was not running/);
  const started = await script('start');
  assert.equal(started.status, 0, started.stdout + started.stderr);
  assert.match(await docker('ps'), /gangway-hello/);
});

test('npm run uninstall, even of a daemon that was killed, leaves nothing', {
  skip: !IS_GANGWAY,
}, async () => {
  const pid = await must(['cat', join(directory, 'exec/gangwayd.pid')]);
  process.kill(Number(pid), 'SIGKILL');
  const gone = await script('uninstall');
  assert.equal(gone.status, 0, gone.stdout + gone.stderr);
  assert.deepEqual(await findLeftovers(namespaces, clean, directory), []);
  for (const name of ['lib', 'log', 'compiled']) assert.equal(existsSync(join(directory, name)), false, name);
  assert.equal((await run(inside('cat', '/proc/sys/net/ipv4/ip_forward'))).stdout.trim(), '0');
});

test('who is not root is told so, in one line, with the command to type', async () => {
  for (const [name, command] of [
    ['start', 'sudo npm start'],
    ['test', 'sudo npm test'],
    ['uninstall', 'sudo npm run uninstall'],
  ] as const) {
    const result = await run([
      'setpriv',
      '--reuid=65534',
      '--clear-groups',
      'bash',
      `${CHECKOUT}setup/${name}.sh`,
    ]);
    assert.equal(result.status, 1);
    assert.match(result.stderr, /needs root/);
    assert.match(result.stderr, new RegExp(command));
  }
});
