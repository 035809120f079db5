import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Cluster } from '../e2e/cluster.ts';
import { CACHE } from '../e2e/engine-under-test.ts';
import type { Machine } from '../e2e/machine.ts';
import { HOST, OUTSIDE } from '../e2e/namespaces.ts';
import { ask, start } from '../e2e/overlay-containers.ts';
import { must, until } from '../e2e/process.ts';

let cluster: Cluster;
let one: Machine;
let two: Machine;
let three: Machine;

before(async () => {
  cluster = await Cluster.start(3);
  [one, two, three] = cluster.hosts as [Machine, Machine, Machine];
});
after(() => cluster?.close());

const everywhere = async (what: string, test: (machine: Machine) => Promise<boolean>): Promise<void> => {
  for (const machine of cluster.hosts)
    await until(what, async () => ((await test(machine)) ? true : undefined));
};
const networks = (machine: Machine): Promise<string> =>
  machine.dockerOk('network', 'ls', '--filter', 'driver=overlay', '--format', '{{.Name}} {{.Scope}}');
const address = (machine: Machine, name: string): Promise<string> => machine.address(name, 'lamp');

/** Of the networks that containers are on. */
const forwardings = async (machine: Machine): Promise<string> =>
  (await machine.host(['sh', '-c', 'bridge fdb | grep -v vx-health'])).stdout;

test('docker network create -d overlay lamp on one host: it is there on all', async () => {
  await one.dockerOk('network', 'create', '-d', 'overlay', 'lamp');
  await everywhere('the network', async (machine) => (await networks(machine)) === 'lamp global');
  const taken = await two.docker('network', 'create', '-d', 'overlay', 'lamp');
  assert.match(taken.stderr, /network with name lamp already exists/);
});

test('gangway cluster tells hosts and networks', async () => {
  const told = await must(two.gangwayCommand('cluster'));
  assert.match(told, /The cluster store is reached/);
  for (const n of [0, 1, 2]) assert.ok(told.includes(cluster.address(n)), told);
  assert.match(told, /lamp +10\.0\.0\.0\/24 +4096/);
});

test('containers on three hosts reach each other by address, in both directions', async () => {
  await start(one, 'web1', '--network', 'lamp');
  await start(two, 'web2', '--network', 'lamp');
  await start(three, 'web3', '--network', 'lamp', '-p', '8080:80');
  const all = [
    [one, 'web1'],
    [two, 'web2'],
    [three, 'web3'],
  ] as const;
  const addresses = await Promise.all(all.map(([machine, name]) => address(machine, name)));
  assert.equal(new Set(addresses).size, 3, addresses.join());
  for (const [machine, name] of all) {
    for (const [i, [, other]] of all.entries()) {
      await until(`${name} to reach ${other}`, async () =>
        (await ask(machine, name, addresses[i] ?? '')).startsWith(`${other} `) ? true : undefined,
      );
    }
  }
});

test('docker network inspect tells its hosts, on each of them; and where nobody is on it, nobody', async () => {
  await everywhere('three peers', async (machine) => {
    const peers = await machine.dockerOk(
      'network',
      'inspect',
      '-f',
      '{{range .Peers}}{{.IP}} {{end}}',
      'lamp',
    );
    return peers.trim().split(' ').toSorted().join() === [0, 1, 2].map((n) => cluster.address(n)).join();
  });
  await one.dockerOk('network', 'create', '-d', 'overlay', 'empty');
  await everywhere('the empty one', async (machine) => (await networks(machine)).includes('empty'));
  assert.equal(await two.dockerOk('network', 'inspect', '-f', '{{json .Peers}}', 'empty'), '[]');
  await two.dockerOk('network', 'prune', '-f');
  await everywhere(
    'only the unused to be pruned',
    async (machine) => (await networks(machine)) === 'lamp global',
  );
});

test('and by name', async () => {
  for (const name of ['web1', 'web2', 'web3']) {
    const found = await one.dockerOk('exec', 'web1', 'nslookup', '-type=A', name);
    assert.match(found, /Address: 10\./, found);
  }
});

test('large transfers arrive whole: the MTU leaves room for the tunnel', async () => {
  assert.equal(await two.dockerOk('exec', 'web2', 'cat', '/sys/class/net/eth0/mtu'), '1450');
  const inside = async (machine: Machine, name: string): Promise<string[]> => [
    ...['nsenter', '-t', String(await machine.containerPid(name)), '-n', process.execPath, '-e'],
  ];
  const server = `require('node:net').createServer((s) => s.end(Buffer.alloc(20000000, 7)))
    .listen(9000, () => console.log('SERVING'))`;
  await two.spawnHelper([...(await inside(two, 'web2')), server], 'SERVING');
  const client = `let n = 0; require('node:net').connect(9000, '${await address(two, 'web2')}')
    .on('data', (d) => { n += d.length; }).on('close', () => console.log(n))`;
  assert.equal(await must([...(await inside(one, 'web1')), client]), '20000000');
});

test('the MTU follows that of the interface the tunnels go by', async () => {
  const mtu = (): Promise<string> => two.dockerOk('exec', 'web2', 'cat', '/sys/class/net/eth0/mtu');
  for (const [uplink, inside] of [
    ['1400', '1350'],
    ['1500', '1450'],
  ] as const) {
    await two.host(['ip', 'link', 'set', 'cl0', 'mtu', uplink]);
    await until('the MTU to follow', async () => ((await mtu()) === inside ? true : undefined));
    const links = await two.host(['ip', '-o', 'link', 'show', 'type', 'vxlan']);
    assert.ok(links.stdout.includes(`mtu ${inside}`), links.stdout);
  }
});

test('the outside is reached through the own host, and a published port answers there', async () => {
  await three.serve(three.namespaces.outside, 'outside', [{ protocol: 'tcp', port: 7000 }]);
  assert.equal(await ask(three, 'web3', OUTSIDE, 7000), `outside ${HOST} 7000`);
  const published = await three.ask(three.namespaces.outside, [
    { protocol: 'tcp', address: HOST, port: 8080 },
  ]);
  assert.deepEqual(published, [`web3 ${OUTSIDE} 80`]);
  assert.equal(await three.dockerOk('inspect', '-f', '{{len .NetworkSettings.Networks}}', 'web3'), '1');
  assert.equal(await three.dockerOk('port', 'web3'), '80/tcp -> 0.0.0.0:8080');
});

test('another overlay network, and the bridges, are apart', async () => {
  await two.dockerOk('network', 'create', '-d', 'overlay', 'lnmp');
  await everywhere('the second network', async (machine) =>
    (await networks(machine)).includes('lnmp global'),
  );
  await start(three, 'stranger', '--network', 'lnmp');
  await start(two, 'bridged');
  for (const [machine, name] of [
    [three, 'stranger'],
    [two, 'bridged'],
  ] as const) {
    assert.equal(await ask(machine, name, await address(one, 'web1')), '-');
  }
  assert.notEqual((await three.docker('exec', 'stranger', 'nslookup', '-type=A', 'web1')).status, 0);
});

test('a network is not removed while a container of any host is on it', async () => {
  const refused = await one.docker('network', 'rm', 'lnmp');
  assert.match(refused.stderr, /has active endpoints \(name:"stranger"/);
  await three.dockerOk('rm', '-f', 'stranger');
  await until('the network to be removable', async () =>
    (await one.docker('network', 'rm', 'lnmp')).status === 0 ? true : undefined,
  );
  await everywhere('it to be gone', async (machine) => (await networks(machine)) === 'lamp global');
});

test('a container that is gone is gone from names and tables of all hosts; its tunnel goes with the last', async () => {
  await two.dockerOk('rm', '-f', 'web2');
  await until('the name to go', async () =>
    (await one.docker('exec', 'web1', 'nslookup', '-type=A', 'web2')).status !== 0 ? true : undefined,
  );
  const links = await two.host(['ip', '-br', 'link', 'show', 'type', 'vxlan']);
  assert.match(links.stdout, /^vx-health .*\n$/);
  const entries = await forwardings(one);
  assert.ok(!entries.includes(`dst ${cluster.address(1)}`), entries);
});

test('the daemon may die: traffic goes on, and it finds all again', async () => {
  await one.stopDaemon('SIGKILL');
  assert.match(await ask(three, 'web3', await address(three, 'web3')), /^web3 /);
  await one.startDaemon();
  assert.equal(await networks(one), 'lamp global');
  await until('the others to be reached', async () =>
    (await ask(one, 'web1', await address(three, 'web3'))).startsWith('web3 ') ? true : undefined,
  );
});

test('a host is cut off while both sides start containers: nothing is given twice, and all meet again', async () => {
  await cluster.link(2, 'down');
  await Promise.all([
    start(three, 'island', '--network', 'lamp'),
    start(one, 'mainland', '--network', 'lamp'),
  ]);
  assert.match(await ask(three, 'web3', await address(three, 'island')), /^island /);
  await cluster.link(2, 'up');
  const found = async (machine: Machine, from: string, name: string): Promise<true | undefined> =>
    (await machine.docker('exec', from, 'nslookup', '-type=A', name)).status === 0 ? true : undefined;
  await until('the island to be known', () => found(one, 'mainland', 'island'), 30);
  await until('the mainland to be known', () => found(three, 'island', 'mainland'), 30);
  const addresses = [
    await address(three, 'island'),
    await address(one, 'mainland'),
    await address(three, 'web3'),
  ];
  assert.equal(new Set(addresses).size, 3, addresses.join());
  assert.match(await ask(one, 'mainland', addresses[0] ?? ''), /^island /);
  await three.dockerOk('rm', '-f', 'island');
  await one.dockerOk('rm', '-f', 'mainland');
});

test('compose files on two hosts share an external overlay network', async () => {
  const project = (name: string): string => `
name: ${name}
services:
  ${name}:
    image: busybox
    command: sleep 1000
    dns_search: ["."]
    networks: [lamp]
networks:
  lamp: { external: true }
`;
  const compose = (machine: Machine, ...args: string[]): Promise<string> => {
    const environment = [
      'env',
      '-C',
      join(machine.directory, 'project'),
      `DOCKER_CONFIG=${machine.directory}/config`,
    ];
    return must([...environment, ...machine.dockerCommand('compose', ...args)]);
  };
  const sides = [
    [one, 'front', 'back'],
    [two, 'back', 'front'],
  ] as const;
  for (const [machine, name] of sides) {
    mkdirSync(join(machine.directory, 'config/cli-plugins'), { recursive: true });
    copyFileSync(join(CACHE, 'docker-compose'), join(machine.directory, 'config/cli-plugins/docker-compose'));
    mkdirSync(join(machine.directory, 'project'));
    writeFileSync(join(machine.directory, 'project/compose.yaml'), project(name));
    await compose(machine, 'up', '-d', '--quiet-pull');
  }
  for (const [machine, name, other] of sides) {
    await until(`${name} to find ${other}`, async () => {
      const answer = await compose(machine, 'exec', '-T', name, 'nslookup', '-type=A', other).catch(() => '');
      return /Address: 10\./.test(answer) ? true : undefined;
    });
  }
  for (const [machine] of sides) await compose(machine, 'down', '-t', '0');
});

test('a host dies: its containers leave the names after its lease, and come back with it', async () => {
  const to = await address(three, 'web3');
  await cluster.link(2, 'down');
  await until(
    'the names to go',
    async () =>
      (await one.docker('exec', 'web1', 'nslookup', '-type=A', 'web3')).status !== 0 ? true : undefined,
    30,
  );
  const entries = await forwardings(one);
  assert.ok(entries.includes(`dst ${cluster.address(2)}`), 'a lease is no sign for the data path');
  await cluster.link(2, 'up');
  assert.match(await ask(one, 'web1', to), /^web3 /);
  await until(
    'the names to be back',
    async () =>
      (await one.docker('exec', 'web1', 'nslookup', '-type=A', 'web3')).status === 0 ? true : undefined,
    30,
  );
});

test('a daemon that starts while the store is away leaves the data path as it was', async () => {
  const to = await address(three, 'web3');
  await cluster.stopStore();
  await one.stopDaemon('SIGKILL');
  await one.startDaemon();
  assert.match(await ask(one, 'web1', to), /^web3 /);
  assert.equal(await networks(one), 'lamp global');
  await cluster.startStore();
});

test('the store goes away: traffic, names and local starts go on, cluster changes fail at once, all is caught up', async () => {
  const to = await address(three, 'web3');
  await cluster.stopStore();
  assert.match(await ask(one, 'web1', to), /^web3 /);
  await start(one, 'local', '--network', 'lamp');
  // The others hear of it when the store is back; on its own host it is there at once.
  assert.match(await ask(one, 'web1', await address(one, 'local')), /^local /);
  assert.match(await one.dockerOk('exec', 'local', 'nslookup', '-type=A', 'web3'), /Address: 10\./);
  const begin = performance.now();
  const refused = await one.docker('network', 'create', '-d', 'overlay', 'late');
  assert.match(refused.stderr, /the cluster store does not answer/);
  assert.ok(performance.now() - begin < 6000);
  await cluster.startStore();
  await until('the new container to be known on the other host', async () =>
    (await three.docker('exec', 'web3', 'nslookup', '-type=A', 'local')).status === 0 ? true : undefined,
  );
  assert.match(await ask(three, 'web3', await address(one, 'local')), /^local /);
});
