import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Cluster } from '../e2e/cluster.ts';
import { MACHINES } from '../e2e/engine-under-test.ts';
import { until } from '../e2e/process.ts';

test('hosts and etcd that have IPv6 only among them: containers reach each other, the MTU leaves room', async () => {
  const directory = mkdtempSync(join(MACHINES, 'gangway-cluster6-'));
  const cluster = await Cluster.start(2, directory, { underlay: 'ipv6' });
  try {
    const [one, two] = cluster.hosts;
    assert.ok(one && two);
    await until('the network to be made', async () =>
      (await one.docker('network', 'create', '-d', 'overlay', 'lamp')).status === 0 ? true : undefined,
    );
    await until('the network', async () =>
      (await two.docker('network', 'inspect', 'lamp')).status === 0 ? true : undefined,
    );
    for (const [machine, name] of [
      [one, 'web1'],
      [two, 'web2'],
    ] as const) {
      await machine.dockerOk('run', '-d', '--name', name, '--network', 'lamp', 'busybox', 'sleep', '1000');
    }
    const address = await two.address('web2', 'lamp');
    await two.serve(await two.containerPid('web2'), 'web2', [{ protocol: 'tcp', port: 80 }]);
    const pid = await one.containerPid('web1');
    await until('web2 to answer', async () =>
      (await one.ask(pid, [{ protocol: 'tcp', address, port: 80 }]))[0]?.startsWith('web2 ')
        ? true
        : undefined,
    );
    assert.equal(await one.dockerOk('exec', 'web1', 'cat', '/sys/class/net/eth0/mtu'), '1430');
    const entries = await one.host(['bridge', 'fdb']);
    assert.ok(entries.stdout.includes(`dst ${cluster.address(1)}`), entries.stdout);
  } finally {
    await cluster.close();
    rmSync(directory, { recursive: true, force: true });
  }
});
