import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Ip, NetnsPath } from '../model/address.ts';
import { healthAddress, planHealth } from './health.ts';
import { resourceKey } from './resource.ts';
import type { TableFamily } from './rule.ts';

const node = (id: string) => ({ id, name: id, address: '192.0.2.9' as Ip });

test('every host of a large cluster has an address of its own, in 240.0.0.0/4', () => {
  const all = Array.from({ length: 1000 }, (_, i) => healthAddress(`host-${i}`));
  assert.equal(new Set(all).size, 1000);
  assert.ok(all.every((address) => Number(address.split('.')[0]) >= 240 && address !== '255.255.255.255'));
});

test('three links and a namespace, and two entries for each other host', () => {
  const facts = { address: '192.0.2.1' as Ip, uplinkMtu: 1500, tables: new Set<TableFamily>() };
  const keys = planHealth(facts, '/n/health' as NetnsPath, 'a', [node('b'), node('c')]).map(resourceKey);
  assert.deepEqual(keys.slice(0, 4), [
    'netns /n/health',
    'link ov-health',
    'link vx-health',
    'link vh-health',
  ]);
  assert.equal(keys.length, 8);
  assert.equal(new Set(keys).size, 8);
});
