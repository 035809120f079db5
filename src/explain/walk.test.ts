import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Ip } from '../model/address.ts';
import { client, way, web } from './example-way.ts';
import type { ExampleOptions } from './example-world.ts';

for (const bridgeFirewall of [true, false]) {
  const on = { bridgeFirewall };
  test(`containers of one network, of two, of an internal one (bridge firewall ${bridgeFirewall})`, () => {
    assert.equal(way('client', '10.1.0.2:80', on), 'answered');
    assert.equal(way('client', '[fd01::2]:80', on), 'answered');
    assert.equal(way('client', '10.1.0.2:81', on), 'nothing-listens');
    assert.equal(way('client', '10.1.0.9:80', on), 'nobody');
    assert.equal(way('two', '10.1.0.2:80', on), 'direct-access');
    assert.equal(way('two', '10.2.0.2:80', on), bridgeFirewall ? 'isolation' : 'isolated-ports');
    assert.equal(way('safe', '10.1.0.2:80', on), 'no-route');
    assert.equal(way('client', '10.3.0.2:80', on), 'direct-access');
  });

  test(`published ports, with what they are translated to (bridge firewall ${bridgeFirewall})`, () => {
    assert.equal(way('outside', '198.51.100.1:8080', on), '10.1.0.2:80 answered');
    assert.equal(way('outside', '198.51.100.1:7070', on), 'nothing-listens');
    assert.equal(way('outside', '10.1.0.2:80', on), 'direct-access');
    assert.equal(way('host', '127.0.0.1:8080', on), '10.1.0.2:80 10.1.0.1 answered');
    assert.equal(way('host', '127.0.0.1:7070', on), '10.1.0.2:80 10.1.0.1 answered');
    assert.equal(way('host', '10.1.0.2:80', on), 'answered');
    assert.equal(
      way('two', '198.51.100.1:8080', on),
      '10.1.0.2:80 10.1.0.1 answered',
      'other networks, masqueraded',
    );
    assert.equal(way('web', '198.51.100.1:8080', on), '10.1.0.2:80 10.1.0.1 answered', 'hairpin');
    assert.equal(way('client', '198.51.100.1:8080', on), '10.1.0.2:80 10.1.0.1 answered', 'a neighbour');
  });
}

test('the way out: masqueraded, and out of sight', () => {
  assert.equal(way('web', '203.0.113.1:443'), '198.51.100.1 left');
  assert.equal(way('web', '198.51.100.2:443'), '198.51.100.1 left');
  assert.equal(way('safe', '203.0.113.1:443'), 'no-route');
  assert.equal(way('web', '203.0.113.1:0/icmp'), '198.51.100.1 left');
});

test('rules of others: before and after ours, for the first packet and for the answer, with what cannot be told', () => {
  const chain = (hook: string, priority: number, ...rules: readonly string[]): ExampleOptions => ({
    firewall: [
      `table inet fw { # handle 1\n chain c { # handle 1\n type filter hook ${hook} priority ${priority}; policy accept;\n ${rules
        .map((rule, i) => `${rule} # handle ${i + 2}`)
        .join('\n')}\n}\n}`,
    ],
  });
  const published = (options: ExampleOptions): string => way('outside', '198.51.100.1:8080', options);
  assert.equal(published(chain('forward', 0, 'tcp dport 80 drop')), '10.1.0.2:80 inet fw c handle 2');
  assert.equal(
    published(chain('forward', 10, 'ct state established drop')),
    '10.1.0.2:80 back inet fw c handle 2',
  );
  assert.equal(published(chain('prerouting', -300, 'tcp dport 8080 drop')), 'inet fw c handle 2');
  assert.equal(
    published(chain('prerouting', 0, 'tcp dport 8080 drop')),
    '10.1.0.2:80 answered ?',
    "after NAT it is port 80; the asker's own, that the answer goes to, may be any",
  );
  assert.equal(
    published(chain('forward', 0, 'ct status dnat accept', 'drop')),
    '10.1.0.2:80 answered',
    'the status is the connection’s',
  );
  assert.equal(published(chain('forward', 0, 'xt match physdev drop')), '10.1.0.2:80 answered ?');
  const members = [{ ...web, firewall: chain('input', 0, 'tcp dport 80 reject').firewall ?? [] }, client];
  assert.equal(way('client', '10.1.0.2:80', { members }), 'inet fw c handle 2');
});

test('rules of iptables-legacy stand beside those of nft, and policy rules choose the way', () => {
  const legacy = (table: string, ...rules: readonly string[]): ExampleOptions => {
    const chains = [...new Set(rules.map((rule) => rule.split(' ')[0]))].map(
      (name) => `:${name} ACCEPT [0:0]`,
    );
    const listing = [`*${table}`, ...chains, ...rules.map((rule) => `-A ${rule}`), 'COMMIT', ''].join('\n');
    return { legacy: [{ family: 'ipv4', tables: [table], listing }] };
  };
  const published = (options: ExampleOptions): string => way('outside', '198.51.100.1:8080', options);
  assert.equal(
    published(legacy('filter', 'FORWARD -o br-front -p tcp -m tcp --dport 80 -j DROP')),
    '10.1.0.2:80 iptables-legacy filter FORWARD rule 1',
  );
  assert.equal(
    published(legacy('raw', 'PREROUTING -i up0 -p tcp -m tcp --dport 8080 -j DROP')),
    'iptables-legacy raw PREROUTING rule 1',
  );
  assert.equal(
    published(legacy('raw', 'PREROUTING -i up0 -p tcp -j CT --notrack')),
    'untracked',
    'untracked, nothing is translated',
  );
  assert.equal(
    published(legacy('nat', 'PREROUTING -i up0 -p tcp -m tcp --dport 8080 -j REDIRECT --to-ports 9')),
    '10.1.0.2:80 answered ?',
    'which of the two translates cannot be told',
  );
  assert.equal(
    published(legacy('nat', 'PREROUTING -i up0 -p tcp -m tcp --dport 8081 -j REDIRECT --to-ports 9')),
    '10.1.0.2:80 answered',
  );
  const marked = legacy('mangle', 'PREROUTING -i up0 -p tcp -j MARK --set-xmark 0x7/0xffffffff');
  const usual = { family: 'ipv4', priority: 9, not: false, others: [] } as const;
  const prohibit = { ...usual, action: { kind: 'refusing', how: 'prohibit' } } as const;
  const rules = [{ ...prohibit, mark: { value: 7, mask: 0xff } }];
  assert.equal(published({ ...marked, rules }), '10.1.0.2:80 no-route');
  assert.equal(published({ rules }), '10.1.0.2:80 answered');
  const output = legacy('mangle', 'OUTPUT -p tcp -j MARK --set-xmark 0x7/0xffffffff');
  assert.equal(
    way('host', '203.0.113.1:443', { ...output, rules }),
    'no-route',
    'the way is looked for anew',
  );
  const later = legacy('filter', 'OUTPUT -p tcp -j MARK --set-xmark 0x7/0xffffffff');
  assert.equal(way('host', '203.0.113.1:443', { ...later, rules }), 'left');
  const from = { ...prohibit, from: { address: '10.1.0.2' as Ip, length: 32 } };
  assert.equal(published({ rules: [from] }), '10.1.0.2:80 back no-route');
  assert.equal(way('web', '203.0.113.1:443', { rules: [from] }), 'no-route');
  assert.equal(way('client', '10.1.0.2:80', { rules: [from] }), 'answered', 'a bridge asks no rule');
  const own = { ...prohibit, from: { address: '198.51.100.1' as Ip, length: 32 } };
  assert.equal(way('host', '203.0.113.1:443', { rules: [own] }), 'no-route', 'asked again with the source');
  assert.equal(way('host', '203.0.113.1:0/icmp', { rules: [own] }), 'left');
});

test('settings of the kernel', () => {
  const published = (settings: NonNullable<ExampleOptions['settings']>): string =>
    way('outside', '198.51.100.1:8080', { settings });
  assert.equal(published({ forwarding: { ipv4: false, ipv6: true } }), '10.1.0.2:80 forwarding-off');
  assert.equal(published({ connections: { count: 1000, most: 1000 } }), 'conntrack-full');
  assert.equal(published({ rpFilter: { up0: 1 } }), '10.1.0.2:80 answered', 'the way back is the same');
  assert.equal(way('host', '[::1]:8080', {}), 'nothing-listens', 'published on IPv4 alone');
});
