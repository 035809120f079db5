import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { Machine } from './machine.ts';
import { must } from './process.ts';

let machine: Machine;
before(async () => {
  machine = await Machine.start();
  await machine.dockerOk(
    ...['network', 'create', '--ipv6', '--subnet', '10.60.0.0/24', '--subnet', 'fd00:60::/64', 'lamp'],
  );
});
after(() => machine.close());
afterEach(async () => {
  const ids = (await machine.dockerOk('ps', '-aq')).split('\n').filter(Boolean);
  if (ids.length > 0) await machine.dockerOk('rm', '-f', ...ids);
});

async function start(name: string, ...options: string[]): Promise<void> {
  await machine.dockerOk('run', '-d', '--name', name, ...options, 'busybox', 'sleep', '1000');
}
const exec = (name: string, ...command: string[]): Promise<string> =>
  machine.dockerOk('exec', name, ...command);
const inside = async (name: string, ...command: string[]): Promise<string> =>
  must(['nsenter', '-t', String(await machine.containerPid(name)), '-n', ...command]);
const settings = async (name: string, network: string): Promise<Record<string, unknown>> =>
  JSON.parse(
    await machine.dockerOk('inspect', '-f', `{{json (index .NetworkSettings.Networks "${network}")}}`, name),
  ) as Record<string, unknown>;
const remove = (...names: string[]): Promise<string> => machine.dockerOk('rm', '-f', ...names);

test('a network of both families: both addresses inside, in inspect, in /etc/hosts and in the network', async () => {
  await start('web', '--network', 'lamp');
  const shown = await exec('web', 'ip', 'addr', 'show', 'eth0');
  assert.match(shown, /inet 10\.60\.0\.2\/24/);
  assert.match(shown, /inet6 fd00:60::2\/64/);
  assert.doesNotMatch(shown, /tentative/);
  const of = await settings('web', 'lamp');
  assert.deepEqual(
    [of.IPAddress, of.Gateway, of.GlobalIPv6Address, of.GlobalIPv6PrefixLen, of.IPv6Gateway],
    ['10.60.0.2', '10.60.0.1', 'fd00:60::2', 64, 'fd00:60::1'],
  );
  const id = (await machine.dockerOk('inspect', '-f', '{{.Id}}', 'web')).slice(0, 12);
  assert.match(await exec('web', 'cat', '/etc/hosts'), new RegExp(`fd00:60::2\t${id}`));
  const network = JSON.parse(await machine.dockerOk('network', 'inspect', '-f', '{{json .}}', 'lamp')) as {
    readonly EnableIPv6: boolean;
    readonly IPAM: { readonly Config: unknown };
    readonly Containers: Readonly<Record<string, { readonly IPv6Address: string }>>;
  };
  assert.equal(network.EnableIPv6, true);
  assert.deepEqual(network.IPAM.Config, [
    { Subnet: '10.60.0.0/24', Gateway: '10.60.0.1' },
    { Subnet: 'fd00:60::/64', Gateway: 'fd00:60::1' },
  ]);
  assert.deepEqual(
    Object.values(network.Containers).map((each) => each.IPv6Address),
    ['fd00:60::2/64'],
  );
  await remove('web');
});

test('names have AAAA and PTR', async () => {
  await start('web', '--network', 'name=lamp,alias=www');
  // The host's search domain would be asked for outside, where nobody is.
  await start('asker', '--network', 'lamp', '--dns-search', '.');
  const answer = async (...question: string[]): Promise<string> => exec('asker', 'nslookup', ...question);
  assert.match(await answer('-type=AAAA', 'www'), /Address: +fd00:60::[0-9a-f]+/);
  const { GlobalIPv6Address: address } = await settings('web', 'lamp');
  assert.match(await answer(String(address)), /name = web\.lamp/);
});

test('--ip and --ip6, a MAC, a name of the interface, its settings, link-local addresses', async () => {
  const option = [
    ...['name=lamp', 'ip=10.60.0.77', 'ip6=fd00:60::77', 'mac-address=02:42:00:00:00:77'],
    ...['driver-opt=com.docker.network.endpoint.ifname=lan0', 'link-local-ip=169.254.7.7'],
    'driver-opt=com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.log_martians=1',
  ].join(',');
  await start('web', '--network', option);
  const shown = await exec('web', 'ip', 'addr', 'show', 'lan0');
  for (const text of ['10.60.0.77/24', 'fd00:60::77/64', '02:42:00:00:00:77', '169.254.7.7/16'])
    assert.ok(shown.includes(text), `${text} in ${shown}`);
  assert.equal(await exec('web', 'cat', '/proc/sys/net/ipv4/conf/lan0/log_martians'), '1');
  await remove('web');
  await start('both', '--network', 'lamp', '--ip', '10.60.0.78', '--ip6', 'fd00:60::78');
  const of = await settings('both', 'lamp');
  assert.deepEqual([of.IPAddress, of.GlobalIPv6Address], ['10.60.0.78', 'fd00:60::78']);
});

test('an address stays over stop and start, while others come', async () => {
  await start('first', '--network', 'lamp');
  const { IPAddress: address, GlobalIPv6Address: address6 } = await settings('first', 'lamp');
  await machine.dockerOk('stop', '-t', '0', 'first');
  await start('second', '--network', 'lamp');
  await machine.dockerOk('start', 'first');
  const now = await settings('first', 'lamp');
  assert.deepEqual([now.IPAddress, now.GlobalIPv6Address], [address, address6]);
  await machine.dockerOk('stop', '-t', '0', 'first');
  await machine.stopDaemon('SIGKILL');
  await machine.startDaemon();
  await start('third', '--network', 'lamp');
  await machine.dockerOk('start', 'first');
  assert.equal((await settings('first', 'lamp')).IPAddress, address);
  await remove('first', 'second', 'third');
  await start('fourth', '--network', 'lamp');
  assert.equal((await settings('fourth', 'lamp')).IPAddress, address, 'who is removed has no claim');
});

test('a moved address is found at once: neighbours hear of its new MAC', async () => {
  await start('asker', '--network', 'lamp');
  for (const mac of ['02:42:00:00:01:01', '02:42:00:00:01:02']) {
    await start('moving', '--network', `name=lamp,ip=10.60.0.90,ip6=fd00:60::90,mac-address=${mac}`);
    await machine.serve(await machine.containerPid('moving'), 'moving', [{ protocol: 'tcp', port: 80 }]);
    const targets = ['10.60.0.90', 'fd00:60::90'].map(
      (address) => ({ protocol: 'tcp', address, port: 80 }) as const,
    );
    const answers = await machine.ask(await machine.containerPid('asker'), targets);
    assert.ok(
      answers.every((answer) => answer.startsWith('moving ')),
      answers.join(),
    );
    await remove('moving');
  }
});

test('a container cannot take what is another’s, and can have what is nobody’s', async () => {
  for (const name of ['victim', 'thief', 'asker']) await start(name, '--network', 'lamp');
  const pids = { victim: await machine.containerPid('victim'), asker: await machine.containerPid('asker') };
  await machine.serve(pids.victim, 'victim', [{ protocol: 'tcp', port: 80 }]);
  await machine.serve(await machine.containerPid('thief'), 'thief', [{ protocol: 'tcp', port: 80 }]);
  const { IPAddress: address, GlobalIPv6Address: address6 } = await settings('victim', 'lamp');
  const targets = [address, address6].map(
    (each) => ({ protocol: 'tcp', address: String(each), port: 80 }) as const,
  );
  const answers = async (): Promise<string[]> =>
    (await machine.ask(pids.asker, targets)).map((answer) => answer.split(' ')[0] ?? '');
  assert.deepEqual(await answers(), ['victim', 'victim']);
  // The kernel announces what an interface gets: a gratuitous ARP, an unsolicited advertisement.
  for (const setting of ['ipv4/conf/eth0/arp_notify', 'ipv6/conf/eth0/ndisc_notify'])
    await inside('thief', 'sh', '-c', `echo 1 >/proc/sys/net/${setting}`);
  await inside('thief', 'ip', 'addr', 'add', `${address}/32`, 'dev', 'eth0');
  await inside('thief', 'ip', 'addr', 'add', `${address6}/128`, 'dev', 'eth0', 'nodad');
  const mac = (await exec('thief', 'cat', '/sys/class/net/eth0/address')).trim();
  await inside('thief', 'ip', 'link', 'set', 'eth0', 'address', mac);
  const neighbours = await inside('asker', 'ip', 'neigh');
  assert.doesNotMatch(neighbours, new RegExp(`(${address}|${address6}) .*${mac}`));
  assert.deepEqual(await answers(), ['victim', 'victim']);
  // Nor does what it sends from there arrive.
  await inside('asker', 'ip', 'neigh', 'flush', 'all');
  const from = await inside(
    ...(['thief', 'sh', '-c', `ip route get 10.60.0.1 from ${address} >/dev/null && echo may`] as const),
  );
  assert.equal(from.trim(), 'may');
  assert.deepEqual(await answers(), ['victim', 'victim'], 'after a new question by ARP and ND');

  await inside('thief', 'ip', 'addr', 'add', '10.60.0.200/24', 'dev', 'eth0');
  const vip = await machine.ask(pids.asker, [{ protocol: 'tcp', address: '10.60.0.200', port: 80 }]);
  assert.match(vip.join(), /^thief /);
});

test('a network of IPv6 alone', async () => {
  await machine.dockerOk('network', 'create', '--ipv4=false', '--ipv6', 'six');
  await start('web', '--network', 'six', '-p', '8066:80');
  await machine.serve(await machine.containerPid('web'), 'web', [{ protocol: 'tcp', port: 80 }]);
  const shown = await exec('web', 'ip', 'addr', 'show', 'eth0');
  assert.doesNotMatch(shown, /inet /);
  assert.equal(await machine.dockerOk('port', 'web'), '80/tcp -> [::]:8066');
  const [answer] = await machine.ask(machine.namespaces.outside, [
    { protocol: 'tcp', address: '2001:db8:7::1', port: 8066 },
  ]);
  assert.match(answer ?? '', /^web 2001:db8:7::2 80/);
  await remove('web');
  await machine.dockerOk('network', 'rm', 'six');
});

test('subnets of a wanted size, inhibited bridge address, another prefix of interfaces', async () => {
  await machine.dockerOk(
    'network',
    'create',
    '--ipv6',
    '--subnet',
    '0.0.0.0/26',
    '--subnet',
    '::/80',
    'sized',
  );
  const subnets = await machine.dockerOk(
    ...['network', 'inspect', '-f', '{{range .IPAM.Config}}{{.Subnet}} {{end}}', 'sized'],
  );
  assert.match(subnets, /^\d+\.\d+\.\d+\.\d+\/26 fd[0-9a-f:]+\/80/);
  await machine.dockerOk(
    ...['network', 'create', '--subnet', '10.61.0.0/24'],
    ...['-o', 'com.docker.network.bridge.inhibit_ipv4=true'],
    ...[
      '-o',
      'com.docker.network.container_iface_prefix=net',
      '-o',
      'com.docker.network.bridge.name=br-bare',
      'bare',
    ],
  );
  await start('web', '--network', 'bare');
  assert.match(await exec('web', 'ip', 'addr'), / net0[@:]/);
  assert.match(await exec('web', 'ip', 'route'), /default via 10\.61\.0\.1/);
  assert.doesNotMatch((await machine.host(['ip', 'addr', 'show', 'br-bare'])).stdout, /inet /);
  await remove('web');
  await machine.dockerOk('network', 'rm', 'sized', 'bare');
});

test('a configuration network, and one that is made from it', async () => {
  await machine.dockerOk('network', 'create', '--config-only', '--subnet', '10.62.0.0/24', 'template');
  await machine.dockerOk('network', 'create', '--config-from', 'template', 'made');
  const of = (text: string, name: string) => machine.dockerOk('network', 'inspect', '-f', text, name);
  assert.equal(
    await of('{{(index .IPAM.Config 0).Subnet}} {{.ConfigFrom.Network}}', 'made'),
    '10.62.0.0/24 template',
  );
  assert.equal(await of('{{.ConfigOnly}} {{.Driver}}', 'template'), 'true null');
  const refused = await machine.docker('network', 'rm', 'template');
  assert.match(refused.stderr, /configuration network "template" is in use/);
  const connected = await machine.docker('run', '--rm', '--network', 'template', 'busybox', 'true');
  assert.notEqual(connected.status, 0);
  await machine.dockerOk('network', 'rm', 'made', 'template');
});

test('--link: names in /etc/hosts on the default bridge, a name of its own on a network', async () => {
  await start('db');
  await start('web', '--link', 'db:database', '--link', 'db');
  const { IPAddress: address } = await settings('db', 'bridge');
  const id = (await machine.dockerOk('inspect', '-f', '{{.Id}}', 'db')).slice(0, 12);
  const hosts = await exec('web', 'cat', '/etc/hosts');
  assert.ok(hosts.includes(`${address}\tdatabase ${id} db\n`), hosts);
  assert.equal(
    await machine.dockerOk('inspect', '-f', '{{.HostConfig.Links}}', 'web'),
    '[/db:/web/database /db:/web/db]',
  );
  // The linked container comes back elsewhere.
  await machine.dockerOk('stop', '-t', '0', 'db');
  const refused = await machine.docker('run', '--rm', '--link', 'db', 'busybox', 'true');
  assert.match(refused.stderr, /Cannot link to a non running container: \/db AS \//);
  await machine.dockerOk('rm', 'db');
  await start('other');
  await start('db');
  const missing = await machine.docker('run', '--rm', '--link', 'nobody:x', 'busybox', 'true');
  assert.match(missing.stderr, /could not get container for nobody: No such container: nobody/);

  await start('named', '--network', 'lamp');
  await start('linked', '--network', 'lamp', '--link', 'named:Sql', '--dns-search', '.');
  await start('stranger', '--network', 'lamp', '--dns-search', '.');
  const wanted = String((await settings('named', 'lamp')).IPAddress);
  assert.ok((await exec('linked', 'nslookup', '-type=A', 'sql')).includes(wanted));
  assert.notEqual(
    (await machine.docker('exec', 'stranger', 'timeout', '2', 'nslookup', '-type=A', 'sql')).status,
    0,
  );
});

test('a bridge that is full says so', async () => {
  await machine.dockerOk(
    'network',
    'create',
    '--subnet',
    '10.64.0.0/21',
    '-o',
    'com.docker.network.bridge.name=br-full',
    'full',
  );
  const batch = (lines: readonly string[]): Promise<string> =>
    must(machine.inMachine(['sh', '-c', `ip -batch - <<'LINKS'\n${lines.join('\n')}\nLINKS`]));
  const fill = Array.from({ length: 1023 }, (_, i) => `fill${i}`);
  await batch(fill.map((name, i) => `link add ${name} group 77 type veth peer name other${i}`));
  await batch(fill.map((name) => `link set ${name} master br-full`));
  const refused = await machine.docker('run', '--rm', '--network', 'full', 'busybox', 'true');
  assert.match(refused.stderr, /the bridge of network full is full: the kernel takes 1023 containers/);
  await batch(['link delete fill7']);
  await machine.dockerOk('run', '--rm', '--network', 'full', 'busybox', 'true');
  await batch(['link delete group 77']);
  await machine.dockerOk('network', 'rm', 'full');
});
