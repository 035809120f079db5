import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { basename } from 'node:path';
import { after, test } from 'node:test';
import { LOCAL_TABLE, MAIN_TABLE } from '../../src/model/kernel-facts.ts';
import type { Port } from '../../src/model/port.ts';
import { bridge, create, element, kernel, netns, remove, ruleset, serve, veth } from './stage.ts';

after(() => kernel.close());

const sandbox = netns('one');
const endpoint = veth(2, sandbox);
kernel.apply([bridge, sandbox, endpoint, ruleset, element('bridges', '"gwtest0"')].map(create));

test('links, addresses and routes of the host and of a sandbox, and which ends belong together', () => {
  const host = kernel.namespace();
  const inside = kernel.namespace(sandbox.path);
  const port = host.links.find(({ name }) => name === endpoint.hostIfName);
  const eth0 = inside.links.find(({ name }) => name === 'eth0');
  assert.ok(port && eth0);
  assert.equal(port.peer, eth0.index);
  assert.equal(eth0.peer, port.index);
  assert.equal(host.links.find(({ index }) => index === port.master)?.name, bridge.ifName);
  assert.deepEqual([eth0.up, eth0.carrier, eth0.kind, eth0.mac], [true, true, 'veth', endpoint.mac]);
  const [route] = inside.routes.filter(({ table, to }) => table === MAIN_TABLE && to === undefined);
  assert.deepEqual([route?.gateway, route?.link, route?.kind], ['10.88.0.1', eth0.index, 'unicast']);
  const local = inside.routes.find(({ to }) => to?.address === '10.88.0.2');
  assert.deepEqual([local?.kind, local?.table, local?.source], ['local', LOCAL_TABLE, '10.88.0.2']);
  const onLink = host.routes.find(({ to }) => to?.address === '10.88.0.0' && to.length === 24);
  assert.equal(onLink?.source, '10.88.0.1');
});

test('a route that says no, a metric, settings', () => {
  const inside = (...command: string[]) =>
    execFileSync('nsenter', [`--net=${sandbox.path}`, ...command], { stdio: 'pipe' });
  inside('ip', 'route', 'add', 'blackhole', '192.0.2.0/24', 'metric', '7');
  const found = kernel.namespace(sandbox.path).routes.find(({ to }) => to?.address === '192.0.2.0');
  assert.deepEqual([found?.kind, found?.metric], ['refusing', 7]);
  execFileSync('sysctl', ['-qw', 'net.ipv4.conf.gwtest0.rp_filter=2']);
  const { settings } = kernel.namespace();
  assert.equal(settings.rpFilter.gwtest0, 2);
  assert.equal(settings.routeLocalnet.gwtest0, true);
});

test('who listens, on which address, and which program it is', async () => {
  const server = await serve(sandbox.path, '10.88.0.2', 80);
  const six = createServer().listen({ port: 80, host: '::', ipv6Only: true });
  await once(six, 'listening');
  const udp = createSocket('udp4').bind(80, '127.0.0.1');
  await once(udp, 'listening');
  const asked = (['tcp', 'udp'] as const).map((protocol) => ({ protocol, port: 80 as Port }));
  const [only, ...rest] = kernel.listeners(asked, sandbox.path);
  assert.deepEqual(rest, []);
  assert.deepEqual([only?.protocol, only?.address, only?.port], ['tcp', '10.88.0.2', 80]);
  const own = kernel.listeners(asked);
  const program = { name: basename(process.execPath), pid: process.pid };
  assert.deepEqual(own, [
    { protocol: 'tcp', address: '::', port: 80, link: 0, v6only: true, program },
    { protocol: 'udp', address: '127.0.0.1', port: 80, link: 0, v6only: false, program },
  ]);
  assert.deepEqual(kernel.listeners([{ protocol: 'tcp', port: 81 as Port }]), []);
  server.close();
  six.close();
  udp.close();
});

test("tables of others in nft's language, and never the engine's own", () => {
  assert.deepEqual(kernel.namespace().firewall, []);
  execFileSync('nft', [
    'add table inet fw; add chain inet fw c { type filter hook input priority 5; policy drop; }',
  ]);
  execFileSync('iptables', [
    '-A',
    'INPUT',
    '-p',
    'tcp',
    '-m',
    'multiport',
    '--dports',
    '80,443',
    '-j',
    'DROP',
  ]);
  const [fw = '', filter = ''] = kernel.namespace().firewall.toSorted();
  assert.match(fw, /type filter hook input priority 5; policy drop;/);
  assert.match(filter, /tcp dport \{ 80, 443 \} .*drop # handle \d+/);
});

test("elements of the engine's tables as they are now, whoever changed them", () => {
  assert.deepEqual(
    kernel.elements('ip')?.map(({ key }) => key),
    ['"gwtest0"'],
  );
  assert.equal(kernel.elements('ip'), kernel.elements('ip'), 'not listed again while nothing changed');
  execFileSync('nft', ['delete element ip gangway bridges { "gwtest0" }']);
  assert.deepEqual(kernel.elements('ip'), []);
  kernel.apply([remove(ruleset)]);
  assert.equal(kernel.elements('ip'), undefined);
});
