import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { explainProbe, type ProbeReport } from '../../src/explain/probe-steps.ts';
import { NetnsSwitch } from '../../src/kernel/netns.ts';
import { RouteSocket } from '../../src/kernel/rtnetlink.ts';
import { StandIn } from '../../src/kernel/stand-in.ts';
import {
  type NetnsPath,
  parseIfName,
  parseIp,
  parseIpv4,
  parseIpv6,
  parseMac,
} from '../../src/model/address.ts';
import type { Port } from '../../src/model/port.ts';
import type { ProbeFacts, ProbeRequest } from '../../src/model/probe.ts';
import { rulesetResource } from '../../src/plan/nft-text.ts';
import { resourceKey } from '../../src/plan/resource.ts';
import { IPV4_RULESET, IPV6_RULESET } from '../../src/plan/ruleset.ts';
import { bridge, create, element, kernel, netns, netnsDirectory, removeAll, serve, veth } from './stage.ts';

/** Two networks as the engine makes them, `lamp` 10.88.0.0/24 and `lnmp` 10.89.0.0/24; 8080 of the host leads to 10.88.0.3:80. */
const [web, db, far] = [netns('web'), netns('db'), netns('far')];
const lnmp = {
  ...bridge,
  ifName: parseIfName('gwtest1'),
  mac: parseMac('02:42:0a:59:00:01'),
  addresses: [
    { address: parseIpv4('10.89.0.1'), length: 24 },
    { address: parseIpv6('fd00:89::1'), length: 64 },
  ],
  ipv6: true,
} as const;
kernel.enableForwarding('ipv4');
kernel.enableForwarding('ipv6');
kernel.apply(
  [
    rulesetResource(IPV4_RULESET, true),
    rulesetResource(IPV6_RULESET, true),
    bridge,
    lnmp,
    ...[web, db, far],
    veth(2, web),
    veth(3, db),
    {
      ...veth(4, far),
      bridge: lnmp.ifName,
      addresses: [
        { address: parseIpv4('10.89.0.4'), length: 24 },
        { address: parseIpv6('fd00:89::4'), length: 64 },
      ],
      ipv6: true,
      gateway: parseIpv4('10.89.0.1'),
      gateway6: parseIpv6('fd00:89::1'),
    },
    ...['gwtest0', 'gwtest1'].flatMap((name) => [
      element('bridges', `"${name}"`),
      element('icc', `"${name}" . "${name}"`),
    ]),
    ...['10.88.0', '10.89.0'].map((net, i) => element('home', `${net}.0/24 . "gwtest${i}"`)),
    ...['10.88.0.2', '10.88.0.3', '10.89.0.4'].map((address) => element('endpoints', address)),
    element('egress_any', '10.88.0.0/24'),
    element('egress_any', '10.89.0.0/24'),
    element('pub_any', 'tcp . 8080', '10.88.0.3 . 80'),
  ].map(create),
);
const server = await serve(db.path, '10.88.0.3', 80);
const ip = (line: string) => execFileSync('ip', line.split(' '));
// A wire on which nobody answers.
ip('link add up0 type veth peer name up1');
ip('addr add 198.51.100.1/24 dev up0');
ip('link set up0 up');
ip('link set up1 up');
ip('neigh add 198.51.100.2 lladdr 02:00:00:00:00:99 dev up0');
after(() => {
  server.close();
  kernel.close();
});

const nft = (text: string) => execFileSync('nft', ['-f', '-'], { input: text });
const tables = () => execFileSync('nft', ['list', 'tables'], { encoding: 'utf8' });
const links = () => execFileSync('ip', ['-o', 'link'], { encoding: 'utf8' });
beforeEach(() => {
  try {
    execFileSync('nft', ['delete', 'table', 'inet', 'theirs'], { stdio: 'ignore' });
  } catch {}
});

const tcp = (address: string, port: number) =>
  ({ protocol: 'tcp', address: parseIp(address), port: port as Port }) as const;
const udp = (address: string, port: number) =>
  ({ protocol: 'udp', address: parseIp(address), port: port as Port }) as const;

async function ask(
  from: NetnsPath | 'host' | 'outside',
  to: ProbeRequest['to'],
  toNetns?: NetnsPath,
): Promise<{ readonly facts: ProbeFacts; readonly report: ProbeReport }> {
  const request: ProbeRequest = { from, to, ...(toNetns && { toNetns }) };
  const [before, wires] = [tables(), links()];
  const facts = await kernel.probe(request);
  assert.equal(tables(), before, 'a table stays behind');
  assert.equal(
    links().replaceAll(/ qlen \d+/g, ''),
    wires.replaceAll(/ qlen \d+/g, ''),
    'a link stays behind',
  );
  return { facts, report: explainProbe(facts, request, { from: 'web', to: 'db' }) };
}
const kinds = ({ steps }: ProbeReport) =>
  steps.map(({ kind, rule }) => (rule === undefined ? kind : `${kind} ${rule}`));

test('an accepted connection: the way there by interfaces and own rules, and the answer', async () => {
  const { report } = await ask(web.path, tcp('10.88.0.3', 80), db.path);
  assert.equal(report.reachable, true, JSON.stringify(report));
  assert.equal(report.cause, null);
  assert.deepEqual(report.steps[0]?.to, '10.88.0.3:80');
  assert.deepEqual(
    report.steps.filter(({ kind }) => kind === 'link').map(({ from, to }) => from ?? to),
    ['eth0', 'vethtest2', 'vethtest3', 'eth0'],
  );
  assert.ok(kinds(report).includes('deliver'));
  assert.equal(kinds(report).at(-1), 'answer');
});

test('the program that is asked never hears of it', async () => {
  let heard = 0;
  server.on('connection', () => heard++);
  assert.equal((await ask(web.path, tcp('10.88.0.3', 80), db.path)).report.reachable, true);
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.equal(heard, 0);
});

test('no listener: delivered and refused', async () => {
  const { facts, report } = await ask('host', tcp('10.88.0.3', 81), db.path);
  assert.deepEqual([report.reachable, report.cause], [false, 'nothing-listens']);
  assert.deepEqual(kinds(report).slice(-2), ['deliver', 'refused']);
  if (facts.dropped.length > 0) assert.equal(facts.dropped[0]?.reason, 'NO_SOCKET');
});

test('dropped by a rule of somebody else, named with table, chain and rule', async () => {
  nft(`table inet theirs { chain forwards { type filter hook forward priority 10; ip daddr 10.88.0.3 jump deeper; };
    chain deeper { tcp dport 80 counter drop; }; }`);
  const begin = performance.now();
  const { facts, report } = await ask('outside', tcp('198.51.100.1', 8080), db.path);
  assert.deepEqual([report.reachable, report.cause], [false, 'foreign-rule']);
  const drop = report.steps.find(({ kind }) => kind === 'drop');
  assert.match(drop?.rule ?? '', /^inet theirs deeper: tcp dport 80 counter .*drop$/);
  assert.equal(facts.outcome.kind, 'silence');
  assert.ok(performance.now() - begin < 5000);
});

test('dropped by a policy, and by a rule that rejects', async () => {
  nft('table inet theirs { chain forwards { type filter hook forward priority 10; policy drop; }; }');
  const policy = await ask('outside', tcp('198.51.100.1', 8080), db.path);
  assert.equal(policy.report.cause, 'foreign-rule');
  assert.equal(
    policy.report.steps.find(({ kind }) => kind === 'drop')?.rule,
    'inet theirs forwards: policy drop',
  );
  nft(`delete table inet theirs; table inet theirs { chain forwards { type filter hook forward priority 10;
    tcp dport 80 reject with tcp reset; }; }`);
  const { facts, report } = await ask('outside', tcp('198.51.100.1', 8080), db.path);
  assert.deepEqual([report.reachable, report.cause], [false, 'foreign-rule']);
  assert.equal(facts.outcome.kind, 'refused');
});

test('a rule inside the container is somebody else’s too', async () => {
  kernel.inNetns(db.path, () => {
    execFileSync('nft', ['-f', '-'], {
      input: 'table ip inner { chain i { type filter hook input priority 0; tcp dport 80 drop; }; }',
    });
    return undefined as never;
  });
  const { report } = await ask(web.path, tcp('10.88.0.3', 80), db.path);
  assert.equal(report.cause, 'foreign-rule');
  assert.match(report.steps.find(({ kind }) => kind === 'drop')?.detail ?? '', /in db at input/);
  kernel.inNetns(db.path, () => execFileSync('nft', ['delete', 'table', 'ip', 'inner']) as never);
});

test('dropped by the engine’s isolation, by its id', async () => {
  const { report } = await ask(web.path, tcp('10.89.0.4', 80), far.path);
  assert.deepEqual([report.reachable, report.cause], [false, 'no-common-network']);
  assert.ok(
    kinds(report).some((kind) => /^drop (isolation|direct-access)$/.test(kind)),
    kinds(report).join(),
  );
});

test('a published port: before and after the translation', async () => {
  const { facts, report } = await ask('outside', tcp('198.51.100.1', 8080), db.path);
  assert.equal(report.reachable, true, JSON.stringify(report));
  const dnat = report.steps.find(({ kind }) => kind === 'dnat');
  assert.deepEqual([dnat?.rule, dnat?.from, dnat?.to], ['published', '198.51.100.1:8080', '10.88.0.3:80']);
  assert.ok(kinds(report).includes('accept to-published'));
  assert.equal(
    report.steps.find(({ kind }) => kind === 'deliver')?.detail,
    'delivered in db, to 10.88.0.3:80',
  );
  assert.equal(facts.connection?.reply.source, '10.88.0.3');
  assert.equal(facts.connection?.original.destination, '198.51.100.1');
  assert.match(report.steps.at(-1)?.detail ?? '', /answered by 10.88.0.3:80, translated back/);
});

test('beyond the host: masqueraded, out at the uplink, and silence', async () => {
  const { report } = await ask(web.path, tcp('198.51.100.2', 80));
  assert.deepEqual([report.reachable, report.cause], [false, 'no-answer']);
  const masquerade = report.steps.find(({ kind }) => kind === 'masquerade');
  assert.equal(masquerade?.rule, 'egress');
  assert.match(masquerade?.to ?? '', /^198\.51\.100\.1:/);
  assert.ok(report.steps.some(({ detail }) => detail === 'leaves the host by up0'));
});

test('datagrams: refused without a program, taken by one, unknown beyond the host', async () => {
  const refused = await ask(web.path, udp('10.88.0.3', 53), db.path);
  assert.deepEqual([refused.report.reachable, refused.report.cause], [false, 'nothing-listens']);
  const { udp: fd, tcp: other } = kernel.bindInside(db.path, parseIpv4('10.88.0.3'), 53);
  const taken = await ask(web.path, udp('10.88.0.3', 53), db.path);
  assert.equal(taken.report.reachable, true, JSON.stringify(taken.report));
  const { close } = await import('../../src/kernel/libc.ts');
  close(fd);
  close(other);
  const beyond = await ask(web.path, udp('198.51.100.2', 53));
  assert.deepEqual([beyond.report.reachable, beyond.report.cause], [null, null]);
});

test('an echo, and IPv6', async () => {
  const echo = await ask('host', { protocol: 'icmp', address: parseIp('10.88.0.3') }, db.path);
  assert.equal(echo.report.reachable, true, JSON.stringify(echo.report));
  const echo6 = await ask('host', { protocol: 'icmp', address: parseIp('fd00:89::4') }, far.path);
  assert.equal(echo6.report.reachable, true, JSON.stringify(echo6.report));
  const refused = await ask('outside', tcp('fd00:89::4', 80), far.path);
  assert.equal(refused.report.cause, 'nothing-listens', JSON.stringify(refused.report));
});

test('forwarding off, a wire that is cut, a network without a way', async () => {
  ip('route add blackhole 203.0.113.0/25');
  const lost = await ask('host', tcp('203.0.113.7', 80));
  assert.deepEqual([lost.report.reachable, lost.report.cause], [false, 'no-route']);
  ip('link set vethtest3 nomaster');
  const cut = await ask(web.path, tcp('10.88.0.3', 80), db.path);
  assert.deepEqual([cut.report.reachable, cut.report.cause], [false, 'link-broken']);
  ip('link set vethtest3 master gwtest0');
  ip('link set vethtest3 type bridge_slave hairpin on');
  kernel.inNetns(db.path, () => {
    ip('route del default');
    return undefined as never;
  });
  const oneWay = await ask('outside', tcp('198.51.100.1', 8080), db.path);
  assert.deepEqual([oneWay.report.reachable, oneWay.report.cause], [false, 'no-route']);
  assert.ok(kinds(oneWay.report).includes('deliver'));
  kernel.inNetns(db.path, () => {
    ip('route add default via 10.88.0.1');
    return undefined as never;
  });
  execFileSync('sysctl', ['-q', 'net.ipv4.ip_forward=0']);
  const off = await ask(web.path, tcp('198.51.100.2', 80));
  assert.deepEqual([off.report.reachable, off.report.cause], [false, 'forwarding-off']);
  execFileSync('sysctl', ['-q', 'net.ipv4.ip_forward=1']);
});

test('a published port on 127.0.0.1, from its network, and from the container itself', async () => {
  kernel.apply([create(element('pub_addr', '127.0.0.1 . tcp . 9090', '10.88.0.3 . 80'))]);
  const local = await ask('host', tcp('127.0.0.1', 9090), db.path);
  assert.equal(local.report.reachable, true, JSON.stringify(local.report));
  const rewritten = local.report.steps.flatMap(({ kind, rule }) =>
    kind === 'dnat' || kind === 'masquerade' ? [`${kind} ${rule}`] : [],
  );
  assert.deepEqual(rewritten, ['dnat published-on-address', 'masquerade from-loopback']);
  const neighbour = await ask(web.path, tcp('198.51.100.1', 8080), db.path);
  assert.equal(neighbour.report.reachable, true, JSON.stringify(neighbour.report));
  const itself = await ask(db.path, tcp('198.51.100.1', 8080), db.path);
  assert.equal(itself.report.reachable, true, JSON.stringify(itself.report));
  assert.deepEqual(
    kinds(itself.report).filter((kind) => /^(dnat|masquerade|deliver|answer)/.test(kind)),
    ['dnat published', 'masquerade hairpin', 'deliver', 'answer'],
  );
});

test('without br_netfilter: the bridge hands on, and rules of the bridge family decide', async () => {
  execFileSync('sysctl', ['-q', 'net.bridge.bridge-nf-call-iptables=0']);
  try {
    const passed = await ask(web.path, tcp('10.88.0.3', 80), db.path);
    assert.equal(passed.report.reachable, true, JSON.stringify(passed.report));
    nft(`table bridge theirs { chain f { type filter hook forward priority 0; ip daddr 10.88.0.3 drop; }; }`);
    const { report } = await ask(web.path, tcp('10.88.0.3', 80), db.path);
    assert.equal(report.cause, 'foreign-rule');
    assert.equal(
      report.steps.find(({ kind }) => kind === 'drop')?.rule,
      'bridge theirs f: ip daddr 10.88.0.3 drop',
    );
    nft('delete table bridge theirs');
  } finally {
    execFileSync('sysctl', ['-q', 'net.bridge.bridge-nf-call-iptables=1']);
  }
});

test('what the reverse path filter gives up is told by the kernel’s own reason', async () => {
  ip('route add 10.88.0.2/32 dev up0');
  execFileSync('sysctl', ['-q', 'net.ipv4.conf.gwtest0.rp_filter=1']);
  const { facts, report } = await ask(web.path, tcp('198.51.100.2', 80));
  assert.deepEqual([report.reachable, report.cause], [false, 'rp-filter'], JSON.stringify(facts.dropped));
  execFileSync('sysctl', ['-q', 'net.ipv4.conf.gwtest0.rp_filter=0']);
  ip('route del 10.88.0.2/32 dev up0');
});

test('probes wait for each other', async () => {
  const ports = [80, 81, 80, 81];
  const all = await Promise.all(
    ports.map((port) => kernel.probe({ from: 'outside', to: tcp('10.88.0.3', port), toNetns: db.path })),
  );
  assert.deepEqual(
    all.map(({ standIn }) => standIn),
    ports.map(() => '203.0.113.254'),
  );
});

test('what a daemon that was killed in the middle leaves is observed as the engine’s, to be removed', () => {
  const routes = new RouteSocket();
  const namespaces = new NetnsSwitch();
  const path = join(netnsDirectory, 'probe') as NetnsPath;
  StandIn.make(routes, namespaces, path, 'ipv4', []);
  const left = kernel
    .observe()
    .filter((resource) => resourceKey(resource).includes('probe'))
    .map(resourceKey);
  assert.deepEqual(left.toSorted(), ['link gwprobe0', `netns ${path}`]);
  const resources = kernel.observe().filter((resource) => left.includes(resourceKey(resource)));
  assert.deepEqual(kernel.tearDown(removeAll(resources)), []);
  assert.ok(!links().includes('gwprobe0'));
  assert.throws(
    () =>
      StandIn.make(
        routes,
        namespaces,
        path,
        'ipv4',
        ['203.0.113.0', '192.0.2.0', '198.51.100.0'].map((net) => ({ address: parseIpv4(net), length: 24 })),
      ),
    /every block/,
  );
  routes.close();
  namespaces.close();
});
