import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { basename } from 'node:path';
import { after, test } from 'node:test';
import { ruleDeletion, ruleWords } from '../../src/explain/policy.ts';
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

test('policy rules as ip(8) prints them, with the routes of the tables they lead to', () => {
  const ip = (...command: string[]) =>
    execFileSync('nsenter', [`--net=${sandbox.path}`, 'ip', ...command], { encoding: 'utf8' });
  const [usual] = kernel.namespace(sandbox.path).rules;
  assert.deepEqual([usual?.priority, usual?.action], [0, { kind: 'lookup', table: LOCAL_TABLE }]);
  const given = [
    'pref 10 from 10.88.0.0/24 to 192.0.2.7/32 fwmark 0x7/0xff iif eth0 lookup 400',
    'pref 11 not from all ipproto tcp dport 80-90 prohibit',
    'pref 12 from all uidrange 5-6 ipproto udp sport 53 blackhole',
    'pref 13 from all lookup main suppress_prefixlength 0',
    'pref 14 from all goto 32766',
  ];
  for (const rule of given) ip('rule', 'add', ...rule.split(' '));
  ip('-6', 'rule', 'add', ...'pref 10 from fd00::/64 unreachable'.split(' '));
  ip('rule', 'add', ...'pref 15 tos 0x10 lookup main'.split(' '));
  ip('route', 'add', ...'throw 192.0.2.128/25 table 400'.split(' '));
  ip('route', 'add', ...'blackhole 192.0.2.0/24 table 401'.split(' '));
  const { rules, routes } = kernel.namespace(sandbox.path);
  const own = rules.filter(({ priority }) => priority > 0 && priority < 32766);
  assert.deepEqual(own.filter(({ family }) => family === 'ipv4').map(ruleWords), [
    ...given,
    'pref 15 from all tos lookup main',
  ]);
  assert.deepEqual(own.filter(({ family }) => family === 'ipv6').map(ruleWords), [
    'pref 10 from fd00::/64 unreachable',
  ]);
  const table = (of: number) => routes.filter((each) => each.table === of).map(({ kind }) => kind);
  assert.deepEqual(table(400), ['throw']);
  assert.deepEqual(table(401), [], 'nothing leads there');
  for (const rule of own) execFileSync('nsenter', [`--net=${sandbox.path}`, 'sh', '-c', ruleDeletion(rule)]);
  assert.equal(kernel.namespace(sandbox.path).rules.length, rules.length - own.length);
});

test('rules of iptables-legacy where there are tables of it, by namespace', () => {
  assert.deepEqual(kernel.namespace(sandbox.path).legacy, []);
  execFileSync('nsenter', [
    `--net=${sandbox.path}`,
    'iptables-legacy',
    ...'-A INPUT -s 192.0.2.9 -j DROP'.split(' '),
  ]);
  const [found, ...rest] = kernel.namespace(sandbox.path).legacy;
  assert.deepEqual([rest, found?.family, found?.tables], [[], 'ipv4', ['filter']]);
  assert.match(found?.listing ?? '', /^-A INPUT -s 192\.0\.2\.9\/32 -j DROP$/m);
  assert.deepEqual(kernel.legacyFirewall(), []);
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
