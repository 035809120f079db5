import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cluster } from '../e2e/cluster.ts';
import { until } from '../e2e/process.ts';

test('hosts and etcd that have IPv6 only among them: containers reach each other, the MTU leaves room', async () => {
  const cluster = await Cluster.start(2, { underlay: 'ipv6' });
  try {
    const [one, two] = cluster.hosts;
    assert.ok(one && two);
    await until('the network to be made', async () =>
      (await one.docker('network', 'create', '-d', 'overlay', '--ipv6', 'lamp')).status === 0
        ? true
        : undefined,
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

    const format = '{{(index .NetworkSettings.Networks "lamp").GlobalIPv6Address}}';
    const address6 = await two.dockerOk('inspect', '-f', format, 'web2');
    const ask6 = async (): Promise<string> =>
      (await one.ask(pid, [{ protocol: 'tcp', address: address6, port: 80 }])).join();
    assert.match(await ask6(), /^web2 fd/);
    for (const [mtu, within] of [
      ['1400', '1330'],
      ['1350', '1280'],
    ] as const) {
      for (const machine of cluster.hosts) await machine.host(['ip', 'link', 'set', 'cl0', 'mtu', mtu]);
      const shown = (): Promise<string> => one.dockerOk('exec', 'web1', 'cat', '/sys/class/net/eth0/mtu');
      await until('the MTU to follow', async () => ((await shown()) === within ? true : undefined));
      const ping = await one.docker('exec', 'web1', 'ping', '-6', '-c', '2', '-s', '1200', address6);
      assert.match(ping.stdout, / 0% packet loss/, `${mtu} ${ping.stdout}`);
      const large = await one.docker('exec', 'web1', 'ping', '-6', '-c', '2', '-s', '4000', address6);
      assert.match(large.stdout, / 0% packet loss/, `${mtu} ${large.stdout}`);
    }
    // Packets of a tunnel over IPv6 are not cut in pieces: what would lose the large ones is refused.
    for (const machine of cluster.hosts) await machine.host(['ip', 'link', 'set', 'cl0', 'mtu', '1340']);
    const late = ['run', '-d', '--name', 'late', '--network', 'lamp', 'busybox', 'sleep', '9'];
    const refused = await until('the MTU to be seen', async () => {
      const result = await two.docker(...late);
      await two.docker('rm', '-f', 'late');
      return result.status === 0 ? undefined : result.stderr;
    });
    assert.match(
      refused,
      /IPv6 on network lamp needs an MTU of 1350 where this host's tunnels end \(fd64::2\), which has 1340/,
    );
    assert.equal(await two.dockerOk('network', 'inspect', '-f', '{{len .Containers}}', 'lamp'), '1');
  } finally {
    await cluster.close();
  }
});
