import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { IS_GANGWAY } from './engine-under-test.ts';
import { Machine } from './machine.ts';
import { HOST, NAME_SERVER } from './namespaces.ts';
import { ownVar } from './own-var.ts';
import { type Result, until } from './process.ts';

/** Networks, 1: the tutorial's third chapter, two databases on two networks, its commands word for word. */
let machine: Machine;
before(async () => {
  machine = await Machine.start({
    flags: ['--dns', NAME_SERVER, '--dns-search', '.'],
    prepare: ownVar,
  });
  const server = new URL('name-server.ts', import.meta.url).pathname;
  await machine.spawnHelper(machine.inOutside([process.execPath, server, NAME_SERVER]), 'SERVING');
});
after(() => machine.close());

/** A command of the tutorial as it is printed there. */
const typed = (command: string): Promise<string> => machine.dockerOk(...command.split(' ').slice(1));

const SITES = [
  { network: 'lamp', container: 'mysql1', port: 3306, other: 'lnmp', row: 'a gangway' },
  { network: 'lnmp', container: 'mysql2', port: 3307, other: 'lamp', row: 'a pier' },
] as const;

const sql = (port: number, statement: string): Promise<Result> => {
  const client = ['mariadb', '-h', HOST, '-P', String(port), '-uroot', '-p123456', '--connect-timeout=2'];
  return machine.outside([...client, '-N', '-e', statement], { timeout: 20 });
};

const subnetOf = (network: string): Promise<string> =>
  machine.dockerOk('network', 'inspect', '-f', '{{(index .IPAM.Config 0).Subnet}}', network);

/** Whether the network namespace of `pid` gets the greeting of a database there: it speaks first, in under a second. */
async function greeted(pid: number, address: string): Promise<boolean> {
  const [greeting = '-'] = await machine.ask(pid, [{ protocol: 'tcp', address, port: 3306 }]);
  return greeting.includes('MariaDB');
}

/** What a passing busybox is told for a name on a network: its address, or nothing. */
async function found(network: string, name: string): Promise<string | undefined> {
  const { stdout } = await machine.docker(
    ...['run', '--rm', '--network', network, 'busybox', 'nslookup', '-type=a', name],
  );
  return /Name:\s+\S+\nAddress: (\S+)/.exec(stdout)?.[1];
}

test('docker network ls: bridge, host and none', async () => {
  const [head = '', ...lines] = (await typed('docker network ls')).split('\n');
  assert.match(head, /^NETWORK ID +NAME +DRIVER +SCOPE$/);
  const rows = lines.map((line) => line.trim().split(/ {2,}/));
  for (const [id] of rows) assert.match(id ?? '', /^[0-9a-f]{12}$/);
  assert.deepEqual(
    rows.map(([, ...row]) => row),
    [
      ['bridge', 'bridge', 'local'],
      ['host', 'host', 'local'],
      ['none', 'null', 'local'],
    ],
  );
});

test('docker network create -d bridge: each has a bridge and a subnet of its own', async () => {
  const lamp = await typed('docker network create -d bridge lamp');
  const lnmp = await typed('docker network create -d bridge lnmp');
  const routes = (await machine.host(['ip', '-4', 'route'])).stdout;
  const subnets = await Promise.all(['bridge', 'lamp', 'lnmp'].map(subnetOf));
  assert.equal(new Set(subnets).size, 3, subnets.join(' '));
  for (const [index, bridge] of ['docker0', `br-${lamp.slice(0, 12)}`, `br-${lnmp.slice(0, 12)}`].entries()) {
    assert.match(bridge, /^(docker0|br-[0-9a-f]{12})$/);
    assert.match(routes, new RegExp(`^${subnets[index]?.replaceAll('.', '\\.')} dev ${bridge} `, 'm'));
  }
});

test('two databases with volumes: each answers a real client outside with what is its own', async () => {
  for (const { container, port, network } of SITES) {
    await typed(
      `docker run -itd --name ${container} -p ${port}:3306 --network ${network} ` +
        `-v /var/${container}/conf:/etc/mysql/conf.d -v /var/${container}/logs:/logs ` +
        `-v /var/${container}/data:/var/lib/mysql -e MYSQL_ROOT_PASSWORD=123456 mysql:5.7`,
    );
  }
  for (const { port, row } of SITES) {
    const up = async () => ((await sql(port, 'SELECT 1')).stdout.trim() === '1' ? true : undefined);
    await until(`the database on ${port}`, up, 90);
    const made = await sql(
      port,
      `CREATE DATABASE shop; CREATE TABLE shop.orders (what VARCHAR(40)); INSERT INTO shop.orders VALUES ('${row}');`,
    );
    assert.equal(made.status, 0, made.stderr);
  }
  for (const { port, row, container } of SITES) {
    assert.equal((await sql(port, 'SELECT what FROM shop.orders')).stdout.trim(), row);
    assert.match(
      await machine.dockerOk('port', container),
      new RegExp(`^3306/tcp -> 0\\.0\\.0\\.0:${port}$`, 'm'),
    );
    if (!IS_GANGWAY) continue;
    const listed = await machine.host(['ls', `/var/${container}`, `/var/${container}/data`]);
    assert.match(listed.stdout, /^conf\ndata\nlogs$[\s\S]*^shop$/m);
  }
});

test('docker network inspect lists the container, with its address in the subnet', async () => {
  for (const { network, container } of SITES) {
    const [shown] = JSON.parse(await typed(`docker network inspect ${network}`)) as [
      { Containers: Record<string, { Name: string; IPv4Address: string }> },
    ];
    const address = await machine.address(container, network);
    assert.deepEqual(
      Object.values(shown.Containers).map((each) => [each.Name, each.IPv4Address]),
      [[container, `${address}/16`]],
    );
    assert.equal(address.split('.', 2).join('.'), (await subnetOf(network)).split('.', 2).join('.'));
  }
});

test('a database is reached by address from its own network only', async () => {
  for (const { network, container, other } of SITES) {
    const address = await machine.address(container, network);
    const neighbour = await machine.dockerOk('run', '-d', '--network', network, 'busybox', 'sleep', '1000');
    assert.equal(
      await greeted(await machine.containerPid(neighbour.split('\n').at(-1) ?? ''), address),
      true,
    );
    const away = SITES.find((site) => site.network === other)?.container ?? '';
    assert.equal(await greeted(await machine.containerPid(away), address), false, `${away} to ${container}`);
  }
});

test('a database is found by name on its own network only', async () => {
  for (const { network, container, other } of SITES) {
    assert.equal(await found(network, container), await machine.address(container, network));
    assert.equal(await found(other, container), undefined, `${container} on ${other}`);
    assert.equal(await found('bridge', container), undefined, `${container} on the default network`);
  }
});

test('all of it is removed: no container, network, bridge or wire is left', async () => {
  const running = (await machine.dockerOk('ps', '-aq')).split('\n');
  await machine.dockerOk('rm', '-f', '-v', ...running);
  assert.equal(await typed('docker network rm lamp lnmp'), 'lamp\nlnmp');
  assert.doesNotMatch(await typed('docker network ls'), /lamp|lnmp/);
  const links = (await machine.host(['ip', '-o', 'link'])).stdout;
  assert.doesNotMatch(links, /br-|veth/);
  assert.doesNotMatch((await machine.host(['ip', 'route'])).stdout, /br-/);
  for (const { port } of SITES) assert.notEqual((await sql(port, 'SELECT 1')).status, 0);
});
