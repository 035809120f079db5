import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { pino } from 'pino';
import type { ClusterListener } from '../../cluster/changes.ts';
import { loadConfig } from '../../daemon/configuration.ts';
import { FakeKernel } from '../../kernel/fake-kernel.ts';
import {
  type IfName,
  type Ip,
  type Ipv4,
  type Ipv6,
  type Mac,
  type NetnsPath,
  type Prefix,
  parsePrefix,
} from '../../model/address.ts';
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
let registry: NetworkRegistry;
let table: SandboxTable;
let evicted: string[];
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
  registry = new NetworkRegistry(loadConfig({}).network, store, kernel, {
    ...{ tables: ALL_TABLES, bridgeFirewall: false, directRouting: false },
    overlay: facts,
  });
  const nothing = (): void => {};
  table = new SandboxTable(store);
  evicted = [];
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
    table,
    names: {
      addRemote: ({ id }) => void named.add(id),
      removeRemote: (id) => void named.delete(id),
    },
    evict: ({ id }) => void evicted.push(id),
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

const SPEC6: OverlaySpec = {
  ...SPEC,
  ipv6: {
    subnet: parsePrefix('fd00:9::/64') as Prefix<Ipv6>,
    gateway: 'fd00:9::1' as Ipv6,
    auxAddresses: {},
  },
};
const neighbours = (): string[] =>
  kernel.log.flatMap(({ op, resource }) =>
    resource.kind === 'neighbour' ? [`${op} ${resource.address} ${resource.mac.slice(-5)}`] : [],
  );

test('the network has IPv6: a container of another host is a neighbour by both addresses, each follows', () => {
  told.networkCame(SPEC6);
  const there = { ...remote(6000, 'node-7'), ipv6: 'fd00:9::40' as Ipv6 };
  known.set('endpoint-6000', there);
  told.remotesChanged(ID, new Set(['endpoint-6000']));
  assert.deepEqual(neighbours(), ['create 10.0.23.112 17:70', 'create fd00:9::40 17:70']);
  kernel.log.length = 0;
  // One without IPv6 is of a host with an earlier version.
  const { ipv6: _none, ...without } = there;
  known.set('endpoint-6000', without);
  told.remotesChanged(ID, new Set(['endpoint-6000']));
  assert.deepEqual(neighbours(), ['delete fd00:9::40 17:70']);
});

test('a block of IPv6 was given to another host: who has an address of it is taken off the network, and nobody else', () => {
  told.networkCame(SPEC6);
  for (const [number, ipv6] of ['fd00:9::2', 'fd00:9::42', undefined].entries()) {
    const base = { id: `own-${number}`, networkId: ID, sandboxId: `s${number}`, containerId: `c${number}` };
    table.addSandbox({ id: `s${number}`, containerId: `c${number}`, path: '/run/n' as NetnsPath });
    table.setEndpoints(`s${number}`, [
      {
        ...{
          ...base,
          containerName: `own${number}`,
          hostname: '',
          mac: remote(number).mac,
          ifName: 'eth0' as IfName,
        },
        ipv4: { address: `10.0.200.${number}` as Ipv4, length: 16 },
        ...(ipv6 !== undefined && { ipv6: { address: ipv6 as Ipv6, length: 64 } }),
        ...{ linkLocal: [], sysctls: {}, aliases: [], published: [], opened: [], exposed: [], settings: {} },
      },
    ]);
  }
  told.blockLost(ID, parsePrefix('fd00:9::/122'));
  assert.deepEqual(evicted, ['own-0']);
  told.blockLost(ID, parsePrefix('10.0.200.2/32'));
  assert.deepEqual(evicted, ['own-0', 'own-2']);
});

test('a network that was known without IPv6 gets it: its addresses of IPv4 stay, there are some of IPv6', () => {
  registry.addBlock(ID, parsePrefix('10.0.0.0/26'));
  const network = registry.resolve('big') as OverlayNetwork;
  const before = registry.takeAddresses(network, 'c1', {});
  assert.deepEqual([before.ipv4?.address, before.ipv6], ['10.0.0.1', undefined]);
  told.networkCame(SPEC6);
  assert.deepEqual(registry.familiesUsedUp(ID), ['ipv6']);
  registry.addBlock(ID, parsePrefix('fd00:9::/122'));
  assert.deepEqual(registry.familiesUsedUp(ID), []);
  const after = registry.takeAddresses(registry.resolve('big') as OverlayNetwork, 'c2', {});
  assert.deepEqual([after.ipv4?.address, after.ipv6?.address], ['10.0.0.2', 'fd00:9::2']);
});

test('an address comes back with another MAC: containers here are told, of one that is as it was they are not', () => {
  told.networkCame(SPEC6);
  const there = { ...remote(6000, 'node-7'), ipv6: 'fd00:9::40' as Ipv6 };
  const be = (id: string, endpoint: RemoteEndpoint | undefined): void => {
    if (endpoint === undefined) known.delete(id);
    else known.set(id, { ...endpoint, id });
    told.remotesChanged(ID, new Set([id]));
  };
  be('endpoint-6000', there);
  be('endpoint-6000', undefined);
  be('endpoint-6001', there);
  assert.deepEqual(kernel.announced, []);
  be('endpoint-6001', undefined);
  // The IPv4 address is another, and the MAC with it.
  be('endpoint-6002', { ...remote(6002, 'node-7'), ipv6: there.ipv6 });
  assert.deepEqual(kernel.announced, ['fd00:9::40 02:42:0a:00:17:72']);
});
