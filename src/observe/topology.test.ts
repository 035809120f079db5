import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endpoint, network, port } from '../explain/example.ts';
import type { Ip, Ipv4, Mac } from '../model/address.ts';
import { type ContainerFacts, describeTopology, type TopologySources } from './topology.ts';

const front = network({ name: 'front', subnet: '10.1.0.0', subnet6: 'fd00:1::/64', bridge: 'br-front' });
const vault = network({
  name: 'vault',
  subnet: '10.2.0.0',
  bridge: 'br-vault',
  internal: true,
});
const leased = network({
  name: 'leased',
  subnet: '10.3.0.0',
  bridge: 'br-leased',
  egress: { mode: 'snat', to: '192.0.2.9' as Ipv4 },
});
const web = endpoint(
  front,
  'web',
  '10.1.0.2',
  [port('0.0.0.0', 8080, 80, 3), port('::', 8080, 80, 3)],
  'fd00:1::2',
);
const facts = (name: string, more: Partial<ContainerFacts> = {}): ContainerFacts => ({
  id: `container-${name}`,
  name,
  image: 'busybox',
  state: 'running',
  labels: {},
  mode: 'own',
  exposed: ['80/tcp'],
  networks: ['front'],
  ...more,
});
const sources: TopologySources = {
  hosts: [
    { id: 'n1', name: 'alpha', own: false, alive: true, address: '198.51.100.1', uplinks: [] },
    { id: 'n2', name: 'beta', own: true, alive: true, uplinks: [] },
  ],
  networks: [front, vault, leased],
  containers: [
    facts('web', { labels: { 'com.docker.compose.project': 'shop', 'com.docker.compose.service': 'www' } }),
    facts('gone', { state: 'exited' }),
  ],
  endpoints: [web],
  remotes: [],
};

test('containers, endpoints and ports with what leads to what; this host comes first', () => {
  const { hosts, containers, endpoints, ports } = describeTopology(sources);
  assert.deepEqual(
    hosts.map(({ name }) => name),
    ['beta', 'alpha'],
  );
  assert.deepEqual(
    containers.map(({ name, host, state, project, service }) => [name, host, state, project, service]),
    [
      ['web', 'n2', 'running', 'shop', 'www'],
      ['gone', 'n2', 'exited', undefined, undefined],
    ],
  );
  assert.deepEqual(endpoints[0]?.addresses, ['10.1.0.2/16', 'fd00:1::2/64']);
  assert.equal(endpoints[0]?.gateway, true);
  assert.deepEqual(
    ports.map(({ id, first, last, address, containerPort }) => [id, first, last, address, containerPort]),
    [
      ['tcp 0.0.0.0 8080', 8080, 8082, '10.1.0.2', 80],
      ['tcp :: 8080', 8080, 8082, 'fd00:1::2', 80],
    ],
  );
});

test('what happens to the source on the way out, and that an internal network has none', () => {
  const egress = describeTopology(sources).networks.map(({ name, families }) => [
    name,
    ...families.map(({ egress: mode, to }) => `${mode} ${to ?? ''}`.trim()),
  ]);
  assert.deepEqual(egress, [
    ['front', 'masquerade', 'masquerade'],
    ['leased', 'snat 192.0.2.9'],
    ['vault', 'none'],
  ]);
});

test('a container of another host is one container on all its networks', () => {
  const remote = {
    nodeId: 'n1',
    containerId: 'far',
    containerName: 'far',
    mac: '02:42:00:00:00:09' as Mac,
    ipv4: '10.1.0.9' as Ipv4,
    names: [],
  };
  const { containers, endpoints } = describeTopology({
    ...sources,
    remotes: [
      { ...remote, id: 'e1', networkId: 'front' },
      { ...remote, id: 'e2', networkId: 'leased' },
    ],
  });
  assert.deepEqual(containers.at(-1), {
    id: 'far',
    name: 'far',
    image: '',
    state: 'running',
    host: 'n1',
    mode: 'own',
    exposed: [],
    networks: ['front', 'leased'],
  });
  assert.deepEqual(
    endpoints.slice(-2).map(({ network: on, addresses }) => [on, ...addresses]),
    [
      ['front', '10.1.0.9'],
      ['leased', '10.1.0.9'],
    ],
  );
});

test('the revision is that of the structure', () => {
  const { revision } = describeTopology(sources);
  assert.equal(describeTopology({ ...sources }).revision, revision);
  const stopped = { ...sources, containers: [facts('web', { state: 'exited' })] };
  assert.notEqual(describeTopology(stopped).revision, revision);
  assert.notEqual(
    describeTopology({ ...sources, endpoints: [{ ...web, hostIfName: undefined as never }] }).revision,
    revision,
  );
});

test('a published port without an address of its family in the container leads nowhere', () => {
  const plain = network({ name: 'plain', subnet: '10.4.0.0', bridge: 'br-plain' });
  const only4 = endpoint(plain, 'x', '10.4.0.2', [port('::' as Ip, 80, 80)]);
  assert.deepEqual(describeTopology({ ...sources, endpoints: [only4] }).ports, []);
});
