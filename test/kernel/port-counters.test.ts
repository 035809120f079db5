import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rulesetResource } from '../../src/plan/nft-text.ts';
import type { Resource } from '../../src/plan/resource.ts';
import { ruleset } from '../../src/plan/ruleset.ts';
import { bridge, create, kernel, removeAll } from './stage.ts';

const element = (table: 'ip' | 'ip6', set: string, key: string, value: string): Resource => ({
  kind: 'element',
  table,
  set,
  key,
  value,
});
const wanted: readonly Resource[] = [
  rulesetResource(ruleset('ip'), false),
  rulesetResource(ruleset('ip6'), false),
  bridge,
  element('ip', 'pub_any', 'tcp . 8080', '10.88.0.7 . 80'),
  element('ip', 'pub_any', 'sctp . 8081', '10.88.0.7 . 81'),
  element('ip', 'pub_addr', '192.0.2.1 . udp . 53', '10.88.0.7 . 53'),
  element('ip6', 'pub_addr', '2001:db8::1 . tcp . 443', 'fd00::7 . 443'),
];

test('published ports are told with their counters, by protocol, address and port', () => {
  assert.equal(kernel.publishedConnections().size, 0, 'without our tables there is none');
  kernel.apply(wanted.map(create));
  assert.deepEqual(Object.fromEntries(kernel.publishedConnections()), {
    'tcp 0.0.0.0 8080': 0,
    'sctp 0.0.0.0 8081': 0,
    'udp 192.0.2.1 53': 0,
    'tcp 2001:db8::1 443': 0,
  });
  assert.deepEqual(kernel.tearDown(removeAll(wanted)), []);
});
