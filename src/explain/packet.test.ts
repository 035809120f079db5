import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type IfName, type NetnsPath, parseIpv4 } from '../model/address.ts';
import type { OverlayNetwork } from '../model/network.ts';
import { planOverlay } from '../plan/overlay.ts';
import { ALL_TABLES, type PlanFacts, planEndpoint, planNetwork } from '../plan/plan.ts';
import type { Resource } from '../plan/resource.ts';
import { IPV4_RULESET as RULESET } from '../plan/ruleset.ts';
import { endpoint, network, port } from './example.ts';
import { Elements, type Hook, type Packet, passHook } from './packet.ts';

const front = network({ name: 'front', subnet: '10.1.0.0', bridge: 'br-front' });
const back = network({ name: 'back', subnet: '10.2.0.0', bridge: 'br-back', icc: false });
const vault = network({ name: 'vault', subnet: '10.3.0.0', bridge: 'br-vault', internal: true });
const web = endpoint(front, 'web', '10.1.0.2', [
  port('0.0.0.0', 8080, 80),
  port('198.51.100.7', 9090, 90),
  port('127.0.0.1', 7070, 70),
]);
const db = endpoint(back, 'db', '10.2.0.2', []);
const facts: PlanFacts = { tables: ALL_TABLES, bridgeFirewall: true, directRouting: false };
const elements = new Elements(
  'ip',
  [
    ...[front, back, vault].flatMap((each) => planNetwork(each, facts)),
    ...planEndpoint(front, web, '/n/web' as NetnsPath, facts),
    ...planEndpoint(back, db, '/n/db' as NetnsPath, facts),
  ].filter((resource: Resource) => resource.kind === 'element'),
);

type Some = Partial<Omit<Packet, 'saddr' | 'daddr'> & { readonly saddr: string; readonly daddr: string }>;

const packet = ({ saddr = '203.0.113.9', daddr = '192.0.2.1', ...some }: Some): Packet => ({
  iifname: 'uplink',
  oifname: '',
  saddr: parseIpv4(saddr),
  daddr: parseIpv4(daddr),
  dport: 1,
  protocol: 'tcp',
  toHost: false,
  state: 'new',
  dnat: false,
  ...some,
});
const pass = (hook: Hook, some: Some) => passHook(RULESET, elements, hook, packet(some));
const rules = (hook: Hook, some: Some) => pass(hook, some).map(({ kind, rule }) => `${kind} ${rule}`);

test('a port published on every address is translated for any local destination, any other is not', () => {
  assert.deepEqual(pass('prerouting', { toHost: true, dport: 8080 }), [
    { kind: 'dnat', rule: 'published', address: '10.1.0.2', port: 80 },
  ]);
  assert.deepEqual(pass('output', { iifname: '', toHost: true, dport: 8080 }), [
    { kind: 'dnat', rule: 'published', address: '10.1.0.2', port: 80 },
  ]);
  assert.deepEqual(rules('prerouting', { toHost: true, dport: 8081 }), []);
  assert.deepEqual(rules('prerouting', { toHost: true, dport: 8080, protocol: 'udp' }), []);
  assert.deepEqual(
    rules('prerouting', { toHost: false, dport: 8080 }),
    [],
    'routed through, not to the host',
  );
});

test('a port published on one address is not translated for another', () => {
  const asked = { toHost: true, dport: 9090 };
  assert.deepEqual(rules('prerouting', { ...asked, daddr: '198.51.100.7' }), ['dnat published-on-address']);
  assert.deepEqual(rules('prerouting', { ...asked, daddr: '192.0.2.1' }), []);
});

test('what is published on 127.0.0.1 is for the host alone', () => {
  const asked = { daddr: '127.0.0.1', toHost: true, dport: 7070 };
  assert.deepEqual(rules('output', { ...asked, saddr: '127.0.0.1', iifname: '' }), [
    'dnat published-on-address',
  ]);
  assert.deepEqual(rules('prerouting', asked), ['drop loopback-guard']);
});

test("a container's own address is not reached from outside, nor from another network", () => {
  assert.deepEqual(rules('prerouting', { daddr: '10.1.0.2', dport: 80 }), ['drop direct-access']);
  assert.deepEqual(rules('prerouting', { iifname: 'br-back', saddr: '10.2.0.2', daddr: '10.1.0.2' }), [
    'drop direct-access',
  ]);
  assert.deepEqual(rules('prerouting', { iifname: 'br-front', saddr: '10.1.0.3', daddr: '10.1.0.2' }), []);
  assert.deepEqual(rules('prerouting', { daddr: '10.1.0.2', state: 'established' }), ['accept known']);
  const forged = { iifname: 'br-back', saddr: '10.1.0.2', daddr: '198.51.100.1' };
  assert.deepEqual(rules('prerouting', forged), ['drop foreign-source']);
});

test('forwarding: only what was translated enters a network, and it leaves freely', () => {
  const enter = { oifname: 'br-front', daddr: '10.1.0.2' };
  assert.deepEqual(rules('forward', { ...enter, dnat: true }), ['accept to-published']);
  assert.deepEqual(rules('forward', enter), ['drop isolation']);
  assert.deepEqual(rules('forward', { ...enter, state: 'established' }), ['accept answers']);
  assert.deepEqual(rules('forward', { iifname: 'br-front', oifname: 'uplink' }), [], "others' rules decide");
  assert.deepEqual(rules('forward', { iifname: 'uplink', oifname: 'tunnel' }), [], 'not ours at all');
});

test('containers of one network reach each other where icc allows it (bridge-nf-call-iptables=1)', () => {
  assert.deepEqual(rules('forward', { iifname: 'br-front', oifname: 'br-front' }), ['accept same-network']);
  assert.deepEqual(rules('forward', { iifname: 'br-back', oifname: 'br-back' }), ['drop isolation']);
  assert.deepEqual(rules('forward', { iifname: 'br-back', oifname: 'br-front' }), ['drop isolation']);
});

test('an internal network neither sends nor takes', () => {
  assert.deepEqual(rules('forward', { iifname: 'br-vault', oifname: 'uplink' }), ['drop internal-out']);
  assert.deepEqual(rules('forward', { oifname: 'br-vault', dnat: true }), ['drop internal-in']);
  assert.deepEqual(rules('forward', { iifname: 'br-vault', oifname: 'br-vault' }), ['accept same-network']);
});

test('the source: kept from outside, masqueraded on the way out, for hairpins and from 127.0.0.1', () => {
  const inwards = { oifname: 'br-front', daddr: '10.1.0.2', dnat: true };
  assert.deepEqual(rules('postrouting', inwards), []);
  assert.deepEqual(rules('postrouting', { ...inwards, saddr: '127.0.0.1' }), ['masquerade from-loopback']);
  assert.deepEqual(rules('postrouting', { ...inwards, saddr: '10.1.0.3' }), ['masquerade hairpin']);
  assert.deepEqual(rules('postrouting', { oifname: 'uplink', saddr: '10.1.0.2' }), ['masquerade egress']);
  assert.deepEqual(
    rules('postrouting', { oifname: 'br-front', saddr: '10.1.0.2' }),
    ['accept stays-home'],
    'a neighbour sees a neighbour',
  );
  assert.deepEqual(rules('postrouting', { oifname: 'uplink', saddr: '10.9.0.2' }), [], 'not ours');
});

test('what an overlay network hands on is let through without being tracked, and nothing else of it', () => {
  const overlay: OverlayNetwork = {
    ...{
      id: 'f00df00d',
      name: 'lamp',
      created: '',
      labels: {},
      options: {},
      internal: false,
      attachable: false,
    },
    driver: 'overlay',
    overlay: { bridge: 'ov-f00d' as IfName, vxlan: 'vx-f00d' as IfName, vni: 4096 },
  };
  const planned = planOverlay(overlay, {
    address: parseIpv4('192.0.2.1'),
    uplinkMtu: 1500,
    tables: ALL_TABLES,
  });
  const own = new Elements('ip', [...planned.filter((each) => each.kind === 'element')]);
  const pass = (hook: Hook, some: Some): string[] =>
    passHook(RULESET, own, hook, packet(some)).map(({ kind, rule }) => `${kind} ${rule}`);
  const within = { iifname: 'ov-f00d', saddr: '10.0.0.2', daddr: '10.0.0.3' };
  assert.deepEqual(pass('prerouting', within), ['notrack overlay']);
  assert.deepEqual(pass('prerouting', { ...within, toHost: true, dport: 8080 }), ['notrack overlay']);
  assert.deepEqual(pass('forward', { ...within, oifname: 'ov-f00d', state: 'untracked' }), [
    'accept same-network',
  ]);
  const none = planOverlay(overlay, { address: parseIpv4('192.0.2.1'), uplinkMtu: 1500, tables: new Set() });
  assert.deepEqual(
    none.map(({ kind }) => kind),
    ['bridge', 'vxlan'],
  );
});
