import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FirewallRule } from '../../kernel/firewall-rules.ts';
import { type Ip, parseIfName, parseInterfaceAddress, parsePrefix } from '../../model/address.ts';
import type { Finding } from '../../model/finding.ts';
import type { BridgeNetwork, Endpoint } from '../../model/network.ts';
import { TABLE_NAME } from '../../plan/nft-text.ts';
import { ALL_TABLES } from '../../plan/plan.ts';
import { ruleset } from '../../plan/ruleset.ts';
import { SPOOF_GUARD } from '../../plan/spoof-guard.ts';
import { checkAddresses } from './address-check.ts';
import { checkFirewall } from './firewall-check.ts';
import type { HostLook } from './host-facts.ts';
import { checkKernel } from './kernel-check.ts';
import { checkNames } from './name-check.ts';
import { checkRoom } from './room-check.ts';

const GIGA = 2 ** 30;
const look: HostLook = {
  networks: [],
  endpoints: [],
  plan: { tables: ALL_TABLES, bridgeFirewall: true, directRouting: false },
  host: {
    usedPrefixes: [],
    localAddresses: [],
    ephemeralPorts: { first: 32768, last: 60999 },
    uplinkMtu: 1500,
    bridgeFirewall: true,
  },
  inventory: { links: [], addresses: [], routes: [] },
  chains: [],
  rules: [],
  legacy: [],
  drift: [],
  sources: [{ base: parsePrefix('172.16.0.0/12'), size: 16 }],
  inCluster: false,
  ipForward: true,
  sysctl: () => undefined,
  hasFeature: () => true,
  resolvers: [],
  resolversFrom: '/etc/resolv.conf',
  dataRoot: '/data',
  room: { free: 100 * GIGA, total: 200 * GIGA, inodes: 0.9 },
  now: Date.UTC(2026, 5, 1),
};
const kinds = (findings: readonly Finding[]): string[] =>
  findings.map(({ kind, severity, subject }) => `${kind} ${severity} ${subject}`);

test('connections: told before the table is full', () => {
  const at = (count: number): string[] =>
    kinds(
      checkKernel({
        ...look,
        sysctl: (name) =>
          name.endsWith('nf_conntrack_count')
            ? `${count}`
            : name.endsWith('nf_conntrack_max')
              ? '1000'
              : undefined,
      }),
    );
  assert.deepEqual(at(899), []);
  assert.deepEqual(at(900), ['conntrack-full warning nf_conntrack']);
  assert.deepEqual(at(990), ['conntrack-full error nf_conntrack']);
});

test('a feature is missing where the kernel says so, not where it does not say', () => {
  const without = (answer: boolean | undefined, inCluster: boolean): string[] =>
    kinds(checkKernel({ ...look, inCluster, hasFeature: (option) => (option === 'VXLAN' ? answer : true) }));
  assert.deepEqual(without(false, true), ['feature-missing error vxlan']);
  assert.deepEqual(without(false, false), []);
  assert.deepEqual(without(undefined, true), []);
});

test('a rule of the engine that is missing, and one that is not its own', () => {
  const rules: readonly FirewallRule[] = [ruleset('ip'), ruleset('ip6'), SPOOF_GUARD].flatMap(
    ({ family, chains }) =>
      chains.flatMap((chain) =>
        chain.rules.map(({ id }, handle) => ({
          ...{ family, table: TABLE_NAME, chain: chain.name, handle, hook: undefined },
          text: `drop comment "${id}"`,
        })),
      ),
  );
  const found = (some: readonly FirewallRule[]) =>
    checkFirewall({ ...look, rules: some }).flatMap(({ kind, severity, evidence }) => [
      `${kind} ${severity}`,
      ...evidence,
    ]);
  assert.deepEqual(found(rules), []);
  const last = rules.findLastIndex(({ family, text }) => family === 'ip' && text.includes('"isolation"'));
  assert.deepEqual(found(rules.toSpliced(last, 1)), [
    'own-table error',
    'chain forward: the rule isolation is missing',
  ]);
  const [first] = rules;
  assert.ok(first);
  assert.deepEqual(found([...rules, { ...first, chain: 'forward', text: 'tcp dport 80 drop' }]), [
    'own-table warning',
    'added in chain forward: tcp dport 80 drop',
  ]);
});

test('a clock that was never set', () => {
  assert.deepEqual(kinds(checkKernel({ ...look, now: 0 })), ['clock-unset error clock']);
});

test('two uplinks, one of them strict', () => {
  const link = { up: true, mac: '', mtu: 1500, alias: '', kind: '', master: 0, peer: 0, macvlanMode: 0 };
  const rest = { vxlan: undefined, hairpin: false, isolated: false };
  const route = (index: number) => ({
    to: undefined,
    gateway: undefined,
    family: 'ipv4' as const,
    link: index,
  });
  const found = checkKernel({
    ...look,
    sysctl: (name) => (name === 'net/ipv4/conf/eth1/rp_filter' ? '1' : undefined),
    inventory: {
      links: [1, 2].map((index) => ({ ...link, ...rest, index, name: `eth${index - 1}` })),
      addresses: [],
      routes: [route(1), route(2)],
    },
  });
  assert.deepEqual(kinds(found), ['rp-filter warning eth1']);
});

test('little room on the disk, or no inode', () => {
  assert.deepEqual(kinds(checkRoom(look)), []);
  assert.deepEqual(kinds(checkRoom({ ...look, room: { ...look.room, free: GIGA / 2 } })), [
    'disk-full warning /data',
  ]);
  assert.deepEqual(kinds(checkRoom({ ...look, room: { ...look.room, inodes: 0 } })), [
    'disk-full error /data',
  ]);
});

test('slow and dead name servers; all of them dead is an error', () => {
  const with_ = (...times: (number | undefined)[]): string[] =>
    kinds(
      checkNames({
        ...look,
        resolvers: times.map((milliseconds, i) => ({ address: `192.0.2.${i}`, milliseconds })),
      }),
    );
  assert.deepEqual(with_(20, 900), ['resolver-slow warning 192.0.2.1']);
  assert.deepEqual(with_(20, undefined), ['resolver-dead warning 192.0.2.1']);
  assert.deepEqual(with_(undefined), ['resolver-dead error 192.0.2.0']);
});

const network: BridgeNetwork = {
  id: 'n1',
  name: 'lan',
  created: '',
  labels: {},
  options: {},
  driver: 'bridge',
  internal: false,
  attachable: false,
  ipv4: {
    subnet: parsePrefix('192.0.2.0/24') as never,
    gateway: parseInterfaceAddress('192.0.2.1/24') as never,
    onBridge: true,
    auxAddresses: {},
    gatewayMode: 'nat',
    egress: { mode: 'masquerade' },
  },
  bridge: {
    ifName: parseIfName('br0'),
    owned: true,
    mac: '02:00:00:00:00:01' as never,
    mtu: 1500,
    mtuOfUplink: true,
    icc: true,
    trustedInterfaces: [],
    ifPrefix: 'eth',
  },
};

test('a name server inside the subnet of a network; the host itself may serve names there', () => {
  const resolvers = [{ address: '192.0.2.53', milliseconds: 1 }];
  assert.deepEqual(kinds(checkAddresses({ ...look, networks: [network], resolvers })), [
    'resolver-overlap error lan 192.0.2.53',
  ]);
  const host = { ...look.host, localAddresses: ['192.0.2.53'] };
  assert.deepEqual(kinds(checkAddresses({ ...look, networks: [network], resolvers, host })), []);
});

test('ports of the range that -P takes from are used up', () => {
  const published = {
    protocol: 'tcp' as const,
    hostIp: '0.0.0.0' as Ip,
    hostPorts: { first: 40000, last: 40099 },
    containerPorts: { first: 1, last: 100 },
  };
  const endpoint = { networkId: 'n1', published: [published] } as unknown as Endpoint;
  const host = { ...look.host, ephemeralPorts: { first: 40000, last: 40109 } };
  assert.deepEqual(kinds(checkAddresses({ ...look, endpoints: [endpoint], host })), [
    'ports-used-up warning 40000-40109',
  ]);
});
