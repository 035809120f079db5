import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endpoint, network, port } from '../explain/example.ts';
import type { TopologyCounters } from '../model/topology.ts';
import { describeTopology } from '../observe/topology.ts';
import { ApiFailure } from './api-client.ts';
import { size, wrap } from './text.ts';
import { drawTopology, onlyNetworks } from './topology.ts';

const front = network({ name: 'front', subnet: '10.1.0.0', bridge: 'br-front' });
const vault = network({ name: 'vault', subnet: '10.2.0.0', bridge: 'br-vault', internal: true });
const containers = ['web', 'db', 'old'].map((name) => ({
  id: `container-${name}`,
  name,
  image: 'busybox',
  state: name === 'old' ? 'exited' : 'running',
  labels: {},
  mode: 'own' as const,
  exposed: [],
  networks: [name === 'web' ? 'front' : 'vault'],
}));
const uplink = { ifName: 'up0', mtu: 1500, addresses: ['192.0.2.1/24'], gateways: ['192.0.2.254'] };
const topology = describeTopology({
  hosts: [{ id: '', name: 'lamp', own: true, alive: true, uplinks: [uplink] }],
  networks: [front, vault],
  containers: [
    ...containers,
    { ...containers[0], id: 'p', name: 'probe', mode: 'host', networks: [] } as never,
  ],
  endpoints: [
    endpoint(front, 'web', '10.1.0.2', [port('0.0.0.0', 8080, 80)]),
    endpoint(vault, 'db', '10.2.0.2', []),
  ],
  remotes: [],
});
const counters: TopologyCounters = {
  time: 0,
  revision: topology.revision,
  links: { up0: [1_500_000, 20, 9, 9, 0], 'veth-web': [20, 1_499_000, 9, 9, 3] },
  ports: { 'tcp 0.0.0.0 8080': 1 },
};

test('the picture: host, NAT, switches, veth pairs; received is what came to the container', () => {
  assert.equal(
    drawTopology(topology, counters),
    `outside
  │
  │ up0  192.0.2.1/24, gateway 192.0.2.254                         ↓1.5 MB ↑20 B
┌─┴─ host lamp ────────────────────────────────────────────────────────────────┐
│ DNAT  0.0.0.0:8080/tcp  ──▶ web 10.1.0.2:80                     1 connection │
│ SNAT  front 10.1.0.0/16 ──▶ the address it leaves by                         │
└─┬────────────────────────────────────────────────────────────────────────────┘
  │
  ├─[ br-front ]═══ front ═══ 10.1.0.0/16
  │   │ bridge, gateway 10.1.0.1
  │   └─ veth-web ── eth0 ─ web  10.1.0.2                       ↓1.5 MB ↑20 B ✗3
  │
  └─[ br-vault ]═══ vault ═══ 10.2.0.0/16
      │ bridge, gateway 10.2.0.1, internal: no way out
      ├─ veth-db ── eth0 ─ db   10.2.0.2
      └─ exited ────────── old

probe uses the host's own network`,
  );
});

test('80 columns hold whatever the names are', () => {
  const long = 'a-name-that-goes-on-and-on-'.repeat(4);
  const wide = {
    ...topology,
    networks: topology.networks.map((each) => ({ ...each, name: long, project: long })),
    containers: topology.containers.map((each) => ({ ...each, name: long })),
    endpoints: topology.endpoints.map((each) => ({
      ...each,
      addresses: [`${'fd00:'.repeat(7)}1/64`, '10.1.0.2/16'],
    })),
  };
  for (const line of drawTopology(wide, counters).split('\n')) assert.ok(line.length <= 80, line);
});

test('one network alone, with what leads to it', () => {
  const only = onlyNetworks(topology, ['vault']);
  assert.deepEqual(
    [only.networks.length, only.containers.map(({ name }) => name), only.ports.length],
    [1, ['db', 'old'], 0],
  );
  assert.throws(
    () => onlyNetworks(topology, ['nope']),
    new ApiFailure('there is no network nope that containers have addresses on; there are: front, vault'),
  );
});

test('sizes and lines', () => {
  assert.deepEqual([0, 999, 1000, 9940, 9960, 999_600, 12e15].map(size), [
    '0 B',
    '999 B',
    '1.0 kB',
    '9.9 kB',
    '10 kB',
    '1.0 MB',
    '12 PB',
  ]);
  assert.deepEqual(wrap(['aaa', 'bbb', 'c'], 8), ['aaa, bbb', 'c']);
});
