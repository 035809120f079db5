import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { parseIpv4 } from '../../src/model/address.ts';
import { type Resource, resourceKey } from '../../src/plan/resource.ts';
import {
  bridge,
  call,
  create,
  element,
  host,
  kernel,
  netns,
  netnsDirectory,
  notes,
  remove,
  removeAll,
  ruleset,
  serve,
  veth,
} from './stage.ts';

const a = netns('a');
const b = netns('b');
const all: readonly Resource[] = [
  ruleset,
  bridge,
  a,
  veth(2, a),
  b,
  veth(3, b),
  { kind: 'host-port', protocol: 'tcp', address: parseIpv4('0.0.0.0'), port: 8080 },
  element('bridges', '"gwtest0"'),
  element('hairpin', '10.88.0.0/24 . "gwtest0"'),
  element('pub_any', 'tcp . 8080', '10.88.0.2 . 80'),
  element('pub_same', 'tcp . 7000-7050', '10.88.0.2'),
];
const byKey = (resources: readonly Resource[]) =>
  Object.fromEntries(resources.map((resource) => [resourceKey(resource), resource]));
const withoutText = (resources: readonly Resource[]) =>
  byKey(resources.map((resource) => (resource.kind === 'ruleset' ? { ...resource, text: '' } : resource)));

kernel.enableForwarding('ipv4');
kernel.apply(all.map(create));
const server = await serve(a.path, '0.0.0.0', 80);
after(() => {
  server.close();
  kernel.close();
});

test('what was applied is what is observed', () => {
  assert.deepEqual(withoutText(kernel.observe()), withoutText(all));
});

test('endpoints of a bridge reach each other and the host, by their own addresses', async () => {
  assert.equal(await call(b.path, '10.88.0.2', 80, 3000), '10.88.0.3');
  assert.equal(await call(host, '10.88.0.2', 80), '10.88.0.1');
});

test('a published port is reached from the host by its address and by 127.0.0.1', async () => {
  assert.equal(await call(host, '10.88.0.1', 8080), '10.88.0.1');
  assert.equal(await call(host, '127.0.0.1', 8080), '10.88.0.1');
});

test('a published port is reached from a sibling and from the container itself (hairpin)', async () => {
  assert.equal(await call(b.path, '10.88.0.1', 8080), '10.88.0.1');
  assert.equal(await call(a.path, '10.88.0.1', 8080), '10.88.0.1');
});

test('a port of a range to the same ports arrives at its own number', async () => {
  const inner = await serve(a.path, '0.0.0.0', 7003);
  assert.equal(await call(b.path, '10.88.0.1', 7003), '10.88.0.1');
  inner.close();
});

test('the inner link has no IPv6, the outer neither, lo is up', () => {
  const inner = kernel.inNetns(a.path, () => readFileSync('/proc/thread-self/net/if_inet6', 'utf8'));
  assert.match(inner, /^0{31}1 .* lo\n$/);
  assert.ok(!readFileSync('/proc/thread-self/net/if_inet6', 'utf8').includes('vethtest'));
});

test('a namespace is left whatever the body does', () => {
  const before = readdirSync('/sys/class/net');
  assert.throws(
    () =>
      kernel.inNetns(a.path, () => {
        throw new RangeError('body');
      }),
    RangeError,
  );
  assert.deepEqual(kernel.host().localAddresses.toSorted(), ['10.88.0.1', '127.0.0.1', '::1']);
  assert.deepEqual(readdirSync('/sys/class/net'), before);
});

test('a ruleset is replaced without losing an element, in one transaction', async () => {
  const newer = { ...ruleset, version: 'a2', text: ruleset.text.replace('counter; ', '') };
  kernel.apply([{ op: 'replace', before: ruleset, resource: newer }]);
  assert.equal(await call(host, '127.0.0.1', 8080), '10.88.0.1');
  const observed = withoutText(kernel.observe());
  assert.deepEqual(observed, { ...withoutText(all), 'ruleset ip': { ...newer, text: '' } });
  kernel.apply([{ op: 'replace', before: newer, resource: ruleset }]);
});

test('the observed text of a ruleset can be put in again', () => {
  const observed = kernel.observe().find((resource) => resource.kind === 'ruleset');
  assert.ok(observed?.kind === 'ruleset');
  assert.doesNotMatch(observed.text, /version_|elements/);
  kernel.apply([{ op: 'replace', before: ruleset, resource: observed }]);
  assert.deepEqual(withoutText(kernel.observe()), withoutText(all));
});

test('a changed element is one transaction, and a connection goes to the new place', async () => {
  const before = element('pub_any', 'tcp . 8080', '10.88.0.2 . 80');
  const resource = element('pub_any', 'tcp . 8080', '10.88.0.3 . 81');
  const other = await serve(b.path, '0.0.0.0', 81);
  kernel.apply([{ op: 'replace', before, resource }]);
  assert.equal(await call(host, '10.88.0.1', 8080), '10.88.0.1');
  other.close();
  kernel.apply([{ op: 'replace', before: resource, resource: before }]);
  assert.deepEqual(withoutText(kernel.observe()), withoutText(all));
});

test('bridge and veth are changed in place', () => {
  const bridge1400 = {
    ...bridge,
    mtu: 1400,
    addresses: [...bridge.addresses, { address: parseIpv4('10.88.1.1'), length: 24 }],
  };
  const veth1400 = { ...veth(3, b), mtu: 1400, gateway: parseIpv4('10.88.0.254') };
  kernel.apply([
    { op: 'replace', before: bridge, resource: bridge1400 },
    { op: 'replace', before: veth(3, b), resource: veth1400 },
  ]);
  const observed = byKey(kernel.observe());
  assert.deepEqual(observed[resourceKey(bridge1400)], bridge1400);
  assert.deepEqual(observed[resourceKey(veth1400)], veth1400);
  kernel.apply([
    { op: 'replace', before: veth1400, resource: veth(3, b) },
    { op: 'replace', before: bridge1400, resource: bridge },
  ]);
  assert.deepEqual(withoutText(kernel.observe()), withoutText(all));
});

test('a foreign bridge is told by address and MTU, an absent one not at all', () => {
  assert.deepEqual(kernel.foreignBridge(bridge.ifName), { addresses: bridge.addresses, mtu: 1500 });
  assert.equal(kernel.foreignBridge(veth(2, a).hostIfName), undefined);
  assert.equal(kernel.foreignBridge('nosuch' as typeof bridge.ifName), undefined);
});

test('a second veth of the same name is refused and harms neither', () => {
  assert.throws(() => kernel.apply([create(veth(2, b))]), { errno: 'EEXIST' });
  assert.deepEqual(withoutText(kernel.observe()), withoutText(all));
});

test('teardown takes everything, again is success, and nothing is left', () => {
  assert.deepEqual(kernel.tearDown([remove(veth(3, b))]), []);
  assert.deepEqual(kernel.tearDown(removeAll(all)), []);
  assert.deepEqual(kernel.tearDown(removeAll(all)), []);
  assert.deepEqual(kernel.observe(), []);
  assert.deepEqual(readdirSync(netnsDirectory), []);
  assert.deepEqual(
    readdirSync('/sys/class/net').filter((name) => name.startsWith('vethtest') || name === 'gwtest0'),
    [],
  );
  assert.deepEqual(
    notes.filter((note) => note.includes('undo')),
    [],
  );
});
