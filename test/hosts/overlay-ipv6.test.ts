import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Answer } from '../../src/explain/answer.ts';
import type { Topology } from '../../src/model/topology.ts';
import { Cluster } from '../e2e/cluster.ts';
import { MACHINES } from '../e2e/engine-under-test.ts';
import type { Machine } from '../e2e/machine.ts';
import { HOST, HOST6, OUTSIDE, OUTSIDE6 } from '../e2e/namespaces.ts';
import { must, until } from '../e2e/process.ts';

/** Overlay networks with IPv6, on three hosts. The third has made docker_gwbridge with IPv6 before its first container. */
const directory = mkdtempSync(join(MACHINES, 'gangway-cluster-'));
let cluster: Cluster;
let one: Machine;
let two: Machine;
let three: Machine;

before(async () => {
  cluster = await Cluster.start(3, directory);
  [one, two, three] = cluster.hosts as [Machine, Machine, Machine];
});
after(async () => {
  await cluster?.close();
  rmSync(directory, { recursive: true, force: true });
});

const create = async (name: string, ...options: string[]): Promise<void> => {
  await one.dockerOk('network', 'create', '-d', 'overlay', '--ipv6', ...options, name);
  for (const machine of cluster.hosts)
    await until(`the network ${name}`, async () =>
      (await machine.docker('network', 'inspect', name)).status === 0 ? true : undefined,
    );
};
const shown = (machine: Machine, name: string, field: string, network = 'lamp'): Promise<string> =>
  machine.dockerOk('inspect', '-f', `{{(index .NetworkSettings.Networks "${network}").${field}}}`, name);
const address = (machine: Machine, name: string, network?: string): Promise<string> =>
  shown(machine, name, 'GlobalIPv6Address', network);
const ask = async (machine: Machine, from: string, to: string, port = 80): Promise<string> =>
  (await machine.ask(await machine.containerPid(from), [{ protocol: 'tcp', address: to, port }])).join();
const inside = async (machine: Machine, name: string): Promise<string[]> => [
  ...['nsenter', '-t', String(await machine.containerPid(name)), '-n'],
];
const reaches = (machine: Machine, from: string, to: string, words: RegExp): Promise<true> =>
  until(`${from} to reach ${to}`, async () =>
    words.test(await ask(machine, from, to)) ? (true as const) : undefined,
  );
const blocks = async (): Promise<string> =>
  (await cluster.store('get', '--prefix', '/gangway/v1/blocks/', '--keys-only')).stdout;
const why = async (machine: Machine, from: string, to: string): Promise<Answer> =>
  JSON.parse(
    (await machine.api('GET', `/gangway/why?${new URLSearchParams({ from, to, probe: '0' })}`)).body,
  ) as Answer;

async function start(machine: Machine, name: string, ...options: string[]): Promise<void> {
  await machine.dockerOk(
    'run',
    '-d',
    '--name',
    name,
    '--dns-search',
    '.',
    ...options,
    'busybox',
    'sleep',
    '1000',
  );
  await machine.serve(await machine.containerPid(name), name, [
    { protocol: 'tcp', port: 80 },
    { protocol: 'udp', port: 80 },
  ]);
}

/** How many bytes arrive of 20,000,000 that one container sends another. */
async function transfer(
  from: Machine,
  server: string,
  to: Machine,
  client: string,
  port: number,
): Promise<string> {
  const serving = `require('node:net').createServer((s) => s.end(Buffer.alloc(20000000, 7)))
    .listen(${port}, '::', () => console.log('SERVING'))`;
  await from.spawnHelper([...(await inside(from, server)), process.execPath, '-e', serving], 'SERVING');
  const asking = `let n = 0; require('node:net').connect(${port}, '${await address(from, server)}')
    .on('data', (d) => { n += d.length; }).on('close', () => console.log(n))`;
  return must([...(await inside(to, client)), process.execPath, '-e', asking]);
}

test('docker network create -d overlay --ipv6 --subnet …: every host shows both subnets and gateways', async () => {
  await create('lamp', '--subnet', 'fd00:77::/64', '--subnet', '10.77.0.0/24');
  for (const machine of cluster.hosts) {
    const told = await machine.dockerOk(
      ...['network', 'inspect', 'lamp', '-f'],
      '{{.EnableIPv6}} {{range .IPAM.Config}}{{.Subnet}} {{.Gateway}} {{end}}',
    );
    assert.equal(told, 'true 10.77.0.0/24 10.77.0.1 fd00:77::/64 fd00:77::1');
  }
});

test('without a subnet it gets one of unique local addresses; gangway cluster tells of both', async () => {
  await create('shop');
  const config = await two.dockerOk('network', 'inspect', 'shop', '-f', '{{json .IPAM.Config}}');
  assert.match(config, /"Subnet":"fd[0-9a-f:]+::\/64"/);
  const told = await must(two.gangwayCommand('cluster'));
  assert.match(told, /lamp +10\.77\.0\.0\/24 fd00:77::\/64 +4096/);
});

test('containers of three hosts reach each other by IPv6 address, in both directions; IPv4 is as it was', async () => {
  await three.dockerOk(
    ...['network', 'create', '--ipv6', '--subnet', 'fd00:60::/64'],
    ...['-o', 'com.docker.network.bridge.name=docker_gwbridge'],
    ...['-o', 'com.docker.network.bridge.enable_icc=false', 'docker_gwbridge'],
  );
  await start(one, 'web1', '--network', 'lamp', '-p', '8080:80');
  await start(two, 'web2', '--network', 'lamp');
  await start(three, 'web3', '--network', 'lamp', '-p', '8080:80');
  const all = [
    [one, 'web1'],
    [two, 'web2'],
    [three, 'web3'],
  ] as const;
  const addresses = await Promise.all(all.map(([machine, name]) => address(machine, name)));
  // The gateway's comes first, and every host has a block of its own.
  assert.deepEqual(addresses, ['fd00:77::2', 'fd00:77::40', 'fd00:77::80']);
  for (const [at, [machine, name]] of all.entries()) {
    for (const [i, [, other]] of all.entries()) {
      await reaches(machine, name, addresses[i] ?? '', new RegExp(`^${other} ${addresses[at]} `));
    }
    assert.equal(await shown(machine, name, 'GlobalIPv6PrefixLen'), '64');
    assert.equal(await shown(machine, name, 'IPv6Gateway'), 'fd00:77::1');
  }
  assert.match(await ask(one, 'web1', await two.address('web2', 'lamp')), /^web2 10\.77\.0\./);
  assert.equal(
    await three.dockerOk(
      ...['network', 'inspect', 'lamp', '-f'],
      '{{range .Containers}}{{.Name}} {{.IPv6Address}}{{end}}',
    ),
    'web3 fd00:77::80/64',
  );
});

test('and by name: AAAA and A, and the name of an address', async () => {
  for (const [name, at] of [
    ['web1', 'fd00:77::2'],
    ['web2', 'fd00:77::40'],
    ['web3', 'fd00:77::80'],
  ] as const) {
    const found = await one.dockerOk('exec', 'web1', 'nslookup', '-type=AAAA', name);
    assert.ok(found.includes(`Address: ${at}`), found);
    assert.match(await one.dockerOk('exec', 'web1', 'nslookup', '-type=A', name), /Address: 10\.77\.0\./);
  }
  assert.match(await one.dockerOk('exec', 'web1', 'nslookup', 'fd00:77::80'), /web3\.lamp/);
});

test('large transfers arrive whole, and datagrams in pieces', async () => {
  assert.equal(await two.dockerOk('exec', 'web2', 'cat', '/sys/class/net/eth0/mtu'), '1450');
  assert.equal(await transfer(two, 'web2', one, 'web1', 9000), '20000000');
  const ping = await one.dockerOk('exec', 'web1', 'ping', '-6', '-c', '2', '-s', '8000', 'fd00:77::80');
  assert.match(ping, / 0% packet loss/);
});

test('neighbours are answered for on the own host: to nobody nothing goes out, and nothing is flooded', async () => {
  const rules = `table bridge watch { chain forward { type filter hook forward priority 0; udp dport 4789 counter; }; }`;
  await cluster.onUnderlay('nft', rules);
  const passed = async (): Promise<number> => {
    const listing = await cluster.onUnderlay('nft', 'list', 'table', 'bridge', 'watch');
    return Number(/packets (\d+)/.exec(listing)?.[1]);
  };
  const before = await passed();
  for (const nobody of ['fd00:77::3', 'fd00:77::41', 'fd00:77::abcd']) {
    assert.equal(await ask(one, 'web1', nobody), '-');
  }
  assert.equal(await passed(), before, 'frames to nobody left the host');
  // A neighbour that is known is asked for again, and the question does not leave either.
  const flush = [...(await inside(one, 'web1')), 'ip', '-6', 'neigh', 'flush', 'dev', 'eth0'];
  await must(flush);
  assert.match(await ask(one, 'web1', 'fd00:77::40'), /^web2 /);
  const answered = await passed();
  assert.ok(answered > before, 'the counter counts');
  const neighbours = await one.host(['ip', '-6', 'neigh', 'show', 'nud', 'permanent']);
  for (const at of ['fd00:77::40', 'fd00:77::80'])
    assert.ok(neighbours.stdout.includes(at), neighbours.stdout);
  const entries = (await one.host(['bridge', 'fdb'])).stdout;
  assert.ok(!/^(00:00:00:00:00:00|33:33\S+) dev vx-\S+ dst/m.test(entries), entries);
});

test('--ip6: what is free is given, what is another’s or of another network is refused, and nothing is changed', async () => {
  await start(two, 'fixed', '--network', 'lamp', '--ip6', 'fd00:77::1:5');
  assert.equal(await address(two, 'fixed'), 'fd00:77::1:5');
  await reaches(one, 'web1', 'fd00:77::1:5', /^fixed fd00:77::2 /);
  await reaches(one, 'web1', 'fixed', /^fixed /);
  const before = await blocks();
  const refused = async (ip6: string, network = 'lamp'): Promise<string> => {
    const result = await one.docker('run', '-d', '--network', network, '--ip6', ip6, 'busybox', 'sleep', '9');
    assert.notEqual(result.status, 0, ip6);
    return result.stderr;
  };
  assert.match(
    await refused('fd00:77::1:6'),
    /fd00:77::1:6 is of the block fd00:77::1:0\/122, which another host has/,
  );
  assert.match(await refused('fd00:77::2'), /Address already in use/);
  assert.match(await refused('fd00:77::1'), /Address already in use/);
  assert.match(
    await refused('fd00:78::5'),
    /no configured subnet or ip-range contain the IP address fd00:78::5/,
  );
  assert.match(await refused('10.77.0.9'), /invalid IPv6 address/);
  await one.dockerOk('network', 'create', '-d', 'overlay', 'four');
  assert.match(
    await refused('fd00:77::2:5', 'four'),
    /no configured subnet or ip-range contain the IP address fd00:77::2:5/,
  );
  assert.equal(await blocks(), before);
  assert.equal(await one.dockerOk('network', 'inspect', '-f', '{{len .Containers}}', 'lamp'), '1');
  // The family that nobody chose an address of goes on from the block of before.
  assert.match(await two.address('fixed', 'lamp'), /^10\.77\.0\.17$/);
});

test('an address comes back with another MAC: who talked to it a moment ago reaches it at once', async () => {
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

test('what another has, a container cannot send with: on the own host it is dropped', async () => {
  await start(one, 'thief', '--network', 'lamp');
  const own = await address(one, 'thief');
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

test('published ports and the way out are the gateway network’s: of IPv6 where that has it', async () => {
  const from = (machine: Machine, target: string): Promise<string[]> =>
    machine.ask(machine.namespaces.outside, [{ protocol: 'tcp', address: target, port: 8080 }]);
  for (const machine of [one, three]) {
    await machine.serve(machine.namespaces.outside, 'outside', [{ protocol: 'tcp', port: 7000 }]);
  }
  assert.deepEqual(await from(one, HOST), [`web1 ${OUTSIDE} 80`]);
  assert.deepEqual(await from(one, HOST6), ['-']);
  assert.equal(await ask(one, 'web1', OUTSIDE, 7000), `outside ${HOST} 7000`);
  assert.equal(await ask(one, 'web1', OUTSIDE6, 7000), '-');
  assert.deepEqual(await from(three, HOST), [`web3 ${OUTSIDE} 80`]);
  assert.deepEqual(await from(three, HOST6), [`web3 ${OUTSIDE6} 80`]);
  assert.equal(await ask(three, 'web3', OUTSIDE6, 7000), `outside ${HOST6} 7000`);
  assert.equal(await three.dockerOk('inspect', '-f', '{{len .NetworkSettings.Networks}}', 'web3'), '1');
});

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
  assert.ok(topology.endpoints.some(({ addresses }) => addresses.includes('fd00:77::80')));
  const picture = (await one.gangway('topology', 'lamp')).stdout;
  assert.ok(picture.includes('fd00:77::/64') && picture.includes('fd00:77::80'), picture);
  assert.ok(
    picture.split('\n').every((line) => line.length <= 80),
    picture,
  );
  await one.dockerOk('rm', '-f', 'stranger', 'bridged');
});

test('--internal: the hosts reach each other, and nothing leads out', async () => {
  await create('vault', '--internal', '--subnet', 'fd00:79::/64');
  await start(two, 'safe2', '--network', 'vault');
  await start(three, 'safe3', '--network', 'vault');
  await reaches(two, 'safe2', await address(three, 'safe3', 'vault'), /^safe3 fd00:79::/);
  assert.equal(await ask(three, 'safe3', OUTSIDE6, 7000), '-');
  assert.equal(await must([...(await inside(three, 'safe3')), 'ip', '-6', 'route', 'show', 'default']), '');
  for (const [machine, name] of [
    [two, 'safe2'],
    [three, 'safe3'],
  ] as const)
    await machine.dockerOk('rm', '-f', name);
});

test('a network of IPv6 alone', async () => {
  await create('six', '--ipv4=false', '--subnet', 'fd00:66::/64');
  await start(one, 'six1', '--network', 'six');
  await start(two, 'six2', '--network', 'six');
  assert.deepEqual([await one.address('six1', 'six'), await address(one, 'six1', 'six')], ['', 'fd00:66::2']);
  await reaches(two, 'six2', 'fd00:66::2', /^six1 fd00:66::40 /);
  await reaches(two, 'six2', 'six1', /^six1 fd00:66::40 /);
  // The way out is the host's, as for every overlay network.
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

test('the daemon may die: traffic goes on, and it finds all again', async () => {
  await one.stopDaemon('SIGKILL');
  assert.match(await ask(three, 'web3', 'fd00:77::2'), /^web1 /);
  await one.startDaemon();
  await reaches(one, 'web1', 'fd00:77::80', /^web3 /);
  assert.ok(!one.log.includes('the network was changed by another program'), 'nothing had to be put right');
});

test('a host is cut off while both sides start containers: nothing is given twice, and all meet again', async () => {
  await cluster.link(2, 'down');
  await Promise.all([
    start(three, 'island', '--network', 'lamp'),
    start(one, 'mainland', '--network', 'lamp'),
  ]);
  assert.match(await ask(three, 'web3', await address(three, 'island')), /^island /);
  await cluster.link(2, 'up');
  await until(
    'the island to be found',
    async () => (/^island /.test(await ask(one, 'mainland', 'island')) ? true : undefined),
    30,
  );
  const addresses = [
    ...[await address(three, 'island'), await address(one, 'mainland'), await address(three, 'web3')],
    await address(one, 'web1'),
  ];
  assert.equal(new Set(addresses).size, 4, addresses.join());
  await reaches(one, 'mainland', addresses[0] ?? '', /^island fd00:77::/);
  await three.dockerOk('rm', '-f', 'island');
  await one.dockerOk('rm', '-f', 'mainland');
});

test('a container that is gone leaves neighbours and names; a removed network leaves nothing', async () => {
  await two.dockerOk('rm', '-f', 'web2', 'fixed');
  await until('the name to go', async () =>
    (await one.docker('exec', 'web1', 'nslookup', '-type=AAAA', 'web2')).status !== 0 ? true : undefined,
  );
  const neighbours = async (machine: Machine): Promise<string> =>
    (await machine.host(['ip', '-6', 'neigh', 'show', 'nud', 'permanent'])).stdout;
  assert.ok(!(await neighbours(one)).includes('fd00:77::40'));
  await one.dockerOk('rm', '-f', 'web1');
  await three.dockerOk('rm', '-f', 'web3');
  for (const name of ['lamp', 'shop', 'vault', 'six', 'four']) {
    await until(`${name} to be removable`, async () =>
      (await one.docker('network', 'rm', name)).status === 0 ? true : undefined,
    );
  }
  for (const machine of cluster.hosts) {
    await until('the networks to go', async () =>
      (await machine.dockerOk('network', 'ls', '-q', '--filter', 'driver=overlay')) === '' ? true : undefined,
    );
    assert.equal(await neighbours(machine), '');
    const links = (await machine.host(['ip', '-br', 'link'])).stdout;
    assert.doesNotMatch(links, /(ov|vx)-(?!health)/);
  }
  const left = await cluster.store('get', '--prefix', '/gangway/v1/', '--keys-only');
  assert.doesNotMatch(left.stdout, /\/(nets|netnames|blocks|eps)\//);
});
