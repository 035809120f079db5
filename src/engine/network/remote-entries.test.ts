import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IfName, Ip, Mac } from '../../model/address.ts';
import type { Resource } from '../../plan/resource.ts';
import { RemoteEntries } from './remote-entries.ts';

const vxlan = 'vx-1' as IfName;
const fdb = (mac: string, host: string): Resource => ({
  kind: 'fdb',
  vxlan,
  mac: mac as Mac,
  host: host as Ip,
});
const neighbour = (address: string, mac: string): Resource => ({
  kind: 'neighbour',
  vxlan,
  address: address as Ip,
  mac: mac as Mac,
});
const changes = (entries: RemoteEntries, id: string, wanted: readonly Resource[]): string[] =>
  entries.set(id, wanted).map(({ op, resource }) => `${op} ${resource.kind}`);

test('an endpoint comes, moves to another host, goes; the same again is nothing', () => {
  const entries = new RemoteEntries();
  const there = [fdb('m1', 'h1'), neighbour('a1', 'm1')];
  assert.deepEqual(changes(entries, 'one', there), ['create fdb', 'create neighbour']);
  assert.deepEqual(changes(entries, 'one', there), []);
  assert.deepEqual(changes(entries, 'one', [fdb('m1', 'h2'), neighbour('a1', 'm1')]), ['replace fdb']);
  assert.deepEqual(entries.ids(), ['one']);
  assert.deepEqual(changes(entries, 'one', []), ['delete neighbour', 'delete fdb']);
  assert.deepEqual([entries.ids(), entries.all()], [[], []]);
});

test('an address that another endpoint has taken over stays when the first one goes', () => {
  const entries = new RemoteEntries();
  entries.set('old', [fdb('m1', 'h1'), neighbour('a1', 'm1')]);
  assert.deepEqual(changes(entries, 'new', [fdb('m2', 'h2'), neighbour('a1', 'm2')]), [
    'create fdb',
    'replace neighbour',
  ]);
  assert.deepEqual(changes(entries, 'old', []), ['delete fdb']);
  assert.deepEqual(entries.all(), [fdb('m2', 'h2'), neighbour('a1', 'm2')].toReversed());
});
