import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Cluster } from '../e2e/cluster.ts';
import type { Machine } from '../e2e/machine.ts';
import { HOST, HOST6, OUTSIDE, OUTSIDE6 } from '../e2e/namespaces.ts';
import { ask, inside, ipv6Address, reaches, shown, start, transfer } from '../e2e/overlay-containers.ts';
import { must, until } from '../e2e/process.ts';

/** Overlay networks with IPv6, on three hosts. The third has made docker_gwbridge with IPv6 before its first container. */
let cluster: Cluster;
let one: Machine;
let two: Machine;
let three: Machine;

before(async () => {
  cluster = await Cluster.start(3);
  [one, two, three] = cluster.hosts as [Machine, Machine, Machine];
});
after(() => cluster?.close());

const blocks = async (): Promise<string> =>
  (await cluster.store('get', '--prefix', '/gangway/v1/blocks/', '--keys-only')).stdout;
test('docker network create -d overlay --ipv6 --subnet …: every host shows both subnets and gateways', async () => {
  await cluster.createOverlay('lamp', '--ipv6', '--subnet', 'fd00:77::/64', '--subnet', '10.77.0.0/24');
  for (const machine of cluster.hosts) {
    const told = await machine.dockerOk(
      ...['network', 'inspect', 'lamp', '-f'],
      '{{.EnableIPv6}} {{range .IPAM.Config}}{{.Subnet}} {{.Gateway}} {{end}}',
    );
    assert.equal(told, 'true 10.77.0.0/24 10.77.0.1 fd00:77::/64 fd00:77::1');
  }
});

test('without a subnet it gets one of unique local addresses; gangway cluster tells of both', async () => {
  await cluster.createOverlay('shop', '--ipv6');
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
  const addresses = await Promise.all(all.map(([machine, name]) => ipv6Address(machine, name)));
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
  assert.equal(await ipv6Address(two, 'fixed'), 'fd00:77::1:5');
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
  assert.match(await ask(three, 'web3', await ipv6Address(three, 'island')), /^island /);
  await cluster.link(2, 'up');
  await until(
    'the island to be found',
    async () => (/^island /.test(await ask(one, 'mainland', 'island')) ? true : undefined),
    30,
  );
  const addresses = [
    ...[
      await ipv6Address(three, 'island'),
      await ipv6Address(one, 'mainland'),
      await ipv6Address(three, 'web3'),
    ],
    await ipv6Address(one, 'web1'),
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
  for (const name of ['lamp', 'shop', 'four']) {
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
