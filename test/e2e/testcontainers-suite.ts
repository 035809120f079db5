/**
 * A test suite as users of Testcontainers write them; testcontainers.test.ts runs it inside the machine.
 *   argument 1   the suite's name
 *   argument 2   the name of the suite that runs beside it: each waits until the other's web server is up as well
 *   TMPDIR       a folder that both share
 */
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import {
  GenericContainer,
  getContainerRuntimeClient,
  Network,
  type StartedNetwork,
  type StartedTestContainer,
  Wait,
} from 'testcontainers';
import { until } from './process.ts';

const [NAME = 'suite', BESIDE = NAME] = process.argv.slice(2);
const IMAGE = 'busybox:latest';
const SERVE = `mkdir -p /www && echo "page of ${NAME}" > /www/index.html && exec httpd -f -p 8080 -h /www`;

let network: StartedNetwork;
let web: StartedTestContainer;
let client: StartedTestContainer;

before(async () => {
  network = await new Network().start();
  web = await new GenericContainer(IMAGE)
    .withNetwork(network)
    .withNetworkAliases('web', 'www')
    .withExposedPorts(8080)
    .withCommand(['sh', '-c', SERVE])
    .withWaitStrategy(Wait.forListeningPorts())
    .start();
  client = await new GenericContainer(IMAGE)
    .withNetwork(network)
    .withEnvironment({ COLOUR: 'green' })
    .withCopyContentToContainer([{ content: 'carried in\n', target: '/etc/carried' }])
    .withCommand(['sleep', '1000'])
    .start();
  writeFileSync(join(tmpdir(), `up-${NAME}`), '');
  await until(`the suite ${BESIDE}`, () => existsSync(join(tmpdir(), `up-${BESIDE}`)) || undefined, 60);
});

after(async () => {
  await Promise.all([web?.stop({ timeout: 1000 }), client?.stop()]);
  await network?.stop();
});

/** The page behind a container's mapped port, as a program on this machine gets it. */
async function page(container: StartedTestContainer, port = 8080): Promise<string> {
  const answer = await fetch(`http://${container.getHost()}:${container.getMappedPort(port)}/`);
  assert.equal(answer.status, 200);
  return (await answer.text()).trim();
}

/** Ids of all containers of this suite's session label, ended ones too. */
async function listed(id: string): Promise<string[]> {
  const { container } = await getContainerRuntimeClient();
  const all = await container.dockerode.listContainers({ all: true });
  return all.map((each) => each.Id).filter((each) => each === id);
}

const sleeper = () => new GenericContainer(IMAGE).withCommand(['sleep', '1000']);

test('when start returns the mapped port answers, with this suite’s own page', async () => {
  assert.equal(await page(web), `page of ${NAME}`);
  assert.equal(web.getFirstMappedPort(), web.getMappedPort('8080/tcp'));
});

test('by its aliases from the same network; the suite beside has the same aliases on another', async () => {
  for (const alias of ['web', 'www']) {
    const { output, exitCode } = await client.exec([
      'timeout',
      '10',
      'wget',
      '-qO-',
      `http://${alias}:8080/`,
    ]);
    assert.deepEqual({ output, exitCode }, { output: `page of ${NAME}\n`, exitCode: 0 });
  }
  const name = network.getName();
  const { output } = await client.exec([
    'timeout',
    '10',
    'wget',
    '-qO-',
    `http://${web.getIpAddress(name)}:8080/`,
  ]);
  assert.equal(output, `page of ${NAME}\n`);
  assert.ok(web.getNetworkNames().includes(name));
  assert.equal(web.getNetworkId(name), network.getId());
});

test('a container without the network finds neither of them', async () => {
  const stranger = await sleeper().start();
  const byName = await stranger.exec(['wget', '-qO-', 'http://web:8080/']);
  assert.match(byName.stderr, /bad address 'web:8080'/);
  const byAddress = `http://${web.getIpAddress(network.getName())}:8080/`;
  assert.notEqual((await stranger.exec(['timeout', '1', 'wget', '-qO-', byAddress])).exitCode, 0);
  await stranger.stop({ timeout: 0 });
});

test('exec: both outputs, exit status, user, directory, environment', async () => {
  const both = await client.exec(['sh', '-c', 'echo out; echo err >&2; exit 3']);
  assert.deepEqual([both.stdout, both.stderr, both.exitCode], ['out\n', 'err\n', 3]);
  const set = await client.exec(['sh', '-c', 'id -un; pwd; echo $COLOUR $SIZE; cat /etc/carried'], {
    user: 'nobody',
    workingDir: '/etc',
    env: { SIZE: 'small' },
  });
  assert.equal(set.output, 'nobody\n/etc\ngreen small\ncarried in\n');
});

test('files are copied in and out of a running container', async () => {
  await client.copyContentToContainer([{ content: 'later', target: '/tmp/later', mode: 0o640 }]);
  assert.equal((await client.exec(['stat', '-c', '%a %s', '/tmp/later'])).output, '640 5\n');
  const archive = await client.copyArchiveFromContainer('/tmp/later');
  assert.match(await text(archive), /^later\0.*later\0/s);
});

test('wait for a log message, seen as often as asked; logs gives both streams', async () => {
  const begin = performance.now();
  const container = await new GenericContainer(IMAGE)
    .withCommand([
      'sh',
      '-c',
      'echo ready; echo oops >&2; sleep 1; echo ready; sleep 1; echo end; exec sleep 1000',
    ])
    .withWaitStrategy(Wait.forLogMessage(/ready/, 2))
    .start();
  const waited = performance.now() - begin;
  const stream = await container.logs();
  let seen = '';
  stream.on('data', (chunk: Buffer) => {
    seen += chunk.toString();
  });
  assert.ok(waited >= 1000, `the second message comes after a second, start returned after ${waited} ms`);
  await until('the followed logs', () => seen.includes('end') || undefined);
  assert.match(seen, /oops/);
  assert.equal(seen.match(/ready/g)?.length, 2);
  stream.destroy();
  await container.stop({ timeout: 0 });
});

test('a message that does not come: start throws when its time is up, and the container is gone', async () => {
  const begin = performance.now();
  const name = `never-${NAME}`;
  await assert.rejects(
    sleeper().withName(name).withWaitStrategy(Wait.forLogMessage('never')).withStartupTimeout(1000).start(),
    /not received/,
  );
  assert.ok(performance.now() - begin < 15_000);
  const { container } = await getContainerRuntimeClient();
  await assert.rejects(container.getById(name).inspect(), /no such container/i);
});

test('wait for HTTP: a server that comes late', async () => {
  const container = await new GenericContainer(IMAGE)
    .withExposedPorts(8080)
    .withCommand(['sh', '-c', `sleep 1; ${SERVE}`])
    .withWaitStrategy(
      Wait.forHttp('/index.html', 8080)
        .forStatusCode(200)
        .forResponsePredicate((body) => body.includes(NAME)),
    )
    .start();
  assert.equal(await page(container), `page of ${NAME}`);
  await container.stop({ timeout: 0 });
});

test('wait for the health check: healthy is waited for, unhealthy is an error', async () => {
  const checked = (command: string) =>
    sleeper()
      .withHealthCheck({ test: ['CMD-SHELL', command], interval: 200, timeout: 1000, retries: 2 })
      .withWaitStrategy(Wait.forHealthCheck());
  const well = await checked('touch /tmp/$$; [ $(ls /tmp | wc -l) -ge 2 ]').start();
  const { container } = await getContainerRuntimeClient();
  const { State } = await container.getById(well.getId()).inspect();
  assert.equal(State.Health?.Status, 'healthy');
  await well.stop({ timeout: 0 });
  await assert.rejects(checked('false').start(), /unhealthy/);
});

test('wait for a command, for all of several strategies, and for a container that does one thing and ends', async () => {
  const several = await new GenericContainer(IMAGE)
    .withExposedPorts(8080)
    .withCommand(['sh', '-c', `sleep 0.5; touch /tmp/done; ${SERVE}`])
    .withWaitStrategy(Wait.forAll([Wait.forListeningPorts(), Wait.forSuccessfulCommand('test -e /tmp/done')]))
    .start();
  assert.equal((await several.exec(['ls', '/tmp'])).output, 'done\n');
  await several.stop({ timeout: 0 });
  const once = await new GenericContainer(IMAGE)
    .withCommand(['sh', '-c', 'echo the one thing'])
    .withWaitStrategy(Wait.forOneShotStartup())
    .start();
  assert.match(await text(await once.logs()), /the one thing/);
  await once.stop();
  const failing = new GenericContainer(IMAGE)
    .withCommand(['false'])
    .withWaitStrategy(Wait.forOneShotStartup());
  await assert.rejects(failing.start());
});

test('restart: the port is mapped anew and answers when restart returns', async () => {
  await web.restart({ timeout: 1000 });
  assert.equal(await page(web), `page of ${NAME}`);
  const { output } = await client.exec(['timeout', '10', 'wget', '-qO-', 'http://web:8080/']);
  assert.equal(output, `page of ${NAME}\n`);
});

test('twenty ports at once, TCP and UDP: each mapped to its own', async () => {
  const tcp = Array.from({ length: 19 }, (_, i) => 9000 + i);
  const container = await sleeper()
    .withExposedPorts(...tcp, '9100/udp')
    .withWaitStrategy(Wait.forSuccessfulCommand('true'))
    .start();
  const mapped = [
    ...tcp.map((port) => container.getMappedPort(port)),
    container.getMappedPort('9100/udp') + 65_536,
  ];
  assert.equal(new Set(mapped).size, 20);
  await container.stop({ timeout: 0 });
});

test('stop removes the container, unless told otherwise', async () => {
  const gone = await sleeper().start();
  await gone.stop({ timeout: 0 });
  assert.deepEqual(await listed(gone.getId()), []);
  const kept = await sleeper().start();
  const stopped = await kept.stop({ timeout: 0, remove: false });
  assert.deepEqual(await listed(kept.getId()), [kept.getId()]);
  assert.equal(stopped.getId(), kept.getId());
  const { container } = await getContainerRuntimeClient();
  await container.getById(kept.getId()).remove({ force: true });
});
