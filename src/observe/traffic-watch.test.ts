import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { EventBus } from '../engine/events.ts';
import { endpoint, network } from '../explain/example.ts';
import type { ConnectionChange } from '../kernel/connection-changes.ts';
import { FakeKernel } from '../kernel/fake-kernel.ts';
import type { ConnectionReport, DropReport } from '../kernel/traffic.ts';
import type { Ip } from '../model/address.ts';
import type { FlowEvent } from '../model/flow.ts';
import type { Endpoint } from '../model/network.ts';
import { TrafficWatch, type Watcher } from './traffic-watch.ts';
import { wants } from './watch-filter.ts';

const lamp = network({ name: 'lamp', subnet: '10.9.0.0', bridge: 'br-lamp' });
const web = endpoint(lamp, 'web', '10.9.1.2', []);
const db = endpoint(lamp, 'db', '10.9.1.3', []);

function stage(endpoints: Endpoint[]) {
  const kernel = new FakeKernel({ host: { localAddresses: ['192.0.2.1'] } });
  const bus = new EventBus();
  const traffic = new TrafficWatch({
    kernel,
    names: {
      endpoints: () => endpoints,
      remotes: () => [],
      endpointsOf: (id) => endpoints.filter(({ containerId }) => containerId === id),
      containerName: () => undefined,
      network: () => ({ name: 'lamp', overlay: false }),
      hostAddresses: () => kernel.host().localAddresses,
    },
    log: { error: (...given: unknown[]) => assert.fail(String(given)) },
    note: { get: () => undefined, put: () => {}, delete: () => {} },
    subscribe: (listener) => bus.subscribe(listener),
  });
  const events: FlowEvent[] = [];
  let lost = 0;
  const watcher: Watcher = {
    connections: true,
    events: (told) => void events.push(...told.map(({ event }) => event)),
    leftOut: (count) => {
      lost += count;
    },
  };
  const say = async (report: Partial<ConnectionReport & DropReport>): Promise<void> => {
    kernel.connectionReports.push({ connections: [], bridged: [], lost: 0, more: false, ...report });
    kernel.dropReports.push({ drops: [], foreignDrops: [], more: false, ...report, lost: 0 });
    await sleep(250);
  };
  return { kernel, bus, traffic, watcher, events, say, lost: () => lost };
}

const connection = (
  kind: ConnectionChange['kind'],
  more: Partial<ConnectionChange> = {},
): ConnectionChange => ({
  kind,
  original: {
    protocol: 'tcp',
    source: '198.51.100.9' as Ip,
    destination: '192.0.2.1' as Ip,
    sourcePort: 4000,
    destinationPort: 8080,
  },
  reply: {
    protocol: 'tcp',
    source: '10.9.1.2' as Ip,
    destination: '198.51.100.9' as Ip,
    sourcePort: 80,
    destinationPort: 4000,
  },
  answered: true,
  ...more,
});

test('a translated connection: from who asks to who answers, at its end with bytes', async () => {
  const { kernel, traffic, watcher, events, say } = stage([web]);
  assert.deepEqual([...kernel.heard], []);
  const { stop } = traffic.watch(watcher);
  assert.deepEqual([...kernel.heard], ['drops', 'connections']);
  const counted = { there: { packets: 3, bytes: 300 }, back: { packets: 2, bytes: 2000 } };
  await say({
    connections: [connection('begun'), connection('ended', { traffic: counted })],
  });
  assert.deepEqual(
    events.map(({ time: _, ...event }) => event),
    [
      {
        kind: 'open',
        protocol: 'tcp',
        from: { address: '198.51.100.9', port: 4000 },
        to: { name: 'web', network: 'lamp', address: '10.9.1.2', port: 80 },
        nat: { asked: { address: '192.0.2.1', port: 8080 } },
      },
      {
        kind: 'close',
        protocol: 'tcp',
        from: { address: '198.51.100.9', port: 4000 },
        to: { name: 'web', network: 'lamp', address: '10.9.1.2', port: 80 },
        nat: { asked: { address: '192.0.2.1', port: 8080 } },
        answered: true,
        bytes: { there: 300, back: 2000 },
      },
    ],
  );
  stop();
  assert.deepEqual([...kernel.heard], [], 'nobody watches, nobody hears');
});

test('connections are heard while somebody wants them, and are told to those alone', async () => {
  const { kernel, traffic, watcher, events, say, lost } = stage([web]);
  const drops = traffic.watch({ ...watcher, connections: false });
  assert.deepEqual([...kernel.heard], ['drops']);
  const other: FlowEvent[] = [];
  const all = traffic.watch({
    connections: true,
    events: (told) => void other.push(...told.map(({ event }) => event)),
    leftOut: () => {},
  });
  assert.ok(kernel.heard.has('connections'));
  await say({ connections: [connection('begun')], lost: 3 });
  assert.deepEqual([events.length, lost(), other.length], [0, 0, 1]);
  all.stop();
  assert.deepEqual([...kernel.heard], ['drops']);
  drops.stop();
  assert.deepEqual([...kernel.heard], []);
});

test('drops have their cause, the host its name, and what was lost is counted', async () => {
  const { traffic, watcher, events, say, lost } = stage([web]);
  const { stop } = traffic.watch(watcher);
  const tuple = {
    protocol: 'udp',
    source: '192.0.2.1' as Ip,
    destination: '10.9.1.2' as Ip,
    destinationPort: 53,
  } as const;
  await say({
    drops: [
      { rule: 'internal-in', tuple, iif: 0, oif: 3 },
      { rule: 'arp-spoof', tuple: undefined, iif: 3, oif: 0 },
    ],
    lost: 4,
  });
  assert.equal(events.length, 1);
  const [event] = events;
  assert.ok(event?.kind === 'drop');
  assert.deepEqual(
    [event.cause, event.rule, event.from.name, event.to.name],
    ['internal-network', 'internal-in', 'host', 'web'],
  );
  assert.equal(lost(), 4);
  stop();
});

test('what rules of others drop is told where a container is at one end', async () => {
  const { traffic, watcher, events, say } = stage([web]);
  const { stop } = traffic.watch(watcher);
  const tuple = { protocol: 'tcp', source: '198.51.100.9' as Ip, destination: '10.9.1.2' as Ip } as const;
  const rule = 'inet theirs forwards: policy drop';
  await say({
    foreignDrops: [
      { rule, tuple, iif: 2, oif: 3 },
      { rule, tuple: { ...tuple, destination: '192.0.2.1' as Ip }, iif: 2, oif: 0 },
    ],
  });
  assert.deepEqual(
    events.map((event) => event.kind === 'drop' && [event.to.name, event.cause, event.rule]),
    [['web', 'foreign-rule', rule]],
  );
  stop();
});

test('a container that comes later has its name', async () => {
  const endpoints = [web];
  const { bus, traffic, watcher, events, say } = stage(endpoints);
  const { stop } = traffic.watch(watcher);
  endpoints.push(db);
  bus.publish('network', 'connect', 'lamp', { container: db.containerId });
  const { original, reply } = connection('begun');
  await say({
    connections: [
      connection('begun', {
        original: { ...original, destination: '10.9.1.3' as Ip, destinationPort: 80 },
        reply: { ...reply, source: '10.9.1.3' as Ip },
      }),
    ],
  });
  assert.deepEqual([events[0]?.to.name, events[0]?.kind === 'open' && events[0].nat], ['db', undefined]);
  stop();
});

test('what a watcher wants to see', () => {
  const event = {
    kind: 'open',
    time: '',
    protocol: 'tcp',
    from: { name: 'web', network: 'lamp', address: '10.9.1.2' as Ip },
    to: { address: '198.51.100.9' as Ip },
  } as const satisfies FlowEvent;
  const filter = { containers: [], networks: [], drops: false };
  assert.ok(wants(filter, event));
  assert.ok(wants({ ...filter, containers: ['db', 'web'], networks: ['lamp'] }, event));
  assert.ok(!wants({ ...filter, containers: ['db'] }, event));
  assert.ok(!wants({ ...filter, networks: ['lnmp'] }, event));
  assert.ok(!wants({ ...filter, drops: true }, event));
});
