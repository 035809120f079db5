import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Machine } from './machine.ts';
import { HOST, HOST6 } from './namespaces.ts';
import { until } from './process.ts';

let machine: Machine;
before(async () => {
  machine = await Machine.start();
  await machine.dockerOk('network', 'create', '--ipv6', 'lamp');
  await machine.dockerOk(
    ...['run', '-d', '--name', 'web', '--network', 'lamp', '-p', '8080:80', 'busybox', 'sleep', '1000'],
  );
  await machine.serve(await machine.containerPid('web'), 'web', [{ protocol: 'tcp', port: 80 }]);
});
after(() => machine.close());

const targets = [HOST, HOST6].map((address) => ({ protocol: 'tcp', address, port: 8080 }) as const);
const answers = (): Promise<string[]> => machine.ask(machine.namespaces.outside, targets);
const works = async (): Promise<boolean> => (await answers()).every((answer) => answer.startsWith('web '));
const bridge = async (): Promise<string> =>
  `br-${(await machine.dockerOk('network', 'inspect', '-f', '{{.Id}}', 'lamp')).slice(0, 12)}`;
const port = async (): Promise<string> => {
  const links = JSON.parse((await machine.host(['ip', '-j', 'link', 'show', 'type', 'veth'])).stdout) as {
    readonly ifname?: string;
  }[];
  return links.map((link) => link.ifname ?? '').find((name) => /^veth[0-9a-f]{7}$/.test(name)) ?? '';
};

/** Breaks something, and sees that it is broken and right again within a second. */
async function heals(command: readonly string[]): Promise<void> {
  assert.ok(await works());
  const done = await machine.host(command);
  assert.equal(done.status, 0, done.stderr);
  const begin = performance.now();
  await until('the traffic to be back', async () => ((await works()) ? true : undefined));
  // A round of questions takes up to 0.8 s where nothing answers.
  assert.ok(performance.now() - begin < 1800, `${performance.now() - begin} ms`);
}

test('nft flush ruleset while a client loops on a published port: back within a second', async () => {
  const loop = await machine.spawnHelper(
    machine.inOutside([
      'bash',
      '-c',
      `echo LOOPING; n=0
       while [ $n -lt 400 ]; do
         n=$((n + 1)); timeout 0.2 bash -c 'exec 3<>/dev/tcp/${HOST}/8080; cat <&3' >/dev/null 2>&1 && date +%s%3N
       done`,
    ]),
    'LOOPING',
  );
  const times: number[] = [];
  loop.stdout?.on('data', (text: Buffer) => {
    for (const line of text.toString().split('\n')) if (/^\d{13}$/.test(line)) times.push(Number(line));
  });
  await until('the loop to be answered', () => (times.length > 20 ? true : undefined));
  await machine.host(['nft', 'flush', 'ruleset']);
  const flushed = Date.now();
  await until('the loop to be answered again', () =>
    times.some((time) => time > flushed + 1000) ? true : undefined,
  );
  loop.kill('SIGKILL');
  const around = times.filter((time) => time > flushed - 500 && time < flushed + 2000);
  const gaps = around.slice(1).map((time, i) => time - (around[i] ?? 0));
  assert.ok(Math.max(...gaps) < 1000, `the longest silence was ${Math.max(...gaps)} ms`);
  assert.ok(await works());
});

test('a deleted table, a deleted element', async () => {
  await heals(['nft', 'delete', 'table', 'ip', 'gangway']);
  await heals(['nft', 'delete', 'table', 'ip6', 'gangway']);
  await heals(['nft', 'delete element ip gangway pub_any { tcp . 8080 }']);
});

test('a deleted bridge', async () => heals(['ip', 'link', 'delete', await bridge()]));
test('a bridge that was set down', async () => heals(['ip', 'link', 'set', await bridge(), 'down']));
test('a deleted veth', async () => heals(['ip', 'link', 'delete', await port()]));
test('a veth that was taken out of its bridge', async () =>
  heals(['ip', 'link', 'set', await port(), 'nomaster']));
test('a veth that was set down', async () => heals(['ip', 'link', 'set', await port(), 'down']));
test('an address that was taken from the bridge', async () =>
  heals(['ip', 'addr', 'flush', 'dev', await bridge(), 'scope', 'global']));

test('what the engine does itself is not taken for damage', async () => {
  const before = machine.log.match(/changed by another program/g)?.length;
  await machine.dockerOk('network', 'create', 'short');
  await machine.dockerOk('run', '--rm', '--network', 'short', '-p', '9000-9100:80-180', 'busybox', 'true');
  await machine.dockerOk('network', 'rm', 'short');
  await new Promise((resolve) => setTimeout(resolve, 500));
  assert.equal(machine.log.match(/changed by another program/g)?.length, before);
});

test('the MTU of the uplink is that of the networks, and stays so', async () => {
  const mtus = async (): Promise<string[]> => {
    const inside = await machine.dockerOk('exec', 'web', 'cat', '/sys/class/net/eth0/mtu');
    const outside = await machine.host(['cat', `/sys/class/net/${await bridge()}/mtu`]);
    return [inside, outside.stdout.trim()];
  };
  assert.deepEqual(await mtus(), ['1500', '1500']);
  await machine.host(['ip', 'link', 'set', 'up0', 'mtu', '1420']);
  await until('the MTU to follow', async () => ((await mtus()).join() === '1420,1420' ? true : undefined));
  assert.ok(await works());
  await machine.host(['ip', 'link', 'set', 'up0', 'mtu', '1500']);
  await until('the MTU to follow back', async () =>
    (await mtus()).join() === '1500,1500' ? true : undefined,
  );
});

test('flushed chains, where nothing that worked stops working', async () => {
  const chains = ['ip gangway forward', 'ip6 gangway direct', 'bridge gangway spoof_guard'];
  const rules = async (): Promise<number[]> => {
    const listings = await Promise.all(
      chains.map((chain) => machine.host(['sh', '-c', `nft list chain ${chain}`])),
    );
    return listings.map(({ stdout }) => stdout.match(/comment "/g)?.length ?? 0);
  };
  const before = await rules();
  assert.ok(
    before.every((count) => count > 0),
    before.join(),
  );
  for (const chain of chains) await machine.host(['sh', '-c', `nft flush chain ${chain}`]);
  await until('the rules', async () => ((await rules()).join() === before.join() ? true : undefined), 5);
  assert.ok(await works());
});

test('a firewall that stops forwarded packets is named, in the log and by docker info', async () => {
  const rules = `table inet theirs { chain forwards { type filter hook forward priority 0; policy drop; ct state established accept; }; }`;
  assert.equal((await machine.host(['nft', rules])).status, 0);
  await until('docker info to warn', async () => {
    const info = await machine.docker('info');
    return (info.stdout + info.stderr).includes(
      'chain forwards of table inet theirs stops forwarded packets (policy drop)',
    )
      ? true
      : undefined;
  });
  assert.match(machine.log, /a firewall that is not ours stops forwarded packets/);
  assert.ok(!(await works()), 'it does');
  await machine.host(['nft', 'delete', 'table', 'inet', 'theirs']);
  await until('the warning to go', async () => {
    const info = await machine.docker('info');
    return (info.stdout + info.stderr).includes('theirs') ? undefined : true;
  });
  assert.ok(await works());
});
