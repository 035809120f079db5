import assert from 'node:assert/strict';
import { test } from 'node:test';
import { contains, type Ip, parseIp, parseIpv4, parsePrefix } from '../model/address.ts';
import { AddressPool } from './ipam.ts';

const pool = (subnet: string, range?: string, ...reserved: string[]): AddressPool =>
  new AddressPool(
    parsePrefix(subnet),
    range === undefined ? undefined : parsePrefix(range),
    reserved.map(parseIp),
  );
const drain = (from: AddressPool): Ip[] => {
  const given: Ip[] = [];
  for (let next = from.allocate(); next !== undefined; next = from.allocate()) given.push(next);
  return given;
};

test('the lowest free address is given, a released one again', () => {
  const addresses = pool('172.17.0.0/16', undefined, '172.17.0.1');
  assert.equal(addresses.allocate(), '172.17.0.2');
  assert.equal(addresses.allocate(), '172.17.0.3');
  addresses.release(parseIpv4('172.17.0.2'));
  assert.equal(addresses.allocate(), '172.17.0.2');
  assert.equal(addresses.allocate(), '172.17.0.4');
});

test('neither network nor broadcast address is given, but both of a /31 and the one of a /32', () => {
  assert.deepEqual(drain(pool('10.0.0.0/29')), [
    '10.0.0.1',
    '10.0.0.2',
    '10.0.0.3',
    '10.0.0.4',
    '10.0.0.5',
    '10.0.0.6',
  ]);
  assert.deepEqual(drain(pool('10.0.0.0/31')), ['10.0.0.0', '10.0.0.1']);
  assert.deepEqual(drain(pool('10.0.0.8/32')), ['10.0.0.8']);
});

test('dynamic addresses stay in the range, chosen ones may be anywhere in the subnet', () => {
  const addresses = pool('10.0.0.0/24', '10.0.0.128/30', '10.0.0.129');
  assert.equal(addresses.take(parseIpv4('10.0.0.7')), 'taken');
  assert.equal(addresses.take(parseIpv4('10.0.0.7')), 'in-use');
  assert.equal(addresses.take(parseIpv4('10.0.0.129')), 'in-use', 'reserved');
  assert.equal(addresses.take(parseIpv4('10.0.1.7')), 'outside');
  assert.deepEqual(drain(addresses), ['10.0.0.128', '10.0.0.130', '10.0.0.131']);
  addresses.release(parseIpv4('10.0.0.7'));
  assert.equal(addresses.allocate(), undefined, 'a released address outside the range is not dynamic');
});

test('whatever is taken and released in whatever order, nothing is given twice and nothing is lost', () => {
  // A linear congruential generator (Numerical Recipes): the same run every time.
  let seed = 20260101;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed % below;
  };
  const subnet = parsePrefix('10.0.0.0/26');
  const addresses = pool('10.0.0.0/26', undefined, '10.0.0.1');
  const held = new Set<Ip>();
  for (let i = 0; i < 5000; i++) {
    if (random(2) === 0) {
      const given = addresses.allocate();
      assert.equal(given === undefined, held.size === 61, 'it is full exactly when all are held');
      if (given === undefined) continue;
      assert.ok(!held.has(given) && contains(subnet, given) && given !== '10.0.0.1');
      for (let n = 2; ; n++) {
        const lower = parseIpv4(`10.0.0.${n}`);
        if (lower === given) break;
        assert.ok(held.has(lower), `${lower} was free below ${given}`);
      }
      held.add(given);
    } else {
      const any = [...held][random(held.size || 1)];
      if (any === undefined) continue;
      held.delete(any);
      addresses.release(any);
    }
  }
});

test("of an IPv6 subnet the routers' anycast address is not given, the last one is", () => {
  assert.deepEqual(drain(pool('fd00::/126', undefined, 'fd00::1')), ['fd00::2', 'fd00::3']);
  assert.deepEqual(drain(pool('fd00::/127')), ['fd00::', 'fd00::1']);
  const wide = pool('fd00::/64', undefined, 'fd00::1');
  assert.equal(wide.take(parseIp('fd00::ffff:ffff:ffff:ffff')), 'taken');
  assert.equal(wide.take(parseIp('10.0.0.1')), 'outside');
  assert.equal(wide.allocate(), 'fd00::2');
});

test('an address that is kept for somebody is given to others when nothing else is left', () => {
  const addresses = pool('10.0.0.0/29', undefined, '10.0.0.1');
  addresses.keep(parseIp('10.0.0.2'));
  assert.equal(addresses.allocate(), '10.0.0.3');
  assert.deepEqual(drain(addresses), ['10.0.0.4', '10.0.0.5', '10.0.0.6', '10.0.0.2']);
  addresses.release(parseIp('10.0.0.2'));
  addresses.release(parseIp('10.0.0.5'));
  assert.equal(addresses.allocate(), '10.0.0.5');
  addresses.unkeep(parseIp('10.0.0.2'));
  assert.equal(addresses.allocate(), '10.0.0.2');
});
