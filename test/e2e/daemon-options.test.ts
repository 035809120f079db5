import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Machine, type MachineOptions } from './machine.ts';
import { HOST, HOST6, OUTSIDE, OUTSIDE6 } from './namespaces.ts';
import { must } from './process.ts';

/** Options of the daemon that concern one host (docs.docker.com, "dockerd"), each as a flag; what networks.test.ts shows is left out. */
async function withDaemon(
  flags: readonly string[],
  body: (machine: Machine) => Promise<void>,
  options: MachineOptions = {},
): Promise<void> {
  await using machine = await Machine.start({ flags, ...options });
  await body(machine);
}

async function start(machine: Machine, name: string, ...options: string[]): Promise<number> {
  await machine.dockerOk('run', '-d', '--name', name, ...options, 'busybox', 'sleep', '1000');
  const pid = await machine.containerPid(name);
  await machine.serve(pid, name, [{ protocol: 'tcp', port: 80 }]);
  return pid;
}
const ask = async (machine: Machine, pid: number, address: string, port: number): Promise<string> =>
  (await machine.ask(pid, [{ protocol: 'tcp', address, port }]))[0] ?? '';
const outside = (machine: Machine, address: string, port: number): Promise<string> =>
  ask(machine, machine.namespaces.outside, address, port);

test('--ipv6 --bip6 --fixed-cidr-v6 --default-gateway-v6: the default network has both families', () =>
  withDaemon(
    [
      '--ipv6',
      '--bip6',
      'fd00:9::1/64',
      '--fixed-cidr-v6',
      'fd00:9::100/120',
      '--default-gateway-v6',
      'fd00:9::5',
    ],
    async (machine) => {
      await start(machine, 'web', '-p', '8080:80');
      const inside = (...command: string[]) => machine.dockerOk('exec', 'web', ...command);
      assert.match(await inside('ip', 'addr', 'show', 'eth0'), /inet6 fd00:9::100\/64/);
      assert.match(await inside('ip', '-6', 'route'), /default via fd00:9::5/);
      const docker0 = await machine.host(['ip', 'addr', 'show', 'docker0']);
      assert.match(docker0.stdout, /inet6 fd00:9::1\/64/);
      assert.equal(await machine.dockerOk('port', 'web'), '80/tcp -> 0.0.0.0:8080\n80/tcp -> [::]:8080');
      assert.match(await outside(machine, HOST, 8080), /^web /);
    },
  ));

test('--ipv6 alone: addresses of this host’s own, published on both families', () =>
  withDaemon(['--ipv6'], async (machine) => {
    const pid = await start(machine, 'web', '-p', '8080:80');
    assert.equal(await outside(machine, HOST6, 8080), `web ${OUTSIDE6} 80`);
    await machine.serve(machine.namespaces.outside, 'outside', [{ protocol: 'tcp', port: 7000 }]);
    assert.equal(await ask(machine, pid, OUTSIDE6, 7000), `outside ${HOST6} 7000`);
  }));

test('--iptables=false: containers and networks, and not one rule', () =>
  withDaemon(['--iptables=false'], async (machine) => {
    const pid = await start(machine, 'web', '-p', '8080:80');
    await machine.dockerOk('network', 'create', '--ipv6', 'lamp');
    assert.equal((await machine.host(['nft', 'list', 'ruleset'])).stdout, '');
    await machine.serve(machine.namespaces.outside, 'outside', [{ protocol: 'tcp', port: 7000 }]);
    assert.equal(await ask(machine, pid, OUTSIDE, 7000), '-', 'nothing is masqueraded');
    assert.equal(await outside(machine, HOST, 8080), '-', 'nothing is published');
    const address = await machine.address('web', 'bridge');
    await must(machine.inOutside(['ip', 'route', 'add', address, 'via', HOST]));
    assert.match(await outside(machine, address, 80), /^web /);
  }));

test('--ip6tables=false: no rules for IPv6, those for IPv4 are there', () =>
  withDaemon(['--ipv6', '--ip6tables=false'], async (machine) => {
    await start(machine, 'web', '-p', '8080:80');
    assert.deepEqual((await machine.host(['nft', 'list', 'tables'])).stdout.trim().split('\n').toSorted(), [
      'table bridge gangway',
      'table ip gangway',
    ]);
    assert.match(await outside(machine, HOST, 8080), /^web /);
    assert.equal(await outside(machine, HOST6, 8080), '-');
  }));

test('--allow-direct-routing: published ports, and only they, by the container’s own address', () =>
  withDaemon(['--allow-direct-routing'], async (machine) => {
    const pid = await start(machine, 'web', '-p', '8080:80');
    await machine.serve(pid, 'web', [{ protocol: 'tcp', port: 81 }]);
    const address = await machine.address('web', 'bridge');
    await must(machine.inOutside(['ip', 'route', 'add', address, 'via', HOST]));
    assert.equal(await outside(machine, address, 80), `web ${OUTSIDE} 80`);
    assert.equal(await outside(machine, address, 81), '-');
  }));

test('--bridge-accept-fwmark: what another program marked is let through', () =>
  withDaemon(['--bridge-accept-fwmark', '0x10/0x10'], async (machine) => {
    await start(machine, 'web');
    const address = await machine.address('web', 'bridge');
    await must(machine.inOutside(['ip', 'route', 'add', address, 'via', HOST]));
    assert.equal(await outside(machine, address, 80), '-');
    const rule =
      'table inet theirs { chain marks { type filter hook prerouting priority -310; meta mark set 0x13; }; }';
    await must(machine.inMachine(['nft', rule]));
    assert.match(await outside(machine, address, 80), /^web /);
    await must(machine.inMachine(['nft', 'delete', 'table', 'inet', 'theirs']));
  }));

test('--http-proxy: the daemon pulls by it', async () => {
  const flags = ['--http-proxy', `http://${OUTSIDE}:3128`, '--insecure-registry', 'registry.test:5000'];
  await withDaemon(flags, async (machine) => {
    // Says what it is asked, and answers nothing.
    const proxy = await machine.spawnHelper(
      machine.inOutside([
        process.execPath,
        '-e',
        `require('node:http').createServer((q, r) => { console.log(q.url); r.statusCode = 404; r.end(); })
           .on('connect', (q, s) => { console.log('CONNECT ' + q.url); s.end('HTTP/1.1 404 no\\r\\n\\r\\n'); })
           .listen(3128, () => console.log('PROXY'))`,
      ]),
      'PROXY',
    );
    let asked = '';
    proxy.stdout?.on('data', (text: Buffer) => {
      asked += text.toString();
    });
    const pulled = await machine.docker('pull', 'registry.test:5000/thing');
    assert.notEqual(pulled.status, 0);
    assert.match(asked, /registry\.test:5000/);
    await machine.dockerOk('pull', 'busybox');
  });
});

test('--default-network-opt, --default-address-pool: what new networks have', () =>
  withDaemon(
    [
      ...['--default-network-opt', 'bridge=com.docker.network.driver.mtu=1334'],
      ...['--default-address-pool', 'base=10.77.0.0/22,size=24'],
      ...['--default-address-pool', 'base=fd00:77::/48,size=56'],
    ],
    async (machine) => {
      await machine.dockerOk('network', 'create', '--ipv6', 'lamp');
      const of = (text: string) => machine.dockerOk('network', 'inspect', '-f', text, 'lamp');
      assert.equal(await of('{{range .IPAM.Config}}{{.Subnet}} {{end}}'), '10.77.1.0/24 fd00:77::/56');
      assert.equal(await of('{{json .Options}}'), '{"com.docker.network.driver.mtu":"1334"}');
      await start(machine, 'web', '--network', 'lamp');
      assert.equal(await machine.dockerOk('exec', 'web', 'cat', '/sys/class/net/eth0/mtu'), '1334');
      for (const name of ['third', 'fourth']) await machine.dockerOk('network', 'create', name);
      const full = await machine.docker('network', 'create', 'fifth');
      assert.match(full.stderr, /all predefined address pools have been fully subnetted/);
    },
  ));

test('--host-gateway-ip: what host-gateway means, in each family', () =>
  withDaemon(['--host-gateway-ip', '192.0.2.1', '--host-gateway-ip', '2001:db8::1'], async (machine) => {
    const hosts = await machine.dockerOk(
      ...['run', '--rm', '--add-host', 'me:host-gateway', 'busybox', 'cat', '/etc/hosts'],
    );
    assert.match(hosts, /192\.0\.2\.1\tme\n2001:db8::1\tme/);
  }));

test('-b none: no default network, others as usual', () =>
  withDaemon(['-b', 'none'], async (machine) => {
    assert.equal(await machine.dockerOk('network', 'ls', '--format', '{{.Name}}'), 'host\nnone');
    await machine.dockerOk('network', 'create', 'lamp');
    await start(machine, 'web', '--network', 'lamp', '-p', '8080:80');
    assert.match(await outside(machine, HOST, 8080), /^web /);
  }));
