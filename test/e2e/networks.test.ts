import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Machine, type MachineOptions } from './machine.ts';
import { HOST, NAME_SERVER, OUTSIDE } from './namespaces.ts';

/** What must be shown, 4: network modes, and the daemon's options for the default network. */
const onMachine = (
  name: string,
  options: MachineOptions,
  body: (machine: Machine) => Promise<void>,
): void => {
  test(name, async () => {
    const machine = await Machine.start(options);
    try {
      await body(machine);
    } catch (error) {
      await machine.dismantle();
      throw error;
    }
    await machine.close();
  });
};

onMachine('--net none, host, container:X and bridge', {}, async (machine) => {
  const run = (...args: string[]) => machine.dockerOk('run', '--rm', ...args);
  assert.equal(await run('--net', 'none', 'busybox', 'ls', '/sys/class/net'), 'lo');

  const onHost = await run('--net', 'host', 'busybox', 'ip', '-4', '-o', 'addr', 'show', 'up0');
  assert.match(onHost, new RegExp(`inet ${HOST.replaceAll('.', '\\.')}/24`));
  const hostname = (await machine.host(['hostname'])).stdout.trim();
  assert.equal(await run('--net', 'host', 'busybox', 'hostname'), hostname);

  await machine.dockerOk('run', '-d', '--name', 'first', '--net', 'bridge', 'busybox', 'sleep', '1000');
  await machine.dockerOk(
    'run',
    '-d',
    '--name',
    'joined',
    '--net',
    'container:first',
    'busybox',
    'sleep',
    '1000',
  );
  const names = ['first', 'joined'];
  const spaces = await Promise.all(
    names.map((name) => machine.dockerOk('exec', name, 'readlink', '/proc/self/ns/net')),
  );
  assert.equal(spaces[0], spaces[1]);
  const hosts = await Promise.all(names.map((name) => machine.dockerOk('exec', name, 'cat', '/etc/hosts')));
  assert.equal(hosts[0], hosts[1]);

  await machine.dockerOk('run', '-d', '--name', 'alone', '--net', 'none', 'busybox', 'sleep', '1000');
  await machine.serve(await machine.containerPid('alone'), 'alone', [{ protocol: 'tcp', port: 80 }]);
  const self = [{ protocol: 'tcp', address: '127.0.0.1', port: 80 }] as const;
  assert.deepEqual(await machine.ask(await machine.containerPid('alone'), self), ['alone 127.0.0.1 80']);

  const refused = await machine.docker('network', 'connect', 'bridge', 'alone');
  assert.match(refused.stderr, /one of the networks in private \(none\) mode/);
  await machine.dockerOk('network', 'disconnect', 'none', 'alone');
  await machine.dockerOk('network', 'connect', 'bridge', 'alone');
  for (const _ of ['as connected', 'after a restart']) {
    const address = await machine.dockerOk(
      'inspect',
      '-f',
      '{{.NetworkSettings.Networks.bridge.IPAddress}}',
      'alone',
    );
    assert.match(await machine.dockerOk('exec', 'alone', 'ip', 'addr', 'show', 'eth0'), new RegExp(address));
    await machine.dockerOk('restart', '-t', '0', 'alone');
  }
  assert.match((await machine.docker('network', 'connect', 'none', 'alone')).stderr, /private \(none\) mode/);
  await machine.dockerOk('network', 'disconnect', 'bridge', 'alone');
  await machine.dockerOk('network', 'connect', 'none', 'alone');
  assert.equal(await machine.dockerOk('exec', 'alone', 'ls', '/sys/class/net'), 'lo');
});

onMachine('--net host: a server in the container answers on the host', {}, async (machine) => {
  const page = 'echo hosted >index.html; exec httpd -f -p 8080';
  await machine.dockerOk('run', '-d', '--net', 'host', 'busybox', 'sh', '-c', page);
  const got = await machine.page(8080);
  assert.equal(got.stdout, 'hosted\n');
});

onMachine(
  '-b: an existing bridge is used, and stays as it is',
  {
    flags: ['-b', 'mine0'],
    prepare: async (machine) => {
      const made = await machine.host([
        'sh',
        '-euc',
        'ip link add mine0 type bridge; ip addr add 10.77.0.1/24 dev mine0; ip link set mine0 up',
      ]);
      assert.equal(made.status, 0, made.stderr);
    },
  },
  async (machine) => {
    await machine.dockerOk('run', '-d', '--name', 'web', '-p', '8080:80', 'busybox', 'sleep', '1000');
    const address = await machine.dockerOk('inspect', '-f', '{{.NetworkSettings.IPAddress}}', 'web');
    assert.match(address, /^10\.77\.0\./);
    assert.match((await machine.host(['ip', '-o', 'link', 'show', 'master', 'mine0'])).stdout, /veth/);
    assert.notEqual(
      (await machine.host(['ip', 'link', 'show', 'docker0'])).status,
      0,
      'no docker0 beside it',
    );
    await machine.serve(await machine.containerPid('web'), 'web', [{ protocol: 'tcp', port: 80 }]);
    const published = [{ protocol: 'tcp', address: HOST, port: 8080 }] as const;
    assert.deepEqual(await machine.ask(machine.namespaces.outside, published), [`web ${OUTSIDE} 80`]);
    await machine.serve(machine.namespaces.outside, 'outside', [{ protocol: 'tcp', port: 7000 }]);
    const egress = [{ protocol: 'tcp', address: OUTSIDE, port: 7000 }] as const;
    assert.deepEqual(await machine.ask(await machine.containerPid('web'), egress), [`outside ${HOST} 7000`]);
    await machine.stopDaemon();
    const bridge = await machine.host(['ip', '-4', '-o', 'addr', 'show', 'mine0']);
    assert.match(bridge.stdout, /inet 10\.77\.0\.1\/24/);
    await machine.startDaemon();
  },
);

onMachine('-b with a bridge that is not there is refused', { registry: false }, async (machine) => {
  await machine.stopDaemon();
  await assert.rejects(machine.startDaemon(['-b', 'nobridge0']), /nobridge0/);
  await machine.startDaemon();
});

onMachine('--bip 10.10.10.10/24', { flags: ['--bip', '10.10.10.10/24'] }, async (machine) => {
  const docker0 = await machine.host(['ip', '-4', '-o', 'addr', 'show', 'docker0']);
  assert.match(docker0.stdout, /inet 10\.10\.10\.10\/24/);
  await machine.dockerOk('run', '-d', '--name', 'web', '-p', '8080:80', 'busybox', 'sleep', '1000');
  assert.match(
    await machine.dockerOk('exec', 'web', 'ip', 'addr', 'show', 'eth0'),
    /inet 10\.10\.10\.1\/24 .* eth0/,
  );
  assert.match(await machine.dockerOk('exec', 'web', 'ip', 'route'), /default via 10\.10\.10\.10/);
  await machine.serve(await machine.containerPid('web'), 'web', [{ protocol: 'tcp', port: 80 }]);
  const target = [{ protocol: 'tcp', address: HOST, port: 8080 }] as const;
  assert.deepEqual(await machine.ask(machine.namespaces.outside, target), [`web ${OUTSIDE} 80`]);
  assert.match(
    await machine.dockerOk('network', 'inspect', '-f', '{{json .IPAM.Config}}', 'bridge'),
    /"Subnet":"10\.10\.10\.0\/24".*"Gateway":"10\.10\.10\.10"/,
  );
});

onMachine(
  '--dns, --dns-search, --dns-opt: the name server outside is asked',
  { flags: ['--dns', NAME_SERVER, '--dns-search', 'lan.test', '--dns-opt', 'timeout:3'] },
  async (machine) => {
    const server = new URL('name-server.ts', import.meta.url).pathname;
    await machine.spawnHelper(machine.inOutside([process.execPath, server, NAME_SERVER]), 'SERVING');
    const resolv = await machine.dockerOk('run', '--rm', 'busybox', 'cat', '/etc/resolv.conf');
    assert.match(resolv, new RegExp(`^nameserver ${NAME_SERVER.replaceAll('.', '\\.')}$`, 'm'));
    assert.match(resolv, /^search lan\.test$/m);
    assert.match(resolv, /^options timeout:3$/m);
    const answer = await machine.dockerOk('run', '--rm', 'busybox', 'nslookup', '-type=a', 'printer');
    assert.match(answer, /Name:\s+printer\.lan\.test\nAddress: 203\.0\.113\.7/);
    const own = ['--dns', '203.0.113.1', '--dns-search', '.', '--dns-opt', 'ndots:2'];
    const given = await machine.dockerOk('run', '--rm', ...own, 'busybox', 'cat', '/etc/resolv.conf');
    assert.match(given, /^nameserver 203\.0\.113\.1$/m);
    assert.doesNotMatch(given, /^search \S/m);
    assert.match(given, /^options ndots:2$/m);
  },
);

onMachine(
  '--icc=false: neighbours are silent, published ports answer',
  { flags: ['--icc=false'] },
  async (machine) => {
    await machine.dockerOk('run', '-d', '--name', 'one', '-p', '8080:80', 'busybox', 'sleep', '1000');
    await machine.dockerOk('run', '-d', '--name', 'two', 'busybox', 'sleep', '1000');
    await machine.serve(await machine.containerPid('one'), 'one', [{ protocol: 'tcp', port: 80 }]);
    const address = await machine.dockerOk('inspect', '-f', '{{.NetworkSettings.IPAddress}}', 'one');
    const direct = [{ protocol: 'tcp', address, port: 80 }] as const;
    assert.deepEqual(await machine.ask(await machine.containerPid('two'), direct), ['-']);
    const published = [{ protocol: 'tcp', address: HOST, port: 8080 }] as const;
    assert.deepEqual(await machine.ask(machine.namespaces.outside, published), [`one ${OUTSIDE} 80`]);
  },
);

onMachine('--ip: ports are published there', { flags: ['--ip', HOST, '--mtu', '1400'] }, async (machine) => {
  await machine.dockerOk('run', '-d', '--name', 'web', '-p', '8080:80', 'busybox', 'sleep', '1000');
  assert.equal(await machine.dockerOk('port', 'web'), `80/tcp -> ${HOST}:8080`);
  assert.equal(await machine.dockerOk('exec', 'web', 'cat', '/sys/class/net/eth0/mtu'), '1400');
});
