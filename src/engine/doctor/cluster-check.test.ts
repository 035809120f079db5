import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Ip } from '../../model/address.ts';
import { checkCluster } from './cluster-check.ts';
import type { ClusterFacts, HostLook } from './cluster-facts.ts';

const node = (n: number) => ({ id: `id-${n}`, name: `host${n}`, address: `192.0.2.${n}` as Ip });
const healthy = (n: number): HostLook => ({
  node: node(n),
  alive: true,
  answeredBy: `id-${n}`,
  passed: { mtu: 1450, largest: 1450, arrives: true },
  ahead: 3,
  underlay: undefined,
});
const silent = (n: number, advertised: 'answers' | 'silent', any: 'answers' | 'silent'): HostLook => ({
  ...healthy(n),
  answeredBy: undefined,
  passed: undefined,
  ahead: undefined,
  underlay: { advertised, any },
});
const facts: ClusterFacts = {
  own: node(1),
  state: 'connected',
  since: 0,
  localAddresses: ['127.0.0.1', '192.0.2.1'],
  uplink: 'eth0',
  hosts: [healthy(2), healthy(3)],
  firewall: { chains: [], rules: [] },
};
const found = (change: Partial<ClusterFacts>): string[] =>
  checkCluster({ ...facts, ...change }).map(({ kind, subject }) => `${kind} ${subject}`);

test('a cluster in order has no finding', () => assert.deepEqual(found({}), []));

test('the verdict of a host that does not answer depends on what else of it answers', () => {
  assert.deepEqual(found({ hosts: [silent(2, 'answers', 'answers'), healthy(3)] }), [
    'vxlan-blocked host2 (192.0.2.2)',
  ]);
  assert.deepEqual(found({ hosts: [silent(2, 'silent', 'silent'), healthy(3)] }), [
    'advertise-unreachable host2 (192.0.2.2)',
  ]);
  assert.deepEqual(found({ hosts: [{ ...silent(2, 'silent', 'silent'), alive: false }, healthy(3)] }), [
    'host-away host2 (192.0.2.2)',
  ]);
});

test('nobody hears this host at the address it tells: it is to blame, not they', () => {
  assert.deepEqual(found({ hosts: [silent(2, 'silent', 'answers'), silent(3, 'silent', 'answers')] }), [
    'advertise-unreachable host1 (192.0.2.1)',
  ]);
  assert.deepEqual(found({ localAddresses: ['127.0.0.1', '192.0.2.9'] }), [
    'advertise-gone host1 (192.0.2.1)',
  ]);
});

test('two hosts that tell one address are named together, and not looked at one by one', () => {
  const copy = { ...silent(3, 'answers', 'answers'), node: { ...node(3), address: '192.0.2.2' as Ip } };
  assert.deepEqual(found({ hosts: [healthy(2), copy] }), ['advertise-twice 192.0.2.2']);
  assert.deepEqual(found({ hosts: [{ ...healthy(2), answeredBy: 'id-9' }] }), [
    'advertise-taken host2 (192.0.2.2)',
  ]);
});

test('the number of bytes that pass is that of the packet on the wire', () => {
  const short = { ...healthy(2), passed: { mtu: 1450, largest: 1350, arrives: false } };
  const [finding] = checkCluster({ ...facts, hosts: [short] });
  assert.match(finding?.sentence ?? '', /to host2 \(192\.0\.2\.2\): 1400 bytes arrive, 1500 do not/);
});

test('clocks seconds apart are told, milliseconds are not', () => {
  assert.deepEqual(found({ hosts: [{ ...healthy(2), ahead: -60_000 }] }), ['clock-apart host2 (192.0.2.2)']);
});
