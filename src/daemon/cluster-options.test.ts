import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clusterConfig } from './cluster-options.ts';

const advertised = (text: string): string | undefined =>
  clusterConfig('etcd://127.0.0.1:2379', text, {})?.advertise;

test('a port behind what is advertised is left out; a bare IPv6 address has none', () => {
  assert.equal(advertised('eth0'), 'eth0');
  assert.equal(advertised('eth0:2376'), 'eth0');
  assert.equal(advertised('192.0.2.1:2376'), '192.0.2.1');
  assert.equal(advertised('2001:db8::1'), '2001:db8::1');
  assert.equal(advertised('[2001:db8::1]:2376'), '2001:db8::1');
  assert.equal(advertised('[2001:db8::1]'), '2001:db8::1');
});

test('members and prefix; what is wrong is named with what would be right', () => {
  const store = (text: string) => clusterConfig(text, 'eth0', {})?.store;
  assert.deepEqual(store('etcd://a:2379,[2001:db8::1]:2379/my/place/'), {
    hosts: ['a:2379', '[2001:db8::1]:2379'],
    prefix: 'my/place',
  });
  for (const wrong of ['etcd://', 'etcd://a', 'http://a:2379', 'etcd://a:2379,b', 'a:2379']) {
    assert.throws(() => store(wrong), /it should be etcd:\/\/HOST:PORT\[,HOST:PORT\]\[\/prefix\]/, wrong);
  }
});
