import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import { loadConfig } from '../../daemon/configuration.ts';
import { FakeKernel } from '../../kernel/fake-kernel.ts';
import { EventBus } from '../events.ts';
import { Store } from '../store.ts';
import { Networks } from './networks.ts';

test('networks and endpoints that were stored before there was IPv6 are found again', () => {
  const store = new Store(':memory:');
  const base = { created: '2026-01-01T00:00:00Z', labels: {}, options: {} };
  const address = { address: '10.9.0.2', length: 24 };
  store.collection<unknown>('networks').put('n1', {
    ...base,
    id: 'n1',
    name: 'lamp',
    driver: 'bridge',
    internal: false,
    attachable: false,
    subnet: { address: '10.9.0.0', length: 24 },
    gateway: { address: '10.9.0.1', length: 24 },
    auxAddresses: {},
    bridge: {
      ifName: 'br-lamp',
      owned: true,
      mac: '02:42:00:00:00:01',
      mtu: 1500,
      icc: true,
      egress: { mode: 'masquerade' },
      hostBinding: '0.0.0.0',
    },
  });
  store.collection<unknown>('sandboxes').put('s1', { id: 's1', containerId: 'c1', path: '/n/s1' });
  store.collection<unknown>('endpoints').put('e1', {
    id: 'e1',
    networkId: 'n1',
    sandboxId: 's1',
    containerId: 'c1',
    containerName: 'web',
    hostname: 'web',
    mac: '02:42:0a:09:00:02',
    address,
    gateway: '10.9.0.1',
    hostIfName: 'veth0000001',
    ifName: 'eth0',
    aliases: [],
    published: [],
    exposed: [],
    settings: {},
  });
  const kernel = new FakeKernel();
  const log = pino({ level: 'silent' });
  const networks = new Networks({ config: loadConfig({}), log, store, events: new EventBus(), kernel });
  networks.reconcile(() => true);
  assert.deepEqual(networks.endpoints('c1')[0]?.ipv4, { ...address, gateway: '10.9.0.1' });
  const veth = kernel.resources.get('link veth0000001');
  assert.deepEqual(veth?.kind === 'veth' && [veth.addresses, veth.gateway], [[address], '10.9.0.1']);
  assert.ok(kernel.resources.has('element ip egress_any 10.9.0.0/24'));
  assert.throws(() => networks.remove('lamp'), /active endpoints \(name:"web"/);
});
