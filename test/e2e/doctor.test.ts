import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { DoctorReport, Finding, FindingKind } from '../../src/model/finding.ts';
import { CHECKOUT } from './engine-under-test.ts';
import { Machine } from './machine.ts';
import { NAME_SERVER, OUTSIDE } from './namespaces.ts';
import { must, until } from './process.ts';

let machine: Machine;

before(async () => {
  // Sixteen subnets: few enough to use up.
  machine = await Machine.start({ flags: ['--default-address-pool', 'base=10.99.0.0/20,size=24'] });
  const servers = JSON.stringify([{ address: NAME_SERVER, kind: 'good' }]);
  const serve = [process.execPath, `${CHECKOUT}test/e2e/upstreams.ts`, servers];
  await machine.spawnHelper(machine.inOutside(serve), 'SERVING');
});
after(() => machine?.close());

const shell = (command: string): Promise<string> =>
  must(machine.inMachine(['sh', '-euc', command]), {
    env: { ...process.env, DOCKER_HOST: `unix://${machine.socket}` },
  });

async function examine(): Promise<readonly Finding[]> {
  const told = await machine.gangway('doctor', '--json');
  const { findings, unseen, looked } = JSON.parse(told.stdout) as DoctorReport;
  assert.deepEqual(unseen, []);
  assert.deepEqual(looked, ['firewall', 'kernel', 'addresses', 'leftovers', 'names', 'room']);
  assert.equal(told.status, findings.some(({ severity }) => severity !== 'note') ? 1 : 0);
  return findings;
}

const summary = (findings: readonly Finding[]): string =>
  findings.map(({ kind, subject }) => `${kind} ${subject}`).join('\n');

async function clean(): Promise<void> {
  let findings: readonly Finding[] = [];
  await until('nothing to be found', async () => {
    findings = await examine();
    return findings.length === 0 ? true : undefined;
  }).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${JSON.stringify(findings, null, 1)}`);
  });
}

const asRoot = (fix: readonly string[]): string =>
  fix
    .filter((line) => !line.startsWith('#'))
    .map((line) => line.replaceAll('sudo ', ''))
    .join('\n');

/** Breaks something: it is found, and nothing else; the commands that are told mend it. */
async function breaks(how: string, kind: FindingKind, subject: string, evidence: RegExp): Promise<void> {
  await shell(how);
  const findings = await examine();
  assert.equal(summary(findings), `${kind} ${subject}`);
  const [finding] = findings;
  assert.match(finding?.evidence.join('\n') ?? '', evidence);
  const fix = asRoot(finding?.fix ?? []);
  assert.notEqual(fix, '');
  await shell(fix);
  await clean();
}

test('a host in order: nothing is found, and everything was looked at', async () => {
  await clean();
  const told = await machine.gangway('doctor');
  assert.equal(
    told.stdout,
    'Nothing found. Looked at: firewall, kernel, addresses, leftovers, names, room.\n',
  );
});

test('forwarding is off', () =>
  breaks('sysctl -w net.ipv4.ip_forward=0', 'forwarding-off', 'net/ipv4/ip_forward', /ip_forward = 0/));

test('a chain of somebody else lets nothing through', async () => {
  await breaks(
    "nft 'table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; }; }'",
    'forward-chain',
    'ip filter FORWARD',
    /policy drop, and no rule before it lets docker0 through/,
  );
  await shell('nft delete table ip filter');
});

test('one by iptables', async () => {
  await breaks('iptables -P FORWARD DROP', 'forward-chain', 'ip filter FORWARD', /policy drop/);
  await shell('iptables -P FORWARD ACCEPT; iptables -F; nft delete table ip filter');
});

test('a rule of somebody else drops packets of a bridge, another some of all that is forwarded', async () => {
  await shell('iptables -A FORWARD -i docker0 -p tcp --dport 443 -j DROP');
  const [own] = await examine();
  assert.match(summary([own as Finding]), /^forward-rule ip filter FORWARD \d+$/);
  assert.match(own?.evidence.join('\n') ?? '', /chain FORWARD: iifname "docker0" .*dport 443 .*drop/);
  await shell(asRoot(own?.fix ?? []));
  await clean();
  await shell(
    "nft 'table inet corp { chain passing { type filter hook forward priority 0; udp dport 53 drop; }; }'",
  );
  const [any] = await examine();
  assert.equal(any?.severity, 'warning');
  await shell(asRoot(any?.fix ?? []));
  await clean();
  await shell('nft delete table inet corp; nft delete table ip filter');
});

test('a chain and a rule of iptables-legacy', async () => {
  await breaks(
    'iptables-legacy -P FORWARD DROP',
    'forward-chain',
    'iptables-legacy filter FORWARD',
    /policy drop, and no rule before it lets docker0 through/,
  );
  await shell('iptables-legacy -P FORWARD ACCEPT; iptables-legacy -F');
  await breaks(
    "iptables-legacy -N mine; iptables-legacy -A FORWARD -j mine; iptables-legacy -A mine -i docker+ -p tcp -m comment --comment 'a b' --dport 443 -j DROP",
    'forward-rule',
    'iptables-legacy filter mine 1',
    /iptables-legacy table filter, chain mine: -i docker\+ -p tcp .*--dport 443 -j DROP/,
  );
  await shell('iptables-legacy -F; iptables-legacy -X');
});

test("somebody adds a rule to the engine's own table", async () => {
  await shell('nft insert rule ip gangway forward tcp dport 80 drop');
  const [finding] = await examine();
  assert.equal(summary([finding as Finding]), 'own-table ip gangway');
  assert.match(finding?.evidence.join('\n') ?? '', /added in chain forward: tcp dport 80 drop/);
  await shell(asRoot(finding?.fix ?? []));
  await clean();
});

test('or takes one out of it: the engine puts it back by itself', async () => {
  await shell(
    'nft delete rule ip gangway forward handle $(nft -a list chain ip gangway forward | sed -n \'s/.*"isolation" # handle //p\' | tail -1)',
  );
  await clean();
});

test('strict reverse path filtering on a bridge of a container with two networks', async () => {
  await shell('docker network create two; docker run -d --name both --network two busybox sleep 1000');
  await shell('docker network connect bridge both');
  await clean();
  await breaks(
    'sysctl -w net.ipv4.conf.docker0.rp_filter=1',
    'rp-filter',
    'docker0',
    /rp_filter of docker0 is 1/,
  );
  await shell('docker rm -f both; docker network rm two');
});

test('what is bridged does not pass the firewall any more', async () => {
  const before = await shell('cat /proc/sys/net/bridge/bridge-nf-call-iptables');
  assert.equal(before, '1');
  await shell('docker network create -o com.docker.network.bridge.enable_icc=false apart');
  const name = 'net/bridge/bridge-nf-call-iptables';
  await breaks('sysctl -w net.bridge.bridge-nf-call-iptables=0', 'bridge-nf', name, /= 0, and it was 1/);
  await shell('docker network rm apart');
});

test('a network with larger packets than the uplink takes', async () => {
  await breaks(
    'docker network create -o com.docker.network.driver.mtu=9000 jumbo',
    'bridge-mtu',
    'jumbo',
    /MTU of the network: 9000, of the uplink: 1500/,
  );
  await shell('docker network rm jumbo');
});

test('a route leads into the subnet of a network', async () => {
  await shell('docker network create --subnet 10.77.0.0/24 lan');
  await breaks(
    `ip route add 10.77.0.128/25 via ${OUTSIDE}`,
    'route-overlap',
    'lan 10.77.0.128/25',
    /route 10\.77\.0\.128\/25 via 198\.51\.100\.2 dev up0/,
  );
  await shell(`ip route del 10.77.0.128/25; docker network rm lan`);
});

test('a network without a free address', async () => {
  await shell('docker network create --subnet 10.78.0.0/29 small');
  const run = [1, 2, 3, 4, 5].map((n) => `docker run -d --name s${n} --network small busybox sleep 1000`);
  await breaks(run.join('\n'), 'network-full', 'small', /5 of 5 addresses of 10\.78\.0\.0\/29/);
  await shell('docker run --rm --network small busybox true');
  await shell('docker rm -f s1 s2 s3 s4 s5; docker network rm small');
});

test('no subnet is left for another network', async () => {
  await breaks(
    'i=0; while docker network create n$i; do i=$((i + 1)); done 2>/dev/null',
    'pools-used-up',
    'address pools',
    /16 subnets in 10\.99\.0\.0\/20, all but 0 in use/,
  );
});

test("a bridge with the mark of the engine that is nobody's, and an MTU that somebody changed", async () => {
  await breaks(
    'ip link add stray0 type bridge; ip link set stray0 alias gangway',
    'leftover',
    'link stray0',
    /link stray0/,
  );
  await breaks('ip link set docker0 mtu 1400', 'drift', 'link docker0', /"mtu":1500/);
});

test('a name server that does not answer', async () => {
  const file = join(machine.directory, 'resolv.conf');
  const lines = `nameserver ${NAME_SERVER}\nsearch example.test\n`;
  writeFileSync(file, `nameserver 198.51.100.99\n${lines}`);
  const [finding] = await examine();
  assert.equal(summary([finding as Finding]), 'resolver-dead 198.51.100.99');
  assert.equal(finding?.severity, 'warning');
  writeFileSync(file, lines);
  await clean();
});

test('what other engines left is told, and is no reason for a status', async () => {
  await shell('ip link add br-0123456789ab type bridge; ip link add podman0 type bridge');
  const findings = await examine();
  assert.equal(summary(findings), 'other-engine Docker\nother-engine Podman');
  const told = await machine.gangway('doctor');
  assert.equal(told.status, 0);
  assert.match(told.stdout, /interface br-0123456789ab, down/);
  assert.match(told.stdout, /^2 notes\. docs\/doctor\.md/m);
  await shell('ip link delete br-0123456789ab; ip link delete podman0');
});
