import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Machine } from './machine.ts';
import { OUTSIDE, OUTSIDE6 } from './namespaces.ts';

let machine: Machine;
before(async () => {
  machine = await Machine.start();
  await machine.dockerOk(
    ...['network', 'create', '-d', 'macvlan', '-o', 'parent=up0', '--ipv6'],
    ...['--subnet', '198.51.100.0/24', '--gateway', OUTSIDE, '--ip-range', '198.51.100.128/28'],
    ...['--subnet', '2001:db8:7::/64', '--gateway', OUTSIDE6, '--ip-range', '2001:db8:7::100/120', 'lan'],
  );
  for (const name of ['web', 'other'])
    await machine.dockerOk('run', '-d', '--name', name, '--network', 'lan', 'busybox', 'sleep', '1000');
  await machine.serve(await machine.containerPid('web'), 'web', [{ protocol: 'tcp', port: 80 }]);
  await machine.serve(machine.namespaces.outside, 'outside', [{ protocol: 'tcp', port: 7000 }]);
});
after(() => machine.close());

const address = (name: string, which = 'IPAddress'): Promise<string> =>
  machine.dockerOk('inspect', '-f', `{{.NetworkSettings.Networks.lan.${which}}}`, name);

test('a container has a MAC and addresses of its own on the network of the uplink', async () => {
  const shown = await machine.dockerOk('exec', 'web', 'ip', 'addr', 'show', 'eth0');
  assert.match(shown, /inet 198\.51\.100\.128\/24/);
  assert.match(shown, /inet6 2001:db8:7::/);
  assert.match(await machine.dockerOk('exec', 'web', 'ip', 'route'), /default via 198\.51\.100\.2/);
  assert.equal(
    await machine.dockerOk('network', 'inspect', '-f', '{{.Driver}} {{.Scope}} {{len .Containers}}', 'lan'),
    'macvlan local 2',
  );
  const veths = await machine.host(['ip', '-o', 'link', 'show', 'type', 'veth']);
  assert.doesNotMatch(veths.stdout, /veth[0-9a-f]{7}/);
});

test('outside, sibling and name reach it untranslated; it reaches outside; the host does not (a macvlan never does)', async () => {
  const [ip4, ip6] = [await address('web'), await address('web', 'GlobalIPv6Address')];
  for (const [own, far] of [
    [ip4, OUTSIDE],
    [ip6, OUTSIDE6],
  ] as const) {
    const target = { protocol: 'tcp', address: own, port: 80 } as const;
    assert.deepEqual(await machine.ask(machine.namespaces.outside, [target]), [`web ${far} 80`]);
    assert.match((await machine.ask(await machine.containerPid('other'), [target])).join(), /^web /);
    assert.deepEqual(await machine.ask(machine.namespaces.machine, [target]), ['-']);
    const outward = { protocol: 'tcp', address: far, port: 7000 } as const;
    assert.deepEqual(await machine.ask(await machine.containerPid('web'), [outward]), [
      `outside ${own} 7000`,
    ]);
  }
  const names = await machine.dockerOk(
    ...['run', '--rm', '--network', 'lan', '--dns-search', '.', 'busybox', 'nslookup', '-type=A', 'web'],
  );
  assert.ok(names.includes(ip4), names);
});

test('it is there after the daemon died, and after it was connected and disconnected', async () => {
  await machine.stopDaemon('SIGKILL');
  await machine.startDaemon();
  assert.doesNotMatch(machine.log.slice(machine.log.lastIndexOf('daemon is ready')), /network reconciled/);
  const target = { protocol: 'tcp', address: await address('web'), port: 80 } as const;
  assert.deepEqual(await machine.ask(machine.namespaces.outside, [target]), [`web ${OUTSIDE} 80`]);
  await machine.dockerOk('run', '-d', '--name', 'both', '-p', '8080:80', 'busybox', 'sleep', '1000');
  await machine.dockerOk('network', 'connect', 'lan', 'both');
  assert.match(await machine.dockerOk('exec', 'both', 'ip', 'addr', 'show', 'eth1'), /198\.51\.100\./);
  await machine.dockerOk('network', 'disconnect', 'lan', 'both');
  assert.notEqual((await machine.docker('exec', 'both', 'ip', 'addr', 'show', 'eth1')).status, 0);
});

test('private containers do not see each other; an internal one has no way out', async () => {
  await machine.dockerOk(
    ...['network', 'create', '-d', 'macvlan', '-o', 'parent=up0', '-o', 'macvlan_mode=private', '--internal'],
    ...['--subnet', '10.70.0.0/24', 'alone'],
  );
  for (const name of ['one', 'two'])
    await machine.dockerOk('run', '-d', '--name', name, '--network', 'alone', 'busybox', 'sleep', '1000');
  await machine.serve(await machine.containerPid('one'), 'one', [{ protocol: 'tcp', port: 80 }]);
  assert.deepEqual(
    await machine.ask(await machine.containerPid('two'), [
      { protocol: 'tcp', address: '10.70.0.2', port: 80 },
    ]),
    ['-'],
  );
  assert.doesNotMatch(await machine.dockerOk('exec', 'one', 'ip', 'route'), /default/);
});

test('what cannot be is refused in words', async () => {
  const refused = async (words: RegExp, ...options: string[]): Promise<void> => {
    const result = await machine.docker('network', 'create', '-d', 'macvlan', ...options, 'bad');
    assert.notEqual(result.status, 0);
    assert.match(result.stderr, words);
  };
  await refused(/requested macvlan mode 'loud' is not valid/, '-o', 'parent=up0', '-o', 'macvlan_mode=loud');
  await refused(/parent interface eth77 is not on this host/, '-o', 'parent=eth77');
  await refused(/not implemented by Gangway yet/);
  await refused(/Pool overlaps/, '-o', 'parent=up0', '--subnet', '198.51.100.0/25');
});

test('removed, nothing of it is left', async () => {
  const ids = (await machine.dockerOk('ps', '-aq')).split('\n');
  await machine.dockerOk('rm', '-f', ...ids);
  await machine.dockerOk('network', 'rm', 'lan', 'alone');
  assert.equal((await machine.host(['ip', '-o', 'link', 'show', 'type', 'macvlan'])).stdout, '');
});
