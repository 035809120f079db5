import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { DoctorReport, Finding } from '../../src/model/finding.ts';
import { Cluster } from '../e2e/cluster.ts';
import { CHECKOUT } from '../e2e/engine-under-test.ts';
import type { Machine } from '../e2e/machine.ts';
import { NAME_SERVER } from '../e2e/namespaces.ts';
import { must, until } from '../e2e/process.ts';

let cluster: Cluster;
let one: Machine;
let two: Machine;
let three: Machine;

before(async () => {
  cluster = await Cluster.start(3);
  [one, two, three] = cluster.hosts as [Machine, Machine, Machine];
  const servers = JSON.stringify([{ address: NAME_SERVER, kind: 'good' }]);
  const serve = [process.execPath, `${CHECKOUT}test/e2e/upstreams.ts`, servers];
  for (const machine of cluster.hosts) await machine.spawnHelper(machine.inOutside(serve), 'SERVING');
});
after(() => cluster?.close());

async function examine(machine: Machine): Promise<readonly Finding[]> {
  const told = await machine.gangway('doctor', '--json');
  const { findings, unseen, looked } = JSON.parse(told.stdout) as DoctorReport;
  assert.deepEqual(unseen, []);
  assert.ok(looked.includes('cluster'));
  assert.equal(told.status, findings.length > 0 ? 1 : 0);
  return findings.filter(({ area }) => area === 'cluster');
}

const summary = (findings: readonly Finding[]): string[] =>
  findings.map(({ kind, subject }) => `${kind} ${subject}`);

/** Whoever was just told of a change may need a moment. */
async function expect(machine: Machine, wanted: readonly string[]): Promise<readonly Finding[]> {
  let findings: readonly Finding[] = [];
  await until(
    `${wanted.join() || 'nothing'} to be found`,
    async () => {
      findings = await examine(machine);
      return summary(findings).join() === wanted.join() ? true : undefined;
    },
    60,
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${JSON.stringify(findings, null, 1)}`);
  });
  return findings;
}

const name = (): Promise<string> => must(['hostname']);
/** As findings call the n-th host. */
const host = async (n: number): Promise<string> => `${await name()} (${cluster.address(n)})`;

test('three hosts in order: nothing is found, exit status 0', async () => {
  for (const machine of cluster.hosts) await expect(machine, []);
  const told = await one.gangway('doctor');
  assert.match(
    told.stdout,
    /^Nothing found\. Looked at: cluster, firewall, kernel, addresses, leftovers, names, room\./,
  );
  assert.equal(told.status, 0);
});

test('without a daemon: exit status 2', async () => {
  const told = await one.host([`${CHECKOUT}bin/gangway`, '-H', 'unix:///nowhere/docker.sock', 'doctor']);
  assert.equal(told.status, 2);
  assert.match(told.stderr, /no daemon answers/);
});

test('UDP 4789 is dropped on a host: named there with the rule, and at the others with the host', async () => {
  const rules =
    'table inet harsh { chain input { type filter hook input priority 0; udp dport 4789 drop; }; }';
  await must(two.inMachine(['nft', rules]));
  const [finding] = await expect(one, [`vxlan-blocked ${await host(1)}`]);
  assert.match(finding?.evidence.join('\n') ?? '', /100\.64\.0\.2 answers 100\.64\.0\.1 otherwise/);
  const there = await expect(two, [`vxlan-blocked ${await host(0)}`, `vxlan-blocked ${await host(2)}`]);
  assert.match(there[0]?.evidence.join('\n') ?? '', /table inet harsh, chain input: udp dport 4789 drop/);
  const told = await two.gangway('doctor');
  assert.equal(told.status, 1);
  assert.match(told.stdout, /^ERROR {4}UDP 4789 does not pass between this host and /m);

  const [command = ''] = there[0]?.fix ?? [];
  await must(two.inMachine(['sh', '-c', command.replace(/^sudo /, '')]));
  await expect(two, []);
  await expect(one, []);
  await must(two.inMachine(['nft', 'delete table inet harsh']));
});

test('a firewall that drops what nobody asked for: the chain is named, and what opens it', async () => {
  await must(
    two.inMachine([
      'nft',
      `table inet careful { chain input { type filter hook input priority 0; policy drop; iif lo accept;
        ct state established,related accept; icmp type echo-request accept; }; }`,
    ]),
  );
  await expect(one, [`vxlan-blocked ${await host(1)}`]);
  const [finding] = await expect(two, [`vxlan-blocked ${await host(0)}`, `vxlan-blocked ${await host(2)}`]);
  assert.match(
    finding?.evidence.join('\n') ?? '',
    /table inet careful, chain input: policy drop, and no rule/,
  );
  await must(two.inMachine(['sh', '-c', (finding?.fix ?? []).join('\n').replaceAll('sudo ', '')]));
  await expect(two, []);
  await expect(one, []);
  await must(two.inMachine(['nft', 'delete table inet careful']));
});

test('UDP 4789 is dropped between the hosts', async () => {
  const rules =
    'table bridge wire { chain forward { type filter hook forward priority 0; iifname host3 udp dport 4789 drop; }; }';
  await cluster.onUnderlay('nft', rules);
  // One direction is enough.
  await expect(one, [`vxlan-blocked ${await host(2)}`]);
  await expect(three, [`vxlan-blocked ${await host(0)}`, `vxlan-blocked ${await host(1)}`]);
  await cluster.onUnderlay('nft', 'delete table bridge wire');
  await expect(one, []);
});

test('a smaller MTU on the wire: found with the number of bytes that pass', async () => {
  await cluster.onUnderlay('ip', 'link', 'set', 'host2', 'mtu', '1400');
  const [finding] = await expect(one, [`mtu-black-hole ${await host(1)}`]);
  // The kernel lets the four bytes of a VLAN tag pass above the MTU (net/core/dev.c, __is_skb_forwardable).
  assert.match(finding?.sentence ?? '', /: 140[0-4] bytes arrive, 1500 do not/);
  await expect(three, [`mtu-black-hole ${await host(1)}`]);

  // As is told: where the way cannot be mended, every host's uplink takes its MTU, and overlay networks follow.
  const command = (finding?.fix ?? []).filter((line) => !line.startsWith('#')).join('\n');
  assert.match(command, /^sudo ip link set dev cl0 mtu 140[0-4]$/);
  for (const machine of cluster.hosts) {
    await must(machine.inMachine(['sh', '-euc', command.replace('sudo ', '')]));
  }
  await expect(one, []);
  await expect(two, []);
  for (const machine of cluster.hosts) {
    await must(machine.inMachine(['ip', 'link', 'set', 'dev', 'cl0', 'mtu', '1500']));
  }
  await expect(one, [`mtu-black-hole ${await host(1)}`]);
  await cluster.onUnderlay('ip', 'link', 'set', 'host2', 'mtu', '1500');
  await expect(one, []);
});

test('an address that nobody reaches is told: found there and at the others', async () => {
  await must(
    three.inMachine([
      ...['sh', '-euc'],
      'ip link add far0 type bridge; ip addr add 192.0.2.77/32 dev far0; ip link set far0 up',
    ]),
  );
  await three.stopDaemon();
  await three.startDaemon(['--cluster-advertise', '192.0.2.77']);
  const wrong = `advertise-unreachable ${await name()} (192.0.2.77)`;
  await expect(one, [wrong]);
  const [own] = await expect(three, [wrong]);
  assert.match(own?.sentence ?? '', /^This host tells the others the address 192\.0\.2\.77/);
  assert.match(own?.fix.join('\n') ?? '', /--cluster-advertise 100\.64\.0\.3/);

  await three.stopDaemon();
  await three.startDaemon(['--cluster-advertise', '127.0.0.1']);
  await expect(one, [`advertise-loopback ${await name()} (127.0.0.1)`]);
  await expect(three, [`advertise-loopback ${await name()} (127.0.0.1)`]);

  await three.stopDaemon();
  await three.startDaemon();
  await expect(one, []);
  await expect(three, []);
  await must(three.inMachine(['ip', 'link', 'delete', 'far0']));
});

test('the address that is told goes away while the daemon runs', async () => {
  // In that order: without its first address an interface loses the others of the subnet.
  await must(three.inMachine(['ip', 'addr', 'del', '100.64.0.3/24', 'dev', 'cl0']));
  await must(three.inMachine(['ip', 'addr', 'add', '100.64.0.33/24', 'dev', 'cl0']));
  const [finding] = await expect(three, [`advertise-gone ${await host(2)}`]);
  assert.match(finding?.fix.join('\n') ?? '', /--cluster-advertise 100\.64\.0\.33/);
  await must(
    three.inMachine(['sh', '-euc', 'ip addr del 100.64.0.33/24 dev cl0; ip addr add 100.64.0.3/24 dev cl0']),
  );
  await expect(three, []);
});

test("the doctor's own tunnel is made again when somebody takes it away", async () => {
  await must(two.inMachine(['ip', 'link', 'delete', 'vx-health']));
  await must(three.inMachine(['ip', 'link', 'delete', 'ov-health']));
  for (const machine of cluster.hosts) await expect(machine, []);
});

test('a host is cut off, then its daemon dies: it is away, and that is told', async () => {
  await three.stopDaemon('SIGKILL');
  await expect(one, [`host-away ${await host(2)}`]);
  await three.startDaemon();
  await expect(one, []);
});
