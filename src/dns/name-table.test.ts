import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Ipv4 } from '../model/address.ts';
import { NameTable } from './name-table.ts';

const ip = (text: string): Ipv4 => text as Ipv4;
const endpoint = (endpointId: string, networkName: string, address: string, ...names: string[]) => ({
  endpointId,
  networkId: `id-${networkName}`,
  networkName,
  addresses: [ip(address)],
  names,
});

test('a name is found only from its own network, whatever its case', () => {
  const table = new NameTable();
  table.add(endpoint('e1', 'lamp', '172.18.0.2', 'mysql'));
  assert.deepEqual(table.find('MySQL', ['id-lamp']), ['172.18.0.2']);
  assert.deepEqual(table.find('mysql', ['id-lnmp']), []);
});

test('several endpoints share an alias, and one that leaves is gone at once', () => {
  const table = new NameTable();
  table.add(endpoint('e1', 'lamp', '172.18.0.2', 'a', 'web'));
  table.add(endpoint('e2', 'lamp', '172.18.0.3', 'b', 'web'));
  assert.deepEqual(table.find('web', ['id-lamp']), ['172.18.0.2', '172.18.0.3']);
  table.remove('e1');
  assert.deepEqual(table.find('web', ['id-lamp']), ['172.18.0.3']);
  table.remove('e2');
  assert.deepEqual(table.find('web', ['id-lamp']), []);
});

test('dots: the whole name first, then name.network', () => {
  const table = new NameTable();
  table.add(endpoint('e1', 'lamp', '172.18.0.2', 'a.b'));
  table.add(endpoint('e2', 'b', '172.19.0.2', 'a'));
  const both = ['id-lamp', 'id-b'];
  assert.deepEqual(table.find('a.b', both), ['172.18.0.2']);
  assert.deepEqual(table.find('a.b.lamp', both), ['172.18.0.2']);
  assert.deepEqual(table.find('a.b', ['id-b']), ['172.19.0.2']);
  assert.deepEqual(table.find('a.lnmp', both), []);
});

test('reverse gives name.network of the first name', () => {
  const table = new NameTable();
  table.add(endpoint('e1', 'lamp', '172.18.0.2', 'mysql', 'db'));
  assert.equal(table.reverse(ip('172.18.0.2'), ['id-lamp']), 'mysql.lamp');
  assert.equal(table.reverse(ip('172.18.0.2'), ['id-lnmp']), undefined);
});
