import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Machine } from './machine.ts';
import { HOST, HOST_SECOND, OUTSIDE } from './namespaces.ts';

/** What must be shown, 3: whose address a server outside sees. */
let machine: Machine;
before(async () => {
  machine = await Machine.start();
  await machine.serve(machine.namespaces.outside, 'outside', [
    { protocol: 'tcp', port: 7000 },
    { protocol: 'udp', port: 7000 },
  ]);
});
after(() => machine.close());

const askFrom = async (container: string): Promise<string[]> =>
  machine.ask(await machine.containerPid(container), [
    { protocol: 'tcp', address: OUTSIDE, port: 7000 },
    { protocol: 'udp', address: OUTSIDE, port: 7000 },
  ]);

test("masquerade: the server outside sees the host's address", async () => {
  await machine.dockerOk('run', '-d', '--name', 'plain', 'busybox', 'sleep', '1000');
  assert.deepEqual(await askFrom('plain'), [`outside ${HOST} 7000`, `outside ${HOST} 7000`]);
});

test('SNAT: com.docker.network.host_ipv4 chooses the address', async () => {
  await machine.dockerOk(
    ...['network', 'create', '-d', 'bridge', '-o', `com.docker.network.host_ipv4=${HOST_SECOND}`, 'chosen'],
  );
  await machine.dockerOk('run', '-d', '--name', 'snat', '--net', 'chosen', 'busybox', 'sleep', '1000');
  assert.deepEqual(await askFrom('snat'), [`outside ${HOST_SECOND} 7000`, `outside ${HOST_SECOND} 7000`]);
});

test('without masquerade no answer finds back', async () => {
  const off = 'com.docker.network.bridge.enable_ip_masquerade=false';
  await machine.dockerOk('network', 'create', '-o', off, 'bare');
  await machine.dockerOk('run', '-d', '--name', 'bare', '--net', 'bare', 'busybox', 'sleep', '1000');
  assert.deepEqual(await askFrom('bare'), ['-', '-']);
});

test('two bridge networks do not reach each other, one network does', async () => {
  await machine.dockerOk('run', '-d', '--name', 'mate', 'busybox', 'sleep', '1000');
  await machine.serve(await machine.containerPid('mate'), 'mate', [{ protocol: 'tcp', port: 80 }]);
  const address = await machine.address('mate', 'bridge');
  const target = [{ protocol: 'tcp', address, port: 80 }] as const;
  const own = await machine.dockerOk('inspect', '-f', '{{.NetworkSettings.IPAddress}}', 'plain');
  assert.deepEqual(await machine.ask(await machine.containerPid('plain'), target), [`mate ${own} 80`]);
  assert.deepEqual(await machine.ask(await machine.containerPid('snat'), target), ['-']);
});
