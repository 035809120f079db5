import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { bridge, create, element, kernel, remove, ruleset } from './stage.ts';

after(() => kernel.close());

test('a host without a network has the loopback and the default MTU', () => {
  const facts = kernel.host();
  assert.deepEqual(facts.localAddresses, ['127.0.0.1', '::1']);
  assert.equal(facts.uplinkMtu, 1500);
  const [first, last] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8')
    .split(/\s+/)
    .map(Number);
  assert.deepEqual(facts.ephemeralPorts, { first, last });
});

test('addresses and on-link routes are used prefixes, ours and routes by a gateway are not', () => {
  const ip = (line: string) => execFileSync('ip', line.split(' '));
  ip('link add up0 type veth peer name up1');
  ip('link set up0 mtu 1400 up');
  ip('link set up1 up');
  ip('address add 192.0.2.7/24 dev up0');
  ip('address add 2001:db8::7/64 dev up0 nodad');
  ip('route add 198.51.100.0/24 dev up0');
  ip('route add 203.0.113.0/24 via 192.0.2.1');
  ip('route add default via 192.0.2.1');
  kernel.apply([create(bridge)]);
  const facts = kernel.host();
  const used = facts.usedPrefixes.map((prefix) => `${prefix.address}/${prefix.length}`);
  assert.deepEqual(used.toSorted(), [
    '127.0.0.1/8',
    '192.0.2.7/24',
    '198.51.100.0/24',
    '2001:db8::7/64',
    '::1/128',
  ]);
  assert.deepEqual(facts.localAddresses.toSorted(), [
    '10.88.0.1',
    '127.0.0.1',
    '192.0.2.7',
    '2001:db8::7',
    '::1',
  ]);
  assert.equal(facts.uplinkMtu, 1400);
  kernel.apply([remove(bridge)]);
  ip('link delete up0');
});

test('a link without our mark is not observed', () => {
  execFileSync('ip', ['link', 'add', 'theirs0', 'type', 'bridge']);
  assert.deepEqual(kernel.observe(), []);
  execFileSync('ip', ['link', 'delete', 'theirs0']);
});

test('forwarding is switched on', () => {
  kernel.enableForwarding('ipv4');
  assert.equal(readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8').trim(), '1');
});

test('elements of every type we use are listed as they were written', () => {
  const text = `table ip gangway {
    set taken_nd { typeof @th,64,128; }
    set holds_nd { typeof iifname . @th,64,128; }
    set subnets { type ipv4_addr; flags interval; }
    set pairs { type ifname . ifname; }
    map addresses { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }
    map sources { type ipv4_addr : ipv4_addr; flags interval; }
    map verdicts { type ifname : verdict; }
    chain target { }
  }`;
  const elements = [
    element('subnets', '10.9.0.0/24'),
    element('subnets', '10.9.1.0/24'),
    element('subnets', '10.9.9.9'),
    element('subnets', '10.10.0.0/16'),
    element('taken_nd', '0xfd000000000000000000000000000001'),
    element('holds_nd', '"veth1" . 0xfd000000000000000000000000000001'),
    element('pairs', '"br-0123456789ab" . "docker0"'),
    element('addresses', '127.0.0.1 . tcp . 9500', '10.9.1.2 . 80'),
    element('addresses', '192.0.2.1 . sctp . 443', '10.9.1.2 . 65535'),
    element('sources', '10.9.0.0/24', '192.0.2.1'),
    element('verdicts', '"docker0"', 'jump target'),
    element('verdicts', '"br-1"', 'drop'),
  ];
  kernel.apply([{ ...ruleset, text }, ...elements].map(create));
  const observed = kernel.observe().filter((resource) => resource.kind === 'element');
  const sorted = (list: readonly unknown[]) => list.map((one) => JSON.stringify(one)).toSorted();
  assert.deepEqual(sorted(observed), sorted(elements));
  kernel.apply([remove({ ...ruleset, text })]);
  assert.deepEqual(kernel.observe(), []);
});
