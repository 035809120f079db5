import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import type { EndpointSettings } from '@docker/node-sdk';
import { pino } from 'pino';
import { loadConfig } from '../../daemon/configuration.ts';
import { FakeKernel } from '../../kernel/fake-kernel.ts';
import type { Endpoint } from '../../model/network.ts';
import { EventBus } from '../events.ts';
import { Store } from '../store.ts';
import { Networks } from './networks.ts';

let kernel: FakeKernel;
let store: Store;
let networks: Networks;
const open = (): Networks =>
  new Networks({
    config: loadConfig({}),
    log: pino({ level: 'silent' }),
    store,
    events: new EventBus(),
    kernel,
  });

beforeEach(() => {
  kernel = new FakeKernel();
  store = new Store(':memory:');
  networks = open();
  networks.reconcile(() => true);
  for (const Name of ['b-net', 'a-net', 'c-net']) networks.create({ Name });
  networks.create({ Name: 'a-vault', Internal: true });
  networks.openSandbox('web');
});

function attach(network: string, settings: EndpointSettings = {}, container = 'web'): Endpoint {
  return networks.attach({
    containerId: container,
    containerName: container,
    hostname: container,
    domainname: '',
    network: networks.resolve(network),
    settings,
    portBindings: { '80/tcp': [{ HostPort: '8080' }], '53/udp': [{ HostPort: '53' }] },
    exposedPorts: ['80/tcp', '53/udp'],
    publishAll: false,
  });
}

const detach = (network: string): void => networks.detach('web', networks.resolve(network).id);
/** The network with the default route, as the kernel and the records have it, and where the published port leads. */
function gateway(): string {
  const routes = [...kernel.resources.values()].filter(
    (resource) => resource.kind === 'veth' && resource.gateway !== undefined,
  );
  const [carrier, ...others] = networks
    .endpoints('web')
    .filter((endpoint) => endpoint.ipv4?.gateway !== undefined);
  assert.deepEqual(others, []);
  if (carrier === undefined) {
    assert.deepEqual(routes, []);
    assert.ok(!kernel.resources.has('host-port tcp 0.0.0.0:8080'));
    return 'none';
  }
  assert.deepEqual(
    routes.map((route) => route.kind === 'veth' && route.hostIfName),
    [carrier.hostIfName],
  );
  const element = kernel.resources.get('element ip pub_any tcp . 8080');
  assert.equal(element?.kind === 'element' && element.value, `${carrier.ipv4?.address} . 80`);
  assert.ok(kernel.resources.has('host-port tcp 0.0.0.0:8080'));
  const ports = networks.settings('web').Ports as Record<string, unknown>;
  assert.deepEqual(ports['80/tcp'], [{ HostIp: '0.0.0.0', HostPort: '8080' }]);
  return networks.resolve(carrier.networkId).name;
}

test('the default route and the published ports belong to the network whose name is first, and move to it', () => {
  attach('b-net');
  assert.equal(gateway(), 'b-net');
  attach('c-net');
  assert.equal(gateway(), 'b-net');
  attach('a-net');
  assert.equal(gateway(), 'a-net');
  assert.deepEqual(
    networks.endpoints('web').map((endpoint) => endpoint.ifName),
    ['eth0', 'eth1', 'eth2'],
  );
});

test('gw-priority goes before the name', () => {
  attach('b-net');
  attach('c-net', { GwPriority: 1 });
  assert.equal(gateway(), 'c-net');
  attach('a-net');
  assert.equal(gateway(), 'c-net');
});

test('an internal network carries neither; the next one that is not takes both', () => {
  attach('a-vault');
  assert.equal(gateway(), 'none');
  attach('b-net');
  assert.equal(gateway(), 'b-net');
});

test('leaving the network with the default route hands it over; leaving the last one ends the ports', () => {
  for (const name of ['a-vault', 'a-net', 'b-net', 'c-net']) attach(name);
  detach('a-net');
  assert.equal(gateway(), 'b-net');
  detach('c-net');
  assert.equal(gateway(), 'b-net');
  detach('b-net');
  assert.equal(gateway(), 'none');
  attach('c-net');
  assert.equal(gateway(), 'c-net');
});

test('a macvlan that becomes the way out publishes nothing: the host ports are free for others', () => {
  attach('b-net');
  networks.create({
    Name: 'a-lan',
    Driver: 'macvlan',
    Options: { parent: 'docker0' },
    IPAM: { Config: [{ Subnet: '198.51.100.0/24' }] },
  });
  attach('a-lan');
  const published = (container: string) => networks.endpoints(container).flatMap((each) => each.published);
  assert.deepEqual(published('web'), []);
  assert.ok(!kernel.resources.has('host-port tcp 0.0.0.0:8080'));
  networks.openSandbox('other');
  attach('b-net', {}, 'other');
  assert.equal(published('other').length > 0, true, 'another container takes the same ports');
});

test('a restart finds it as it was left, and has nothing to do', () => {
  for (const name of ['c-net', 'b-net', 'a-net']) attach(name);
  detach('a-net');
  const before = kernel.log.length;
  networks = open();
  networks.reconcile(() => true);
  assert.equal(kernel.log.length, before);
  assert.equal(gateway(), 'b-net');
});

test('known datagram flows follow the port to its new place', () => {
  attach('b-net');
  kernel.forgotten.length = 0;
  const address = attach('a-net').ipv4?.address;
  assert.deepEqual(kernel.forgotten, [`udp 53-53 but to ${address}`]);
});

test('whatever step of an attachment the kernel refuses, everything is as before', () => {
  attach('b-net');
  const resources = [...kernel.resources.values()];
  const records = store.collection('endpoints').all();
  for (let step = 1; ; step++) {
    kernel.failOn(step);
    try {
      attach('a-net');
      break;
    } catch (error) {
      assert.match(String(error), /failed to set up container networking: .*told to fail/);
    }
    assert.deepEqual([...kernel.resources.values()], resources);
    assert.deepEqual(store.collection('endpoints').all(), records);
    assert.equal(gateway(), 'b-net');
    assert.ok(step < 20);
  }
  assert.equal(gateway(), 'a-net');
  assert.equal(networks.endpoints('web')[1]?.ipv4?.address.endsWith('.2'), true, 'no address is lost');
});
