import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseIpv4 } from '../model/address.ts';
import type { Change, Resource } from '../plan/resource.ts';
import { FakeKernel } from './fake-kernel.ts';
import { HostPortTaken } from './kernel.ts';

const port = (address: string, number: number): Resource => ({
  kind: 'host-port',
  protocol: 'tcp',
  address: parseIpv4(address),
  port: number,
});
const create = (resource: Resource): Change => ({ op: 'create', resource });

test('a failing change leaves nothing of its call', () => {
  const kernel = new FakeKernel();
  kernel.apply([create(port('0.0.0.0', 1))]);
  kernel.failOn(2);
  assert.throws(() => kernel.apply([create(port('0.0.0.0', 2)), create(port('0.0.0.0', 3))]), {
    errno: 'EIO',
  });
  assert.deepEqual(kernel.observe(), [port('0.0.0.0', 1)]);
  kernel.apply([create(port('0.0.0.0', 2))]);
});

test('ports are taken by others and by ourselves, 0.0.0.0 by any address', () => {
  const kernel = new FakeKernel({ taken: ['host-port tcp 0.0.0.0:80'] });
  assert.throws(() => kernel.apply([create(port('127.0.0.1', 80))]), HostPortTaken);
  kernel.apply([create(port('127.0.0.1', 81)), create(port('127.0.0.2', 81))]);
  assert.throws(() => kernel.apply([create(port('0.0.0.0', 81))]), HostPortTaken);
  kernel.apply([create(port('0.0.0.0', 811))]);
});

test('tearDown goes on after a failure and tells it', () => {
  const kernel = new FakeKernel();
  kernel.apply([create(port('0.0.0.0', 1)), create(port('0.0.0.0', 2))]);
  kernel.failOn(1);
  const failures = kernel.tearDown([
    { op: 'delete', resource: port('0.0.0.0', 1) },
    { op: 'delete', resource: port('0.0.0.0', 2) },
  ]);
  assert.deepEqual(
    failures.map((failure) => failure.resource),
    [port('0.0.0.0', 1)],
  );
  assert.deepEqual(kernel.observe(), [port('0.0.0.0', 1)]);
});
