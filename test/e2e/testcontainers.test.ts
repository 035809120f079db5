import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Machine } from './machine.ts';
import { OUTSIDE } from './namespaces.ts';
import type { Result } from './process.ts';

/** What must be shown: suites of Testcontainers for Node, two in parallel, with nothing but DOCKER_HOST told to them. */
const SUITE = fileURLToPath(new URL('testcontainers-suite.ts', import.meta.url));
let machine: Machine;
before(async () => {
  machine = await Machine.start({ flags: ['--dns', OUTSIDE] });
  const server = fileURLToPath(new URL('name-server.ts', import.meta.url));
  await machine.spawnHelper(machine.inOutside([process.execPath, server, OUTSIDE]), 'SERVING');
  mkdirSync(`${machine.directory}/suites`);
});
after(() => machine.close());

function runSuite(name: string, beside: string, settings: NodeJS.ProcessEnv = {}): Promise<Result> {
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    ...settings,
    DOCKER_HOST: `unix://${machine.socket}`,
    // The library's own way to do without its reaper, whose image is not in the test registry.
    TESTCONTAINERS_RYUK_DISABLED: 'true',
    HOME: `${machine.directory}/suites`,
    TMPDIR: `${machine.directory}/suites`,
  };
  // Set, it would make the suite report to this process in a format of its own.
  delete env.NODE_TEST_CONTEXT;
  return machine.host([process.execPath, '--test-reporter=tap', SUITE, name, beside], { env, timeout: 200 });
}

test('two suites at the same time, from no image to nothing left', async () => {
  const results = await Promise.all([
    runSuite('one', 'two'),
    // As on a machine that is no container itself, where the library takes this name by default.
    runSuite('two', 'one', { TESTCONTAINERS_HOST_OVERRIDE: 'localhost' }),
  ]);
  for (const { status, stdout, stderr } of results) {
    assert.equal(status, 0, `${stdout}\n${stderr}`);
    assert.match(stdout, /^# pass 13$/m);
    assert.match(stdout, /^# (skipped|todo) 0$/m);
  }
  assert.equal(await machine.dockerOk('ps', '-aq'), '');
  const networks = await machine.dockerOk('network', 'ls', '--format', '{{.Name}}');
  assert.deepEqual(networks.split('\n').sort(), ['bridge', 'host', 'none']);
});
