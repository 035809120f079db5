import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IfName, Ipv4, Mac, NetnsPath } from '../model/address.ts';
import { creations, deletions, diff } from './diff.ts';
import { type Change, type Resource, resourceKey } from './resource.ts';

const netns: Resource = { kind: 'netns', path: '/n/a' as NetnsPath };
const bridge: Resource = {
  kind: 'bridge',
  ifName: 'br0' as IfName,
  mac: '02:00:00:00:00:01' as Mac,
  mtu: 1500,
  addresses: [{ address: '10.0.0.1' as Ipv4, length: 24 }],
  ipv6: false,
  routeLocalnet: true,
};
const veth: Resource = {
  kind: 'veth',
  hostIfName: 'veth0' as IfName,
  bridge: 'br0' as IfName,
  netns: '/n/a' as NetnsPath,
  ifName: 'eth0' as IfName,
  mac: '02:00:00:00:00:02' as Mac,
  mtu: 1500,
  addresses: [{ address: '10.0.0.2' as Ipv4, length: 24 }],
  ipv6: false,
};
const ruleset: Resource = { kind: 'ruleset', table: 'ip', text: 'table ip x { }', version: '1' };
const held: Resource = { kind: 'host-port', protocol: 'tcp', address: '0.0.0.0' as Ipv4, port: 80 };
const element: Resource = {
  kind: 'element',
  table: 'ip',
  set: 'pub_any',
  key: 'tcp . 80',
  value: '10.0.0.2 . 80',
};
const all = [element, veth, held, ruleset, bridge, netns];
const kinds = (changes: readonly Change[]) => changes.map(({ op, resource }) => `${op} ${resource.kind}`);

test('what is as wanted is left alone, however it is listed', () => {
  const listed = all.toReversed().map((resource) => structuredClone(resource));
  assert.deepEqual(diff(all, listed), []);
  // The kernel lists the text in its own spelling.
  assert.deepEqual(diff([ruleset], [{ ...ruleset, text: 'table ip x {}' }]), []);
  const rules = { ...ruleset, text: 'chain a {\n  drop comment "one"\n drop comment "one"\n}\nchain b {\n}' };
  const changes = (text: string) => diff([rules], [{ ...rules, text }]).map(({ op }) => op);
  assert.deepEqual(
    changes(
      'chain b { }\nchain a { counter packets 1 bytes 2 drop comment "one" drop comment "one" accept }',
    ),
    [],
  );
  assert.deepEqual(changes('chain a { drop comment "one" }'), ['replace'], 'one is missing');
  assert.deepEqual(
    changes('chain a { }\nchain b { drop comment "one" drop comment "one" }'),
    ['replace'],
    'elsewhere',
  );
});

test('things are made after what they stand on, and go before it', () => {
  const order = ['netns', 'ruleset', 'bridge', 'host-port', 'veth', 'element'];
  assert.deepEqual(
    kinds(diff(all, [])),
    order.map((kind) => `create ${kind}`),
  );
  assert.deepEqual(
    kinds(diff([], all)),
    order.toReversed().map((kind) => `delete ${kind}`),
  );
  assert.deepEqual(creations(all), diff(all, []));
  assert.deepEqual(deletions(all), diff([], all));
});

test('what differs is replaced, and knows what it was', () => {
  const wanted: Resource = { ...bridge, mtu: 1400 };
  assert.deepEqual(diff([wanted], [bridge]), [{ op: 'replace', before: bridge, resource: wanted }]);
  const newer: Resource = { ...ruleset, version: '2' };
  assert.deepEqual(diff([newer], [ruleset]), [{ op: 'replace', before: ruleset, resource: newer }]);
  const moved: Resource = { ...element, value: '10.0.0.3 . 80' };
  assert.deepEqual(diff([moved], [element]), [{ op: 'replace', before: element, resource: moved }]);
});

test('from any state to any other, the changes lead exactly there', () => {
  for (let from = 0; from < 64; from++) {
    for (let to = 0; to < 64; to++) {
      const observed = all.filter((_, i) => from & (1 << i));
      const wanted = all.filter((_, i) => to & (1 << i));
      const state = new Map<string, Resource>(observed.map((resource) => [resourceKey(resource), resource]));
      for (const { op, resource } of diff(wanted, observed)) {
        assert.equal(state.has(resourceKey(resource)), op !== 'create');
        if (op === 'delete') state.delete(resourceKey(resource));
        else state.set(resourceKey(resource), resource);
      }
      assert.deepEqual(new Set(state.values()), new Set(wanted));
    }
  }
});

test('a tunnel that is replaced has its entries made again, since they go with it', () => {
  const vxlan = {
    kind: 'vxlan',
    ifName: 'vx0' as IfName,
    bridge: 'br0' as IfName,
    vni: 4096,
    local: '192.0.2.1' as Ipv4,
    port: 4789,
    mtu: 1450,
    ipv6: false,
  } as const;
  const mac = '02:00:00:00:00:03' as Mac;
  const fdb: Resource = { kind: 'fdb', vxlan: vxlan.ifName, mac, host: '192.0.2.2' as Ipv4 };
  const neighbour: Resource = { kind: 'neighbour', vxlan: vxlan.ifName, address: '10.0.0.3' as Ipv4, mac };
  const before: Resource[] = [vxlan, fdb, neighbour];
  const after: Resource[] = [
    { ...vxlan, local: '192.0.2.7' as Ipv4 },
    { ...fdb, host: '192.0.2.3' as Ipv4 },
    neighbour,
  ];
  assert.deepEqual(kinds(diff(after, before)), ['replace vxlan', 'create fdb', 'create neighbour']);
  assert.deepEqual(diff(before, before), []);
});
