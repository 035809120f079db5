import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { pino } from 'pino';
import type { ClusterListener } from '../../cluster/changes.ts';
import { loadConfig } from '../../daemon/configuration.ts';
import { FakeKernel } from '../../kernel/fake-kernel.ts';
import { type Ip, type Ipv4, type Mac, type Prefix, parsePrefix } from '../../model/address.ts';
import type { OverlayNetwork } from '../../model/network.ts';
import type { OverlaySpec, RemoteEndpoint } from '../../model/overlay.ts';
import { ALL_TABLES } from '../../plan/plan.ts';
import { Store } from '../store.ts';
import { NetworkRegistry } from './network-registry.ts';
import { Overlays } from './overlays.ts';
import { SandboxTable } from './sandbox-table.ts';

const ID = 'f00df00df00d';
const REMOTES = 5000;
const subnet = parsePrefix('10.0.0.0/16') as Prefix<Ipv4>;
const SPEC: OverlaySpec = {
  ...{ id: ID, name: 'big', created: '2026-01-01T00:00:00Z', labels: {}, options: {}, vni: 4096 },
  ...{ internal: false, attachable: false },
  ipv4: { subnet, gateway: subnet.address, auxAddresses: {} },
};
const hex = (value: number): string => value.toString(16).padStart(2, '0');
const remote = (number: number, nodeId = `node-${number % 100}`): RemoteEndpoint => ({
  ...{ id: `endpoint-${number}`, networkId: ID, nodeId, containerId: '', containerName: `c${number}` },
  mac: `02:42:0a:00:${hex(number >> 8)}:${hex(number & 255)}` as Mac,
  ipv4: `10.0.${number >> 8}.${number & 255}` as Ipv4,
  names: [`c${number}`],
});

/** What the cluster knows, and how often it is asked. */
const known = new Map<string, RemoteEndpoint>();
const hosts = new Map<string, Ip>();
const dead = new Set<string>();
const named = new Set<string>();
let asked: string[];
let kernel: FakeKernel;
let told: ClusterListener;

beforeEach(() => {
  known.clear();
  hosts.clear();
  dead.clear();
  named.clear();
  for (let i = 0; i < 100; i++) hosts.set(`node-${i}`, `192.0.2.${i}` as Ip);
  for (let i = 0; i < REMOTES; i++) known.set(`endpoint-${i}`, remote(i));
  kernel = new FakeKernel();
  const store = new Store(':memory:');
  const address = '192.0.2.254' as Ip;
  const facts = { address, uplinkMtu: 1500, tables: ALL_TABLES };
  const registry = new NetworkRegistry(loadConfig({}).network, store, kernel, {
    ...{ tables: ALL_TABLES, bridgeFirewall: false, directRouting: false },
    overlay: facts,
  });
  const nothing = (): void => {};
  const overlays = new Overlays({
    cluster: {
      blocks: { forget: nothing },
      join: nothing,
      leave: nothing,
      publish: nothing,
      withdraw: nothing,
      start: (listener) => {
        told = listener;
      },
      address: (id) => hosts.get(id),
      isAlive: (id) => !dead.has(id),
      remote: (_, id) => {
        asked.push(id);
        return known.get(id);
      },
      remotes: () => {
        asked.push('all');
        return [...known.values()];
      },
    },
    ...{ facts, kernel, registry },
    health: { planned: () => [], follow: nothing, wantedLink: () => undefined },
    log: pino({ level: 'silent' }),
    table: new SandboxTable(store),
    names: {
      addRemote: ({ id }) => void named.add(id),
      removeRemote: (id) => void named.delete(id),
    },
    evict: nothing,
  });
  overlays.start();
  told.networkCame(SPEC);
  asked = [];
  overlays.carry(registry.resolve('big') as OverlayNetwork);
  assert.equal(named.size, REMOTES);
  kernel.log.length = 0;
  asked = [];
});

const done = (): string[] =>
  kernel.log.map(({ op, resource }) =>
    resource.kind === 'fdb' ? `${op} ${resource.mac} at ${resource.host}` : `${op} ${resource.kind}`,
  );

test('one container of another host comes, among 5,000: one is looked at', () => {
  known.set('endpoint-6000', remote(6000, 'node-7'));
  told.remotesChanged(ID, new Set(['endpoint-6000']));
  assert.deepEqual(asked, ['endpoint-6000']);
  assert.deepEqual(done(), ['create 02:42:0a:00:17:70 at 192.0.2.7', 'create neighbour']);
  assert.ok(named.has('endpoint-6000'));
});

test('one goes: what it had goes, and nothing else', () => {
  known.delete('endpoint-9');
  told.remotesChanged(ID, new Set(['endpoint-9']));
  assert.deepEqual(asked, ['endpoint-9']);
  assert.deepEqual(done(), ['delete neighbour', 'delete 02:42:0a:00:00:09 at 192.0.2.9']);
  assert.equal(named.size, REMOTES - 1);
});

test('a host is dead: the names of what is on it go, the data path stays; it lives: they are back', () => {
  dead.add('node-3');
  told.remotesChanged(ID, new Set(['endpoint-3', 'endpoint-103']));
  assert.deepEqual([done(), named.size], [[], REMOTES - 2]);
  dead.delete('node-3');
  told.remotesChanged(ID, new Set(['endpoint-3', 'endpoint-103']));
  assert.deepEqual([done(), named.size], [[], REMOTES]);
});

test('a host has another address, or is not known any more: its entries follow', () => {
  hosts.set('node-3', '198.51.100.3' as Ip);
  told.remotesChanged(ID, new Set(['endpoint-3']));
  assert.deepEqual(done(), ['replace 02:42:0a:00:00:03 at 198.51.100.3']);
  hosts.delete('node-3');
  kernel.log.length = 0;
  told.remotesChanged(ID, new Set(['endpoint-3']));
  assert.deepEqual(done(), ['delete neighbour', 'delete 02:42:0a:00:00:03 at 198.51.100.3']);
  assert.ok(!named.has('endpoint-3'));
});

test('after a time without the store anything may be another: only what is, is done', () => {
  known.delete('endpoint-1');
  known.set('endpoint-5001', remote(5001, 'node-1'));
  told.remotesChanged(ID, 'any');
  assert.deepEqual(done(), [
    'delete neighbour',
    'delete 02:42:0a:00:00:01 at 192.0.2.1',
    'create 02:42:0a:00:13:89 at 192.0.2.1',
    'create neighbour',
  ]);
  assert.equal(named.size, REMOTES);
});
