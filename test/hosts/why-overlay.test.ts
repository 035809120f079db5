import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Answer } from '../../src/explain/answer.ts';
import { Cluster } from '../e2e/cluster.ts';
import type { Machine } from '../e2e/machine.ts';
import { until } from '../e2e/process.ts';

let cluster: Cluster;
let one: Machine;
let two: Machine;

before(async () => {
  cluster = await Cluster.start(2);
  [one, two] = cluster.hosts as [Machine, Machine];
  await one.dockerOk('network', 'create', '-d', 'overlay', 'lamp');
  await one.dockerOk('network', 'create', '-d', 'overlay', 'lnmp');
  await until(
    'the networks on both hosts',
    async () => (await two.dockerOk('network', 'ls', '--format', '{{.Name}}')).includes('lnmp') || undefined,
  );
  await start(one, 'web', '--network', 'lamp');
  await start(one, 'shop', '--network', 'lnmp');
  await start(one, 'near', '--network', 'lamp');
  await start(two, 'db', '--network', 'lamp', '-p', '8080:80');
  await until('the name db', async () => (await why(one, 'web', 'db:80')).cause === null || undefined);
});
after(() => cluster?.close());

async function start(machine: Machine, name: string, ...options: string[]): Promise<void> {
  await machine.dockerOk('run', '-d', '--name', name, ...options, 'busybox', 'sleep', '1000');
  await machine.serve(await machine.containerPid(name), name, [{ protocol: 'tcp', port: 80 }]);
}

async function why(machine: Machine, from: string, to: string): Promise<Answer> {
  const answer = await machine.api('GET', `/gangway/why?${new URLSearchParams({ from, to, probe: '0' })}`);
  assert.equal(answer.status, 200, answer.body);
  return JSON.parse(answer.body) as Answer;
}

const address = (machine: Machine, name: string, network: string): Promise<string> =>
  machine.dockerOk('inspect', '-f', `{{.NetworkSettings.Networks.${network}.IPAddress}}`, name);
const ask = async (machine: Machine, from: string, to: string, port: number): Promise<boolean> =>
  (await machine.ask(await machine.containerPid(from), [{ protocol: 'tcp', address: to, port }])).join() !==
  '-';

test('a container of another host, by the tunnel', async () => {
  const answer = await why(one, 'web', 'db:80');
  assert.equal(answer.reachable, true, answer.sentence);
  assert.match(answer.sentence, new RegExp(`on the host ${cluster.address(1)}`));
  assert.ok(answer.steps.some(({ kind, to }) => kind === 'tunnel' && to === cluster.address(1)));
  assert.equal(await ask(one, 'web', await address(two, 'db', 'lamp'), 80), true);
});

test('a neighbour on the own host, the way out, and a published port', async () => {
  for (const [machine, from, to] of [
    [one, 'web', 'near:80'],
    [one, 'web', 'internet'],
    [two, 'outside', 'db:80'],
  ] as const) {
    const answer = await why(machine, from, to);
    assert.equal(answer.cause, null, answer.sentence);
    assert.equal(answer.reachable, true, answer.sentence);
  }
});

test('two overlay networks are apart', async () => {
  const near = await why(one, 'shop', 'near:80');
  assert.equal(near.cause, 'no-common-network', near.sentence);
  assert.match(near.sentence, /^No: shop is on lnmp, near is on lamp; networks are isolated\.$/);
  const away = await why(one, 'shop', `${await address(two, 'db', 'lamp')}:80`);
  assert.equal(away.cause, 'no-common-network', `${away.sentence} ${JSON.stringify(away.steps)}`);
  assert.equal(await ask(one, 'shop', await address(two, 'db', 'lamp'), 80), false);
});

test('a host that is cut off: its container is known to be away', async () => {
  const at = await address(two, 'db', 'lamp');
  await cluster.link(1, 'down');
  const answer = await until(
    'the host to be missed',
    async () => {
      const now = await why(one, 'web', `${at}:80`);
      return now.reachable ? undefined : now;
    },
    60,
  );
  assert.equal(answer.cause, 'host-away', answer.sentence);
  assert.equal(await ask(one, 'web', at, 80), false);
  await cluster.link(1, 'up');
});
