import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makeCertificates } from '../cluster/certificates.ts';
import { CACHE, daemonCommand } from '../e2e/engine-under-test.ts';
import { Machine } from '../e2e/machine.ts';
import { must, until } from '../e2e/process.ts';

let alone: Machine;
before(async () => {
  alone = await Machine.start({ registry: false });
});
after(() => alone?.close());

const ADVERTISE = ['--cluster-advertise', 'up0'];
const create = async (...args: string[]): Promise<string> => {
  const result = await alone.docker('network', 'create', '-d', 'overlay', ...args);
  return result.status === 0 ? 'made' : result.stderr.trim();
};
const told = (): Promise<string> => must(alone.gangwayCommand('cluster'));

/** The daemon starts and works; what needs the cluster fails with a sentence that says why. */
async function refusedWith(flags: readonly string[], words: RegExp): Promise<void> {
  await alone.startDaemon([...flags, ...ADVERTISE]);
  try {
    const begun = performance.now();
    assert.match(await create('lamp'), words);
    assert.ok(performance.now() - begun < 6000, 'it fails fast');
    await until('gangway cluster to say why', async () => (words.test(await told()) ? true : undefined));
    assert.equal((await alone.docker('network', 'create', 'local')).status, 0, 'the rest works');
    await alone.dockerOk('network', 'rm', 'local');
  } finally {
    await alone.stopDaemon();
  }
}

/** A real etcd in the machine. */
async function etcd(port: number, ...options: string[]): Promise<void> {
  const scheme = options.includes('--cert-file') ? 'https' : 'http';
  const [url, peer] = [`${scheme}://127.0.0.1:${port}`, `http://127.0.0.1:${port + 1}`];
  await alone.spawnHelper(
    alone.inMachine([
      ...['sh', '-c', 'echo STARTING; exec "$@" 2>/dev/null', 'sh', join(CACHE, 'etcd')],
      ...['--data-dir', join(alone.directory, `etcd-${port}`), '--listen-client-urls', url],
      ...['--advertise-client-urls', url, '--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
      ...['--initial-cluster', `default=${peer}`, ...options],
    ]),
    'STARTING',
  );
}
const etcdctl = (port: number, ...args: string[]) =>
  alone.host([
    'env',
    'ETCDCTL_API=3',
    join(CACHE, 'etcdctl'),
    `--endpoints=http://127.0.0.1:${port}`,
    ...args,
  ]);

test('without a store the missing option is named; a wrong one is refused at the start', async () => {
  const refused = await alone.docker('network', 'create', '-d', 'overlay', 'lamp');
  assert.match(
    refused.stderr,
    /start gangwayd with --cluster-store etcd:\/\/HOST:2379 and --cluster-advertise/,
  );
  await alone.stopDaemon();
  const start = async (...flags: string[]): Promise<string> => {
    const result = await alone.host(daemonCommand(alone.directory, flags), { timeout: 20 });
    assert.notEqual(result.status, 0);
    return result.stdout + result.stderr;
  };
  const store = ['--cluster-store', 'etcd://127.0.0.1:2379'];
  assert.match(await start(...store), /--cluster-store needs --cluster-advertise/);
  assert.match(
    await start('--cluster-store', 'consul://127.0.0.1', '--cluster-advertise', 'up0'),
    /should be etcd:/,
  );
  assert.match(await start(...store, '--cluster-advertise', 'eth77'), /there is no such interface/);
  assert.match(await start(...store, '--cluster-advertise', '203.0.113.7'), /this host has no such address/);
  await alone.host(['ip', 'link', 'add', 'bare0', 'type', 'bridge']);
  assert.match(await start(...store, '--cluster-advertise', 'bare0'), /the interface has no address/);
  await alone.host(['ip', 'link', 'delete', 'bare0']);
  assert.match(
    await start(...store, '--cluster-advertise', 'up0', '--cluster-store-opt', 'kv.cacertfile=/nowhere'),
    /kv\.cacertfile: ENOENT/,
  );
});

test('a wrong address of the store', () =>
  refusedWith(
    ['--cluster-store', 'etcd://127.0.0.1:9'],
    /the cluster store does not answer: .*ECONNREFUSED 127\.0\.0\.1:9/,
  ));

test('a wrong certificate, and none', async () => {
  const directory = join(alone.directory, 'certificates');
  mkdirSync(directory);
  const file = makeCertificates(directory);
  await etcd(
    3379,
    ...['--cert-file', file('one.pem'), '--key-file', file('one.key')],
    ...['--trusted-ca-file', file('ca.pem'), '--client-cert-auth'],
  );
  const store = ['--cluster-store', 'etcd://127.0.0.1:3379'];
  const option = (name: string, path: string): string[] => ['--cluster-store-opt', `kv.${name}=${path}`];
  const own = [...option('certfile', file('one.pem')), ...option('keyfile', file('one.key'))];
  await refusedWith(
    [...store, ...option('cacertfile', file('other.pem')), ...own],
    /the cluster store does not answer: .*(certificate|signature)/i,
  );
  await refusedWith(
    [...store, ...option('cacertfile', file('ca.pem'))],
    /the cluster store does not answer: ./,
  );
  await alone.startDaemon([...store, ...option('cacertfile', file('ca.pem')), ...own, ...ADVERTISE]);
  await until('the right one to be taken', async () =>
    (await create('right')) === 'made' ? true : undefined,
  );
  await alone.dockerOk('network', 'rm', 'right');
  await alone.stopDaemon();
});

test('wrong credentials, and none', async () => {
  await etcd(4379);
  await until('etcd', async () =>
    (await etcdctl(4379, 'user', 'add', 'root:secret')).status === 0 ? true : undefined,
  );
  await etcdctl(4379, 'user', 'grant-role', 'root', 'root');
  assert.equal((await etcdctl(4379, 'auth', 'enable')).status, 0);
  const store = ['--cluster-store', 'etcd://127.0.0.1:4379'];
  const as = (password: string): string[] =>
    ['kv.user=root', `kv.password=${password}`].flatMap((option) => ['--cluster-store-opt', option]);
  await refusedWith(
    [...store, ...as('guessed')],
    /the cluster store does not answer: .*authentication failed/,
  );
  await refusedWith(store, /the cluster store does not answer: .*user/i);
});

test('overlapping subnets are refused, whose ever they are; a name of both kinds has to be told by its id', async () => {
  await etcd(2379);
  await alone.startDaemon(['--cluster-store', 'etcd://127.0.0.1:2379', ...ADVERTISE]);
  await until('the store', async () =>
    (await create('--subnet', '10.77.0.0/16', 'lamp')) === 'made' ? true : undefined,
  );
  const overlaps = /Pool overlaps with other one on this address space/;
  assert.match(await create('--subnet', '10.77.5.0/24', 'inside'), overlaps);
  assert.match(await create('--subnet', '10.0.0.0/8', 'around'), overlaps);
  assert.match(
    (await alone.docker('network', 'create', '--subnet', '10.77.5.0/24', 'local')).stderr,
    overlaps,
  );
  await alone.dockerOk('network', 'create', '--subnet', '10.78.0.0/24', 'mine');
  assert.match(await create('--subnet', '10.78.0.0/16', 'theirs'), overlaps);
  assert.match(await create('mine'), /network with name mine already exists/);
  assert.match(
    (await alone.docker('network', 'create', 'lamp')).stderr,
    /network with name lamp already exists/,
  );
  // What was refused has left nothing.
  assert.equal(
    await alone.dockerOk('network', 'ls', '-q', '--filter', 'driver=overlay'),
    await alone.dockerOk('network', 'ls', '-q', '--filter', 'name=lamp'),
  );
  assert.equal(
    await alone.dockerOk('network', 'ls', '--filter', 'scope=global', '--format', '{{.Name}}'),
    'lamp',
  );

  // Another host made a network of that name for all.
  const key = (await etcdctl(2379, 'get', '--prefix', '/gangway/v1/nets/', '--print-value-only')).stdout;
  const twin = { ...(JSON.parse(key) as object), id: 'f'.repeat(64), name: 'mine', vni: 5000 };
  await etcdctl(2379, 'put', `/gangway/v1/nets/${twin.id}`, JSON.stringify(twin));
  await until('it to be told', async () =>
    /network mine is ambiguous \(2 matches found on name\)/.test(
      (await alone.docker('network', 'inspect', 'mine')).stderr,
    )
      ? true
      : undefined,
  );
  assert.equal(await alone.dockerOk('network', 'inspect', '-f', '{{.Scope}}', 'ffff'), 'global');
});

test('IPv6: what cannot be is refused with a sentence, and nothing is changed', async () => {
  assert.equal(await create('--ipv6', '--subnet', 'fd00:77::/64', 'six'), 'made');
  await alone.dockerOk('network', 'create', '--ipv6', '--subnet', 'fd00:78::/64', 'mine6');
  const all = async (): Promise<string> =>
    (await etcdctl(2379, 'get', '--prefix', '/gangway/v1/', '--print-value-only')).stdout;
  const listed = (): Promise<string> => alone.dockerOk('network', 'ls', '-q');
  const before = [await all(), await listed()];
  const overlaps = /Pool overlaps with other one on this address space/;
  for (const [options, words] of [
    ['--ipv6 --subnet fd00:77::/64', overlaps],
    ['--ipv6 --subnet fd00:77::/80', overlaps],
    ['--ipv6 --subnet fd00::/24', overlaps],
    ['--ipv6 --subnet fd00:78::/80', overlaps],
    ['--ipv6 --subnet fd00:79::/64 --subnet fd00:7a::/64', /driver doesn't support multiple subnets/],
    ['--ipv6 --subnet fd00:79::1/64', /invalid subnet fd00:79::1\/64: it should be fd00:79::\/64/],
    ['--ipv6 --subnet fd00:79::/129', /invalid CIDR|invalid subnet/i],
    ['--ipv6 --subnet ff05::/64', /multicast subnet 'ff05::1\/64' is not allowed/],
    ['--ipv6 --subnet fd00:79::/128', /no available addresses on this pool/],
    ['--ipv6 --subnet fd00:79::/64 --gateway fd00:7a::1', /no matching subnet for gateway|doesn't contain/],
    ['--ipv6 --subnet fd00:79::/64 --ip-range fd00:79::/48', /bigger|no matching subnet/],
    ['--ipv6 --subnet fd00:79::/64 -o com.docker.network.driver.mtu=1279', /IPv6 needs at least 1280/],
    ['--ipv4=false', /IPv4 or IPv6 must be enabled/],
  ] as const) {
    assert.match(await create(...options.split(' '), 'wrong'), words, options);
  }
  const local = await alone.docker('network', 'create', '--ipv6', '--subnet', 'fd00:77::/80', 'wrong');
  assert.match(local.stderr, overlaps);
  assert.deepEqual([await all(), await listed()], before);

  // Docker passes over the subnet of a family that is off.
  assert.equal(await create('--ipv6=false', '--subnet', 'fd00:79::/64', 'four'), 'made');
  const format = '{{.EnableIPv6}} {{range .IPAM.Config}}{{.Subnet}} {{end}}';
  assert.match(
    await alone.dockerOk('network', 'inspect', '-f', format, 'four'),
    /^false 10\.\d+\.\d+\.0\/24$/,
  );
});
