import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Answer } from '../../src/explain/answer.ts';
import type { Topology } from '../../src/model/topology.ts';
import { Cluster } from '../e2e/cluster.ts';
import type { Machine } from '../e2e/machine.ts';
import { HOST, OUTSIDE, OUTSIDE6 } from '../e2e/namespaces.ts';
import { ask, inside, ipv6Address, reaches, shown, start, transfer } from '../e2e/overlay-containers.ts';
import { must, until } from '../e2e/process.ts';

/** Two hosts and networks with IPv6: who is kept from whom, networks of other kinds, and what changes while traffic goes on. */
let cluster: Cluster;
let one: Machine;
let two: Machine;

before(async () => {
  cluster = await Cluster.start(2);
  [one, two] = cluster.hosts as [Machine, Machine];
  await cluster.createOverlay('lamp', '--ipv6', '--subnet', 'fd00:77::/64', '--subnet', '10.77.0.0/24');
  await cluster.createOverlay('shop', '--ipv6');
  await start(one, 'web1', '--network', 'lamp');
  await start(two, 'web2', '--network', 'lamp');
  await reaches(one, 'web1', 'fd00:77::40', /^web2 /);
});
after(() => cluster?.close());

const why = async (machine: Machine, from: string, to: string): Promise<Answer> =>
  JSON.parse(
    (await machine.api('GET', `/gangway/why?${new URLSearchParams({ from, to, probe: '0' })}`)).body,
  ) as Answer;

test('another overlay network, and the bridges, are apart, and gangway why says so', async () => {
  await one.dockerOk('network', 'create', '--ipv6', '--subnet', 'fd00:61::/64', 'local6');
  await start(one, 'stranger', '--network', 'shop');
  await start(one, 'bridged', '--network', 'local6');
  for (const name of ['stranger', 'bridged']) {
    for (const to of ['fd00:77::2', 'fd00:77::40'])
      assert.equal(await ask(one, name, to), '-', `${name} ${to}`);
    const answer = await why(one, name, '[fd00:77::40]:80');
    assert.deepEqual([answer.reachable, answer.cause], [false, 'no-common-network'], answer.sentence);
  }
  assert.notEqual((await one.docker('exec', 'stranger', 'nslookup', '-type=AAAA', 'web2')).status, 0);
  const answer = await why(one, 'web1', '[fd00:77::40]:80');
  assert.equal(answer.reachable, true, answer.sentence);
  assert.match(answer.sentence, new RegExp(`on the host ${cluster.address(1)}`));
  assert.ok(answer.steps.some(({ kind, to }) => kind === 'tunnel' && to === cluster.address(1)));
  const closed = await why(two, 'fd00:77::2', '[fd00:77::40]:81');
  assert.deepEqual([closed.reachable, closed.cause], [false, 'nothing-listens'], closed.sentence);
  const topology = JSON.parse((await one.api('GET', '/gangway/topology')).body) as Topology;
  const lamp = topology.networks.find(({ name }) => name === 'lamp');
  assert.deepEqual(
    lamp?.families.map(({ subnet }) => subnet),
    ['10.77.0.0/24', 'fd00:77::/64'],
  );
  assert.ok(topology.endpoints.some(({ addresses }) => addresses.includes('fd00:77::40')));
  const picture = (await one.gangway('topology', 'lamp')).stdout;
  assert.ok(picture.includes('fd00:77::/64') && picture.includes('fd00:77::40'), picture);
  assert.ok(
    picture.split('\n').every((line) => line.length <= 80),
    picture,
  );
  await one.dockerOk('rm', '-f', 'stranger', 'bridged');
});

test('what another has, a container cannot send with: on the own host it is dropped', async () => {
  await start(one, 'thief', '--network', 'lamp');
  const own = await ipv6Address(one, 'thief');
  const change = async (from: string, to: string): Promise<void> => {
    const ip = [...(await inside(one, 'thief')), 'ip', '-6', 'addr'];
    await must([...ip, 'del', `${from}/64`, 'dev', 'eth0']);
    await must([...ip, 'add', `${to}/64`, 'dev', 'eth0', 'nodad']);
  };
  const hearing = `require('node:dgram').createSocket('udp6')
    .on('message', (text, { address }) => console.log(String(text), address))
    .bind(5300, () => console.log('HEARING'))`;
  const ear = await two.spawnHelper(
    [...(await inside(two, 'web2')), process.execPath, '-e', hearing],
    'HEARING',
  );
  let heard = '';
  ear.stdout?.on('data', (chunk: Buffer) => {
    heard += chunk.toString();
  });
  const say = async (text: string): Promise<void> => {
    const saying = `const socket = require('node:dgram').createSocket('udp6');
      socket.send('${text}', 5300, 'fd00:77::40', () => socket.close())`;
    await must([...(await inside(one, 'thief')), process.execPath, '-e', saying]);
  };
  assert.match(await ask(one, 'thief', 'fd00:77::40'), /^web2 /);
  await change(own, 'fd00:77::2');
  await say('forged');
  await change('fd00:77::2', own);
  await until('the honest one to be heard', async () => {
    await say('honest');
    return heard.includes('honest') ? true : undefined;
  });
  assert.doesNotMatch(heard, /forged/);
  assert.ok(heard.startsWith(`honest ${own}\n`), heard);
  await one.dockerOk('rm', '-f', 'thief');
});

test('an address comes back with another MAC: who talked to it a moment ago reaches it at once', async () => {
  await start(two, 'fixed', '--network', 'lamp', '--ip6', 'fd00:77::1:5');
  await reaches(one, 'web1', 'fd00:77::1:5', /^fixed /);
  const mac = (): Promise<string> => shown(two, 'fixed', 'MacAddress');
  const [before, began] = [await mac(), await ask(one, 'web1', 'fd00:77::1:5')];
  assert.match(began, /^fixed /);
  await two.dockerOk('rm', '-f', 'fixed');
  await start(two, 'fixed', '--network', 'lamp', '--ip6', 'fd00:77::1:5', '--ip', '10.77.0.30');
  assert.notEqual(await mac(), before);
  await until('the other host to know', async () =>
    (await one.host(['ip', '-6', 'neigh', 'show', 'fd00:77::1:5'])).stdout.includes(await mac())
      ? true
      : undefined,
  );
  assert.match(await ask(one, 'web1', 'fd00:77::1:5'), /^fixed fd00:77::2 /);
});

test('--internal: the hosts reach each other, and nothing leads out', async () => {
  await cluster.createOverlay('vault', '--ipv6', '--internal', '--subnet', 'fd00:79::/64');
  await start(two, 'safe2', '--network', 'vault');
  await start(one, 'safe1', '--network', 'vault');
  await reaches(two, 'safe2', await ipv6Address(one, 'safe1', 'vault'), /^safe1 fd00:79::/);
  assert.equal(await ask(one, 'safe1', OUTSIDE6, 7000), '-');
  assert.equal(await must([...(await inside(one, 'safe1')), 'ip', '-6', 'route', 'show', 'default']), '');
  for (const [machine, name] of [
    [two, 'safe2'],
    [one, 'safe1'],
  ] as const)
    await machine.dockerOk('rm', '-f', name);
});

test('a network of IPv6 alone', async () => {
  await cluster.createOverlay('six', '--ipv6', '--ipv4=false', '--subnet', 'fd00:66::/64');
  await start(one, 'six1', '--network', 'six');
  await start(two, 'six2', '--network', 'six');
  assert.deepEqual(
    [await one.address('six1', 'six'), await ipv6Address(one, 'six1', 'six')],
    ['', 'fd00:66::2'],
  );
  await reaches(two, 'six2', 'fd00:66::2', /^six1 fd00:66::40 /);
  await reaches(two, 'six2', 'six1', /^six1 fd00:66::40 /);
  // The way out is the host's, as for every overlay network.
  await one.serve(one.namespaces.outside, 'outside', [{ protocol: 'tcp', port: 7000 }]);
  assert.equal(await ask(one, 'six1', OUTSIDE, 7000), `outside ${HOST} 7000`);
  await one.dockerOk('rm', '-f', 'six1');
  await two.dockerOk('rm', '-f', 'six2');
});

test('where the uplink leaves less than IPv6 needs, packets go in pieces between the hosts', async () => {
  const set = async (mtu: string): Promise<void> => {
    for (const machine of [one, two]) await machine.host(['ip', 'link', 'set', 'cl0', 'mtu', mtu]);
  };
  const mtu = (): Promise<string> => two.dockerOk('exec', 'web2', 'cat', '/sys/class/net/eth0/mtu');
  await set('1300');
  await until('the MTU to follow', async () => ((await mtu()) === '1280' ? true : undefined));
  assert.match(await ask(one, 'web1', 'fd00:77::40'), /^web2 /);
  assert.equal(await transfer(two, 'web2', one, 'web1', 9001), '20000000');
  await set('1500');
  await until('the MTU to follow', async () => ((await mtu()) === '1450' ? true : undefined));
  assert.match(await ask(one, 'web1', 'fd00:77::40'), /^web2 /);
});
