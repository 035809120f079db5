import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readdirSync, writeFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { forget, touches } from '../../src/kernel/conntrack.ts';
import { KernelError } from '../../src/kernel/kernel.ts';
import { mount, unmount } from '../../src/kernel/mount.ts';
import { parseIp, parseIpv4 } from '../../src/model/address.ts';
import type { Resource } from '../../src/plan/resource.ts';
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

const nothingLeft = () => {
  assert.deepEqual(kernel.observe(), []);
  assert.deepEqual(readdirSync(netnsDirectory), []);
  assert.deepEqual(notes, []);
};
const bridgeOfVeth = () => {
  const found = kernel.observe().find((resource) => resource.kind === 'veth');
  return found?.kind === 'veth' ? found.bridge : undefined;
};
const sandbox = netns('s');
const publish: Resource = { kind: 'host-port', protocol: 'tcp', address: parseIpv4('0.0.0.0'), port: 6000 };
const base = [ruleset, bridge];
const endpoint = [sandbox, veth(2, sandbox), publish, element('pub_any', 'tcp . 6000', '10.88.0.2 . 80')];

after(() => kernel.close());

test('a bad element undoes everything of the call, newest first', () => {
  const changes = [...base, ...endpoint, element('nosuch', '1')].map(create);
  assert.throws(() => kernel.apply(changes), { errno: 'ENOENT' });
  nothingLeft();
});

test('a bad element is named', () => {
  kernel.apply(base.map(create));
  assert.throws(
    () => kernel.apply([...endpoint, element('nosuch', '1')].map(create)),
    (error) => error instanceof KernelError && error.errno === 'ENOENT' && error.message.includes('nosuch'),
  );
  const other = element('pub_any', 'tcp . 6000', '10.88.0.9 . 80');
  kernel.apply([create(other)]);
  assert.throws(() => kernel.apply(endpoint.map(create)), {
    errno: 'EEXIST',
    message: 'nft: File exists: tcp . 6000',
  });
  assert.deepEqual(kernel.tearDown(removeAll([...base, other])), []);
  nothingLeft();
});

test('a failure in the middle leaves what was there before the call', () => {
  kernel.apply(base.map(create));
  const elsewhere = { ...veth(3, sandbox), bridge: veth(9, sandbox).hostIfName };
  assert.throws(
    () => kernel.apply([...endpoint, elsewhere].map(create)),
    (error) => error instanceof KernelError && error.errno === 'ENODEV' && error.resource === elsewhere,
  );
  assert.deepEqual(
    kernel.observe().map((resource) => resource.kind),
    ['bridge', 'ruleset'],
  );
  assert.deepEqual(kernel.tearDown(removeAll(base)), []);
  nothingLeft();
});

test('a deletion is undone too', () => {
  kernel.apply([...base, ...endpoint].map(create));
  const before = kernel.observe();
  const changes = [...removeAll(endpoint), create(element('nosuch', '1')), create({ ...bridge, mtu: 1400 })];
  assert.throws(() => kernel.apply(changes));
  assert.deepEqual(new Set(kernel.observe()), new Set(before));
});

test('teardown goes on past what is broken and names it', () => {
  const bad = element('nosuch', '1', '10.88.0.2');
  const failures = kernel.tearDown([create(bad), ...removeAll(endpoint)]);
  assert.deepEqual(
    failures.map((failure) => failure.resource),
    [bad],
  );
  assert.deepEqual(kernel.tearDown(removeAll(base)), []);
  nothingLeft();
});

test('someone flushes the ruleset and deletes links: seen, torn down, made again', () => {
  kernel.apply([...base, ...endpoint].map(create));
  execFileSync('nft', ['flush', 'ruleset']);
  execFileSync('ip', ['link', 'set', 'vethtest2', 'nomaster']);
  const observed = kernel.observe();
  assert.ok(!observed.some((resource) => resource.kind === 'ruleset' || resource.kind === 'element'));
  const broken = observed.find((resource) => resource.kind === 'veth');
  assert.deepEqual(broken, { ...veth(2, sandbox), bridge: '' });
  kernel.apply([
    { op: 'replace', before: broken, resource: veth(2, sandbox) },
    create(ruleset),
    create(element('pub_any', 'tcp . 6000', '10.88.0.2 . 80')),
  ]);
  const kinds = kernel.observe().map((resource) => resource.kind);
  assert.deepEqual(kinds.toSorted(), ['bridge', 'element', 'host-port', 'netns', 'ruleset', 'veth']);
  execFileSync('bridge', ['link', 'set', 'dev', 'vethtest2', 'hairpin', 'off']);
  assert.equal(bridgeOfVeth(), '');
  kernel.apply([{ op: 'replace', before: veth(2, sandbox), resource: veth(2, sandbox) }]);
  assert.equal(bridgeOfVeth(), 'gwtest0');
  execFileSync('ip', ['link', 'delete', 'vethtest2']);
  execFileSync('nft', ['flush', 'ruleset']);
  assert.deepEqual(kernel.tearDown(removeAll([...base, ...endpoint])), []);
  nothingLeft();
});

test('deleting an element that is gone leaves the others of the call done', () => {
  kernel.apply(
    [...base, element('pub_any', 'tcp . 1', '10.88.0.2 . 1'), element('bridges', '"x"')].map(create),
  );
  kernel.apply([
    remove(element('pub_any', 'tcp . 1', '10.88.0.2 . 1')),
    remove(element('pub_any', 'tcp . 2', '10.88.0.2 . 2')),
    create(element('pub_any', 'tcp . 3', '10.88.0.2 . 3')),
  ]);
  assert.deepEqual(
    kernel.observe().filter((resource) => resource.kind === 'element'),
    [element('pub_any', 'tcp . 3', '10.88.0.2 . 3'), element('bridges', '"x"')],
  );
  assert.deepEqual(kernel.tearDown(removeAll(base)), []);
  nothingLeft();
});

test('a namespace file of before a reboot is taken over; a living one is refused', () => {
  writeFileSync(sandbox.path, '');
  assert.deepEqual(kernel.observe(), []);
  kernel.apply([create(sandbox)]);
  assert.throws(() => kernel.apply([create(sandbox)]), { errno: 'EEXIST' });
  assert.deepEqual(kernel.observe(), [sandbox]);
  kernel.apply([remove(sandbox)]);
  nothingLeft();
});

test('a namespace can be made and removed on a shared mount, while a file of it is open', () => {
  const shared = netns('shared').path;
  const kept = { kind: 'netns', path: `${shared}/k` as typeof shared } as const;
  kernel.apply([]);
  execFileSync('mkdir', [shared]);
  mount('tmpfs', shared, 'tmpfs', 0, ['size=1m', 'shared']);
  kernel.apply([create(kept)]);
  const fd = openSync(kept.path, 'r');
  kernel.apply([remove(kept)]);
  closeSync(fd);
  assert.ok(!existsSync(kept.path));
  unmount(shared);
  execFileSync('rmdir', [shared]);
});

test('connections of an address that is gone are forgotten, and only those', async () => {
  kernel.apply(
    [...base, ...endpoint, veth(3, sandbox)]
      .filter((r) => r.kind !== 'veth' || r.hostIfName === 'vethtest2')
      .map(create),
  );
  kernel.enableForwarding('ipv4');
  const server = await serve(sandbox.path, '0.0.0.0', 80);
  assert.equal(await call(host, '10.88.0.1', 6000), '10.88.0.1');
  const other = await serve(host, '127.0.0.1', 81);
  assert.equal(await call(host, '127.0.0.1', 81), '127.0.0.1');
  other.close();
  assert.equal(await forget([touches(parseIp('10.88.0.77'))]), 0);
  assert.ok((await forget([touches(parseIp('10.88.0.2'))])) > 0);
  assert.equal(await forget([touches(parseIp('10.88.0.2'))]), 0);
  assert.ok((await forget([touches(parseIp('127.0.0.1'))])) > 0);
  kernel.forgetConnections(parseIp('10.88.0.2'));
  kernel.forgetPublished('udp', { first: 6000, last: 6000 }, parseIp('10.88.0.2'));
  server.close();
  assert.deepEqual(kernel.tearDown(removeAll([...base, ...endpoint])), []);
  nothingLeft();
});
