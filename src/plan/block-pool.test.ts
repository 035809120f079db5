import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Ip, parsePrefix } from '../model/address.ts';
import { BlockPool } from './block-pool.ts';

test('addresses come from the blocks of this host, in order; what is reserved is nobody’s', () => {
  const pool = new BlockPool(parsePrefix('fd00:1::/64'), undefined, ['fd00:1::', 'fd00:1::1'] as Ip[]);
  assert.equal(pool.hasFree(), false);
  pool.add(parsePrefix('fd00:1::/126'));
  assert.deepEqual(
    [pool.allocate(), pool.allocate(), pool.allocate()],
    ['fd00:1::2', 'fd00:1::3', undefined],
  );
  pool.add(parsePrefix('fd00:1::40/126'));
  assert.equal(pool.hasFree(), true);
  // Of a block every address is a host's.
  assert.equal(pool.allocate(), 'fd00:1::40');
  assert.equal(pool.take('fd00:1::41' as Ip), 'taken');
  assert.equal(pool.take('fd00:1::41' as Ip), 'in-use');
  assert.equal(pool.take('fd00:1::1' as Ip), 'in-use');
  assert.equal(pool.take('fd00:1::80' as Ip), 'outside', "another host's block");
  assert.equal(pool.take('fd00:2::41' as Ip), 'outside');
  pool.release('fd00:1::40' as Ip);
  assert.equal(pool.allocate(), 'fd00:1::40');
});

test('with --ip-range a block outside it is for chosen addresses only', () => {
  const pool = new BlockPool(parsePrefix('10.0.0.0/24'), parsePrefix('10.0.0.128/25'), []);
  pool.add(parsePrefix('10.0.0.0/28'));
  assert.equal(pool.hasFree(), false);
  assert.equal(pool.take('10.0.0.7' as Ip), 'taken');
  pool.add(parsePrefix('10.0.0.128/28'));
  assert.equal(pool.allocate(), '10.0.0.128');
});
