import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { WatchEvent } from '../../src/model/flow.ts';
import { Cluster } from '../e2e/cluster.ts';
import { CHECKOUT } from '../e2e/engine-under-test.ts';
import type { Machine } from '../e2e/machine.ts';
import { must, until } from '../e2e/process.ts';

let cluster: Cluster;
let one: Machine;
let two: Machine;

before(async () => {
  cluster = await Cluster.start(2);
  [one, two] = cluster.hosts as [Machine, Machine];
});
after(() => cluster?.close());

test('a connection over two hosts has both names on either, once, in each family', async () => {
  await one.dockerOk('network', 'create', '-d', 'overlay', '--ipv6', 'lamp');
  await until('the network', async () =>
    (await two.dockerOk('network', 'ls', '-qf', 'name=lamp')) === '' ? undefined : true,
  );
  for (const [machine, name] of [[one, 'web'] as const, [two, 'db'] as const]) {
    await machine.dockerOk('run', '-d', '--name', name, '--network', 'lamp', 'busybox', 'sleep', '1000');
  }
  await two.serve(await two.containerPid('db'), 'db', [{ protocol: 'tcp', port: 3306 }]);
  const address = (field: string): Promise<string> =>
    two.dockerOk('inspect', '-f', `{{.NetworkSettings.Networks.lamp.${field}}}`, 'db');
  const addresses = [await address('IPAddress'), await address('GlobalIPv6Address')];
  const ask = async (to = addresses[0] ?? ''): Promise<string> =>
    (await one.ask(await one.containerPid('web'), [{ protocol: 'tcp', address: to, port: 3306 }])).join();
  await until('the way there', async () => ((await ask()).startsWith('db ') ? true : undefined));

  const seen = await Promise.all(
    [one, two].map(async (machine) => {
      const command = [process.execPath, `${CHECKOUT}bin/gangway.ts`, '-H', `unix://${machine.socket}`];
      const child = await machine.spawnHelper(
        ['sh', '-c', 'echo WATCHING; exec "$@"', 'sh', ...command, 'watch', '--json', '--network', 'lamp'],
        'WATCHING',
      );
      let text = '';
      child.stdout?.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      await until('the daemon to hear', async () =>
        (await must(machine.inMachine(['cat', '/proc/sys/net/netfilter/nf_conntrack_acct']))) === '1'
          ? true
          : undefined,
      );
      return () =>
        text
          .split('\n')
          .slice(0, -1)
          .map((line) => JSON.parse(line) as WatchEvent);
    }),
  );
  for (const [round, to] of addresses.entries()) {
    assert.match(await ask(to), /^db /);
    for (const events of seen) {
      await until('its end', () => events().filter(({ kind }) => kind === 'close')[round]);
      const told = events().flatMap((event) =>
        'from' in event && event.protocol === 'tcp' && event.to.address === to
          ? [`${event.kind} ${event.from.name} ${event.to.name}:${event.to.port}`]
          : [],
      );
      assert.deepEqual(told, ['open web db:3306', 'close web db:3306'], to);
    }
  }
});
