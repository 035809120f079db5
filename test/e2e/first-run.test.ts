import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { IS_GANGWAY } from './engine-under-test.ts';
import { Machine } from './machine.ts';
import { HOST } from './namespaces.ts';

/** What must be shown, 1: the first `docker run` of the tutorial, and its veth on the host. */
let machine: Machine;
before(async () => {
  machine = await Machine.start();
});
after(() => machine.close());

test('docker run --rm busybox ip addr shows eth0 in 172.17.0.0/16', async () => {
  const text = await machine.dockerOk('run', '--rm', 'busybox', 'ip', 'addr');
  assert.match(text, /\d+: eth0@if\d+: <[^>]*\bUP\b[^>]*>/);
  assert.match(text, /inet 172\.17\.\d+\.\d+\/16 .*scope global eth0/);
  assert.equal(await machine.dockerOk('ps', '-aq'), '', '--rm removes it');
});

test('the host has docker0 with 172.17.0.1/16, and the container a vethXXXXXXX in it', async () => {
  const id = await machine.dockerOk('run', '-d', '--name', 'lasting', 'busybox', 'sleep', '1000');
  const docker0 = (await machine.host(['ip', '-4', '-o', 'addr', 'show', 'docker0'])).stdout;
  assert.match(docker0, /inet 172\.17\.0\.1\/16/);
  const ports = (await machine.host(['ip', '-o', 'link', 'show', 'master', 'docker0'])).stdout;
  assert.match(ports, /^\d+: veth[0-9a-f]{7}@if\d+:.*state UP/m);
  assert.equal(ports.trim().split('\n').length, 1);
  assert.match(
    await machine.dockerOk('exec', 'lasting', 'ip', 'route'),
    /^default via 172\.17\.0\.1 dev eth0/,
  );
  assert.equal(
    await machine.dockerOk('inspect', '-f', '{{.NetworkSettings.IPAddress}} {{.Id}}', 'lasting'),
    `172.17.0.2 ${id}`,
  );
});

test('hosts, hostname and resolv.conf are as Docker writes them', async () => {
  const short = (await machine.dockerOk('inspect', '-f', '{{.Config.Hostname}}', 'lasting')).trim();
  assert.match(short, /^[0-9a-f]{12}$/);
  assert.equal(await machine.dockerOk('exec', 'lasting', 'cat', '/etc/hostname'), short);
  const hosts = await machine.dockerOk('exec', 'lasting', 'cat', '/etc/hosts');
  assert.match(hosts, /^127\.0\.0\.1\tlocalhost$/m);
  assert.match(hosts, new RegExp(`^172\\.17\\.0\\.2\\t${short}$`, 'm'));
  // The reference engine's chroot has a resolv.conf of its own.
  if (!IS_GANGWAY) return;
  const resolv = await machine.dockerOk('exec', 'lasting', 'cat', '/etc/resolv.conf');
  assert.match(resolv, /^nameserver 198\.51\.100\.53$/m);
  assert.match(resolv, /^search example\.test$/m);
});

test('the host reaches the container by its address, and the container the host', async () => {
  await machine.serve(await machine.containerPid('lasting'), 'inside', [{ protocol: 'tcp', port: 80 }]);
  await machine.serve(machine.namespaces.machine, 'host', [{ protocol: 'tcp', port: 81 }]);
  const [fromHost] = await machine.ask(machine.namespaces.machine, [
    { protocol: 'tcp', address: '172.17.0.2', port: 80 },
  ]);
  assert.equal(fromHost, 'inside 172.17.0.1 80');
  const toHost = await machine.ask(await machine.containerPid('lasting'), [
    { protocol: 'tcp', address: '172.17.0.1', port: 81 },
    { protocol: 'tcp', address: HOST, port: 81 },
  ]);
  assert.deepEqual(toHost, ['host 172.17.0.2 81', 'host 172.17.0.2 81']);
});

test('network ls shows bridge, host and none', async () => {
  const list = await machine.dockerOk('network', 'ls', '--format', '{{.Name}} {{.Driver}} {{.Scope}}');
  assert.deepEqual(list.split('\n').sort(), ['bridge bridge local', 'host host local', 'none null local']);
});
