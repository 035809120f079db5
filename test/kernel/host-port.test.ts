import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { after, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { HostPortTaken, KernelError } from '../../src/kernel/kernel.ts';
import { parseIpv4 } from '../../src/model/address.ts';
import type { Protocol } from '../../src/model/port.ts';
import type { HostPortResource } from '../../src/plan/resource.ts';
import { create, kernel, notes, remove } from './stage.ts';

const port = (protocol: Protocol, address: string, number: number): HostPortResource => ({
  kind: 'host-port',
  protocol,
  address: parseIpv4(address),
  port: number,
});
const hold = (...ports: HostPortResource[]) => kernel.apply(ports.map(create));
const release = (...ports: HostPortResource[]) => assert.deepEqual(kernel.tearDown(ports.map(remove)), []);

async function foreignTcp(address: string, number: number): Promise<() => Promise<unknown>> {
  const server = createServer();
  server.listen(number, address);
  await once(server, 'listening');
  return () => once(server.close(), 'close');
}

after(() => kernel.close());

test('a foreign TCP listener is refused on a held port, and can have it after', async () => {
  hold(port('tcp', '0.0.0.0', 5000));
  await assert.rejects(foreignTcp('127.0.0.1', 5000), { code: 'EADDRINUSE' });
  await assert.rejects(foreignTcp('0.0.0.0', 5000), { code: 'EADDRINUSE' });
  release(port('tcp', '0.0.0.0', 5000));
  const close = await foreignTcp('0.0.0.0', 5000);
  await close();
});

test('a port a foreign program listens on is HostPortTaken, by its address or 0.0.0.0', async () => {
  const close = await foreignTcp('127.0.0.1', 5001);
  assert.throws(() => hold(port('tcp', '127.0.0.1', 5001)), HostPortTaken);
  assert.throws(() => hold(port('tcp', '0.0.0.0', 5001)), HostPortTaken);
  hold(port('tcp', '127.0.0.2', 5001));
  release(port('tcp', '127.0.0.2', 5001));
  await close();
});

test('UDP is held both ways too, even against a sharing socket', async () => {
  hold(port('udp', '0.0.0.0', 5002));
  const foreign = createSocket({ type: 'udp4', reuseAddr: true });
  foreign.bind(5002);
  await assert.rejects(once(foreign, 'listening'), { code: 'EADDRINUSE' });
  const other = createSocket({ type: 'udp4', reuseAddr: true });
  other.bind(5003, '127.0.0.1');
  await once(other, 'listening');
  assert.throws(() => hold(port('udp', '0.0.0.0', 5003)), HostPortTaken);
  hold(port('tcp', '0.0.0.0', 5003));
  other.close();
  release(port('udp', '0.0.0.0', 5002), port('tcp', '0.0.0.0', 5003));
});

test('a port of our own is taken the second time, and the call leaves nothing', () => {
  hold(port('tcp', '0.0.0.0', 5004));
  assert.throws(() => hold(port('udp', '0.0.0.0', 5004), port('tcp', '127.0.0.1', 5004)), HostPortTaken);
  assert.deepEqual(kernel.observe(), [port('tcp', '0.0.0.0', 5004)]);
  release(port('tcp', '0.0.0.0', 5004));
});

test("an address the host does not have is the kernel's own error", () => {
  assert.throws(
    () => hold(port('tcp', '203.0.113.7', 5005)),
    (error) =>
      error instanceof KernelError && error.errno === 'EADDRNOTAVAIL' && !(error instanceof HostPortTaken),
  );
});

test('a held port answers nothing, not even the handshake', async () => {
  hold(port('tcp', '0.0.0.0', 5006));
  const socket = connect(5006, '127.0.0.1');
  const answer = once(socket, 'connect').then(
    () => 'connected',
    () => 'refused',
  );
  assert.equal(await Promise.race([answer, setTimeout(300, 'silence')]), 'silence');
  socket.destroy();
  release(port('tcp', '0.0.0.0', 5006));
});

test('a connection in TIME_WAIT does not stand in the way', async () => {
  const server = createServer((socket) => socket.end());
  server.listen(5007, '127.0.0.1');
  await once(server, 'listening');
  const client = connect(5007, '127.0.0.1').resume();
  await once(client, 'close');
  await once(server.close(), 'close');
  hold(port('tcp', '0.0.0.0', 5007));
  release(port('tcp', '0.0.0.0', 5007));
});

test('no child inherits a held port or a netlink socket', () => {
  hold(port('tcp', '0.0.0.0', 5008));
  const listing = 'for fd in /proc/self/fd/*; do readlink $fd; done';
  const child = spawnSync('sh', ['-c', listing], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  release(port('tcp', '0.0.0.0', 5008));
  // Its one socket is the pipe to us.
  assert.equal(child.stdout.match(/socket:\[/g)?.length, 1, child.stdout);
});

test('SCTP is held where the kernel has it, and noted where not', () => {
  const sctp = port('sctp', '0.0.0.0', 5009);
  hold(sctp);
  const held = kernel.observe().length === 1;
  assert.equal(
    notes.some((note) => note.includes('sctp port 5009')),
    !held,
  );
  if (held) assert.throws(() => hold(sctp), HostPortTaken);
  release(sctp);
});

test('a range of a thousand is held and let go', () => {
  const range = Array.from({ length: 1000 }, (_, i) => port('tcp', '0.0.0.0', 20000 + i));
  hold(...range);
  assert.equal(kernel.observe().length, 1000);
  release(...range);
  assert.deepEqual(kernel.observe(), []);
});
