import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { pino } from 'pino';
import { loadConfig } from '../../src/daemon/configuration.ts';
import type { NetworkConfig } from '../../src/engine/config.ts';
import { EventBus } from '../../src/engine/events.ts';
import { Networks } from '../../src/engine/network/networks.ts';
import { Store } from '../../src/engine/store.ts';
import { EngineError } from '../../src/model/errors.ts';
import type { Endpoint } from '../../src/model/network.ts';
import { diff } from '../../src/plan/diff.ts';
import { TABLE_NAME } from '../../src/plan/nft-text.ts';
import { call, create, host, kernel, netns, netnsDirectory, serve } from './stage.ts';

/** The host on its LAN, and somebody else there. */
const HOST = '198.51.100.1';
const CLIENT = '198.51.100.9';
const BRIDGE_NETFILTER = '/proc/sys/net/bridge/bridge-nf-call-iptables';
const outside = { ...netns('x'), path: join(dirname(netnsDirectory), 'outside') as never };
kernel.apply([create(outside)]);
const ip = (words: string): void => void execFileSync('ip', words.split(' '));
const ipOutside = (words: string): void =>
  void execFileSync('nsenter', [`--net=${outside.path}`, 'ip', ...words.split(' ')]);
ip('link add lan0 type veth peer name lan1');
ip(`link set lan1 netns ${outside.path}`);
ip(`addr add ${HOST}/24 dev lan0`);
ip('addr add 198.51.100.2/24 dev lan0');
ip('link set lan0 up');
ipOutside(`addr add ${CLIENT}/24 dev lan1`);
ipOutside('link set lan1 up');
// An outsider who knows where the containers are.
ipOutside(`route add 172.16.0.0/12 via ${HOST}`);

const store = new Store(':memory:');
const configuration = loadConfig({});
const start = (network: Partial<NetworkConfig> = {}): Networks =>
  new Networks({
    config: {
      ...configuration,
      execRoot: dirname(netnsDirectory),
      network: { ...configuration.network, ...network },
    },
    log: pino({ level: 'silent' }),
    store,
    events: new EventBus(),
    kernel,
  });
let networks = start();
networks.reconcile(() => true);

type Bindings = Parameters<Networks['attach']>[0]['portBindings'];
const run = (name: string, network: string, portBindings: Bindings = {}): Endpoint => {
  networks.openSandbox(name);
  return networks.attach({
    containerId: name,
    containerName: name,
    hostname: name,
    domainname: '',
    network: networks.resolve(network),
    settings: {},
    portBindings,
    exposedPorts: [],
    publishAll: false,
  });
};
const inside = (name: string) => networks.sandboxPath(name);
const fails = (words: RegExp | string) => (error: unknown) =>
  error instanceof EngineError &&
  (typeof words === 'string' ? error.message === words : words.test(error.message));

networks.create({ Name: 'other' });
networks.create({ Name: 'quiet', Options: { 'com.docker.network.bridge.enable_icc': 'false' } });
networks.create({ Name: 'vault', Internal: true });
networks.create({ Name: 'chosen', Options: { 'com.docker.network.host_ipv4': '198.51.100.2' } });
const web = run('web', 'bridge', {
  '80/tcp': [{ HostPort: '8080' }, { HostIp: '198.51.100.2', HostPort: '8081' }],
  '81/tcp': [{ HostIp: '127.0.0.1', HostPort: '8082' }],
});
const sibling = run('sibling', 'bridge');
const stranger = run('stranger', 'other', { '80/tcp': [{ HostPort: '9090' }] });
run('q1', 'quiet', { '80/tcp': [{ HostPort: '7070' }] });
const q2 = run('q2', 'quiet');
const v1 = run('v1', 'vault');
run('v2', 'vault');
run('c1', 'chosen');
const address = (endpoint: Endpoint): string => endpoint.ipv4?.address ?? '';
const servers = await Promise.all([
  serve(inside('web'), '0.0.0.0', 80),
  serve(inside('web'), '0.0.0.0', 81),
  serve(inside('stranger'), '0.0.0.0', 80),
  serve(inside('q1'), '0.0.0.0', 80),
  serve(inside('q2'), '0.0.0.0', 80),
  serve(inside('v1'), '0.0.0.0', 80),
  serve(outside.path, '0.0.0.0', 80),
]);
after(() => {
  for (const server of servers) server.close();
  for (const name of ['web', 'sibling', 'stranger', 'q1', 'q2', 'v1', 'v2', 'c1'])
    networks.closeSandbox(name);
  for (const name of ['other', 'quiet', 'vault', 'chosen']) networks.remove(name);
  assert.deepEqual(
    kernel
      .observe()
      .map(({ kind }) => kind)
      .filter((kind) => kind !== 'element')
      .toSorted(),
    ['bridge', 'ruleset', 'ruleset', 'ruleset'],
    'nothing is left but docker0 and the rules',
  );
  kernel.close();
});

for (const bridgeNetfilter of ['1', '0']) {
  const from = (what: string): string => `${what} (bridge-nf-call-iptables=${bridgeNetfilter})`;
  const reach = async (place: Parameters<typeof call>[0], to: string, port: number): Promise<string> => {
    if (readFileSync(BRIDGE_NETFILTER, 'utf8').trim() !== bridgeNetfilter) {
      writeFileSync(BRIDGE_NETFILTER, bridgeNetfilter);
      networks = start();
      networks.reconcile(() => true);
    }
    return call(place, to, port).catch((error: Error) => `no: ${error.message}`);
  };

  test(
    from('a published port: from outside with the source kept, and only where it is published'),
    async () => {
      assert.equal(await reach(outside.path, HOST, 8080), CLIENT);
      assert.equal(await reach(outside.path, '198.51.100.2', 8080), CLIENT);
      assert.equal(await reach(outside.path, '198.51.100.2', 8081), CLIENT);
      assert.match(await reach(outside.path, HOST, 8081), /^no/);
      assert.match(await reach(outside.path, HOST, 8082), /^no/);
    },
  );

  test(from('a published port: from the host by every address of its own'), async () => {
    assert.equal(await reach(host, '127.0.0.1', 8080), '172.17.0.1');
    assert.equal(await reach(host, '127.0.0.1', 8082), '172.17.0.1');
    assert.notEqual(await reach(host, HOST, 8080), 'no: timeout');
    assert.notEqual(await reach(host, '172.17.0.1', 8080), 'no: timeout');
  });

  test(from('a published port: from its container, a sibling, and another network'), async () => {
    assert.equal(await reach(inside('web'), HOST, 8080), '172.17.0.1');
    assert.equal(await reach(inside('sibling'), HOST, 8080), '172.17.0.1');
    // Docker's rule: whatever leaves a subnet by another way than its own bridge, other networks among them.
    assert.equal(await reach(inside('stranger'), HOST, 8080), '172.17.0.1');
    assert.equal(await reach(inside('web'), HOST, 9090), '172.18.0.1');
    assert.equal(await reach(inside('q2'), HOST, 7070).then((seen) => seen.startsWith('172.')), true);
  });

  test(from('what is not published is not reached, from outside nor from another network'), async () => {
    assert.match(await reach(outside.path, address(web), 80), /^no/);
    assert.match(await reach(outside.path, address(web), 8080), /^no/);
    assert.match(await reach(inside('stranger'), address(web), 80), /^no/);
    assert.match(await reach(inside('web'), address(stranger), 80), /^no/);
  });

  test(from('containers of one network see each other, where icc lets them'), async () => {
    assert.equal(await reach(inside('sibling'), address(web), 80), address(sibling));
    assert.equal(await reach(inside('v2'), address(v1), 80), '172.20.0.3');
    assert.match(await reach(inside('q1'), address(q2), 80), /^no/);
    assert.match(await reach(host, address(q2), 80), /^172/);
  });

  test(from('on the way out: masqueraded, to a chosen address, or not at all'), async () => {
    assert.equal(await reach(inside('web'), CLIENT, 80), HOST);
    assert.equal(await reach(inside('c1'), CLIENT, 80), '198.51.100.2');
    assert.match(await reach(inside('v1'), CLIENT, 80), /^no/);
  });
}

test('on two networks: the ports stay published when the one with the default route is left', async () => {
  run('both', 'other', { '80/tcp': [{ HostPort: '5050' }] });
  run('both', 'bridge', { '80/tcp': [{ HostPort: '5050' }] });
  const server = await serve(inside('both'), '0.0.0.0', 80);
  for (const left of ['bridge', 'other']) {
    assert.equal(await call(outside.path, HOST, 5050), CLIENT, `before leaving ${left}`);
    assert.equal(await call(inside('both'), CLIENT, 80), HOST);
    networks.detach('both', networks.resolve(left).id);
  }
  await assert.rejects(call(outside.path, HOST, 5050));
  server.close();
  networks.closeSandbox('both');
});

test('a restart changes nothing in the kernel', () => {
  const before = kernel.observe();
  networks = start();
  networks.reconcile(() => true);
  assert.deepEqual(diff(kernel.observe(), before), []);
  assert.equal(networks.endpoints('web')[0]?.ipv4?.address, address(web));
});

test('what others destroyed, and what a crash left behind, is put right', async () => {
  ip('link del docker0');
  execFileSync('nft', ['delete', 'table', 'ip', TABLE_NAME]);
  assert.notEqual(await call(outside.path, HOST, 8080).catch(() => 'no'), CLIENT);
  // In the store, not yet in the kernel; and in the kernel, not in the store.
  store.collection<object>('sandboxes').put('f'.repeat(64), {
    id: 'f'.repeat(64),
    containerId: 'promised',
    path: join(netnsDirectory, 'promised'),
  });
  kernel.apply([create(netns('stray'))]);
  networks = start();
  networks.reconcile(() => true);
  const kinds = kernel.observe().filter((resource) => resource.kind === 'netns');
  assert.ok(kinds.some((resource) => resource.path.endsWith('/promised')));
  assert.ok(!kinds.some((resource) => resource.path.endsWith('/stray')));
  assert.equal(await call(outside.path, HOST, 8080), CLIENT);
  networks.closeSandbox('promised');
});

test('endpoints of containers that died with the daemon are dropped', () => {
  run('mortal', 'bridge', { '80/tcp': [{ HostPort: '6060' }] });
  networks = start();
  networks.reconcile((id) => id !== 'mortal');
  assert.equal(networks.sandboxPath('mortal'), undefined);
  assert.deepEqual(networks.endpoints('mortal'), []);
  run('heir', 'bridge', { '80/tcp': [{ HostPort: '6060' }] });
  networks.closeSandbox('heir');
});

test('a refused endpoint leaves nothing: its port is taken by us, or by somebody else', async () => {
  networks.openSandbox('late');
  const before = kernel.observe();
  assert.throws(
    () => run('late', 'bridge', { '80/tcp': [{ HostPort: '6000' }, { HostPort: '8080' }] }),
    fails(/Bind for 0\.0\.0\.0:8080 failed: port is already allocated$/),
  );
  const foreign = await serve(host, '0.0.0.0', 6001);
  assert.throws(
    () => run('late', 'bridge', { '80/tcp': [{ HostPort: '6000' }, { HostPort: '6001' }] }),
    fails(/failed to bind host port .*6001.*: address already in use$/),
  );
  assert.deepEqual(diff(before, kernel.observe()), []);
  assert.deepEqual(networks.endpoints('late'), []);
  foreign.close();
  run('late', 'bridge', { '80/tcp': [{ HostPort: '6000' }] });
  networks.closeSandbox('late');
});
