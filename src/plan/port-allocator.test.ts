import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseIp } from '../model/address.ts';
import { EngineError } from '../model/errors.ts';
import type { Port, Protocol, PublishedPort } from '../model/port.ts';
import { PortAllocator } from './port-allocator.ts';
import type { PortWish } from './port-spec.ts';

const wish = (
  container: number,
  host?: number | readonly [number, number],
  ip = '0.0.0.0',
  protocol: Protocol = 'tcp',
): PortWish => {
  const [first, last] = typeof host === 'number' ? [host, host] : (host ?? [0, 0]);
  return {
    protocol,
    containerPort: container as Port,
    hostIps: ip.split('+').map(parseIp),
    ...(host !== undefined && { hostPorts: { first: first as Port, last: last as Port } }),
  };
};
const text = (published: readonly PublishedPort[]): string[] =>
  published.map(
    ({ hostIp, protocol, hostPorts: h, containerPorts: c }) =>
      `${hostIp}:${h.first}-${h.last}>${c.first}-${c.last}/${protocol}`,
  );
const allocator = (first = 49153, last = 60999): PortAllocator => new PortAllocator({ first, last });
const taken = (words: string) => (error: unknown) =>
  error instanceof EngineError && error.status === 500 && error.message === words;

test('a port is given once; 0.0.0.0 and an address of its own stand in each others way, two addresses do not', () => {
  const ports = allocator();
  ports.allocate([wish(80, 8080, '192.0.2.1')]);
  ports.allocate([wish(80, 8080, '192.0.2.2')]);
  ports.allocate([wish(80, 8080, '0.0.0.0', 'udp')]);
  assert.throws(
    () => ports.allocate([wish(80, 8080)]),
    taken('Bind for 0.0.0.0:8080 failed: port is already allocated'),
  );
  assert.throws(
    () => ports.allocate([wish(80, 8080, '192.0.2.1')]),
    taken('Bind for 192.0.2.1:8080 failed: port is already allocated'),
  );
  ports.allocate([wish(80, 9090)]);
  assert.throws(() => ports.allocate([wish(80, 9090, '192.0.2.1')]));
});

test('all or nothing: a refused wish gives back the ones before it', () => {
  const ports = allocator();
  ports.allocate([wish(80, 8001)]);
  assert.throws(() => ports.allocate([wish(80, 8000), wish(81, 8001)]));
  assert.deepEqual(text(ports.allocate([wish(80, 8000)])), ['0.0.0.0:8000-8000>80-80/tcp']);
});

test('without a host port: the next after the last, round at the end of the range', () => {
  const ports = allocator(50000, 50002);
  const next = (): number | undefined => ports.allocate([wish(80)])[0]?.hostPorts.first;
  assert.deepEqual([next(), next()], [50000, 50001]);
  ports.release(ports.allocate([wish(80)]));
  const again = ports.allocate([wish(80)]);
  assert.equal(again[0]?.hostPorts.first, 50002, 'the only one left');
  assert.throws(() => ports.allocate([wish(80)]), taken('all ports are allocated'));
  assert.equal(ports.allocate([wish(80, undefined, '0.0.0.0', 'udp')])[0]?.hostPorts.first, 50000);
});

test('ports that foreign programs hold are passed over', () => {
  const given = allocator(50000, 50009).allocate([wish(80)], (_ip, _protocol, port) => port < 50005);
  assert.equal(given[0]?.hostPorts.first, 50005);
});

test('a host range for one container port gives the first free one', () => {
  const ports = allocator();
  const one = (): string[] => text(ports.allocate([wish(80, [9000, 9001])]));
  assert.deepEqual(one(), ['0.0.0.0:9000-9000>80-80/tcp']);
  assert.deepEqual(one(), ['0.0.0.0:9001-9001>80-80/tcp']);
  assert.throws(one, EngineError);
});

test('the single bindings that the CLI makes of a range are one range again, whatever their order', () => {
  const wishes = [7002, 7000, 7001, 7005].map((port) => wish(port + 1000, port));
  assert.deepEqual(text(allocator().allocate([...wishes, wish(9000, 7003, '0.0.0.0', 'udp')])), [
    '0.0.0.0:7000-7002>8000-8002/tcp',
    '0.0.0.0:7005-7005>8005-8005/tcp',
    '0.0.0.0:7003-7003>9000-9000/udp',
  ]);
});

test('adopted ports are taken, released ones free', () => {
  const before = allocator().allocate([wish(80, 8080), wish(81, 8081)]);
  const ports = allocator();
  ports.adopt(before);
  assert.throws(() => ports.allocate([wish(80, 8081)]));
  ports.release(before);
  assert.equal(ports.allocate([wish(80, 8081)]).length, 1);
});

test('a port of both families has one number, free in both', () => {
  const ports = allocator(50_000, 50_010);
  ports.allocate([wish(80, 50_000, '::')]);
  assert.deepEqual(text(ports.allocate([wish(80, undefined, '0.0.0.0+::')])), [
    '0.0.0.0:50001-50001>80-80/tcp',
    ':::50001-50001>80-80/tcp',
  ]);
  ports.allocate([wish(81, 50_000, '127.0.0.1')]);
  assert.throws(
    () => ports.allocate([wish(82, 50_000, '::1')]),
    taken('Bind for [::1]:50000 failed: port is already allocated'),
  );
});
