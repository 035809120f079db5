import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ANY_IPV4,
  ANY_IPV6,
  formatPrefix,
  type InterfaceAddress,
  ipToBigInt,
  overlaps,
  type Prefix,
  parseInterfaceAddress,
  parsePrefix,
} from '../model/address.ts';
import { chooseSubnet, DEFAULT_SOURCES, uniqueLocalSource } from './subnet-pool.ts';

const take = (count: number, used: readonly InterfaceAddress[] = []): Prefix[] => {
  const given: Prefix[] = [];
  while (given.length < count) {
    const next = chooseSubnet(DEFAULT_SOURCES, [...used, ...given], ANY_IPV4);
    if (next === undefined) break;
    given.push(next);
  }
  return given;
};

test("the first 31 networks are in Docker's own pools and in its order", () => {
  const given = take(31).map(formatPrefix);
  assert.deepEqual(given.slice(0, 3), ['172.17.0.0/16', '172.18.0.0/16', '172.19.0.0/16']);
  assert.equal(given[14], '172.31.0.0/16');
  assert.equal(given[15], '192.168.0.0/20');
  assert.equal(given[30], '192.168.240.0/20');
});

test('after them there are a thousand more, none overlapping another', () => {
  const sorted = take(31 + 1000).toSorted((a, b) => (ipToBigInt(a.address) < ipToBigInt(b.address) ? -1 : 1));
  assert.equal(sorted.length, 1031);
  for (const [i, prefix] of sorted.entries()) {
    const next = sorted[i + 1];
    assert.ok(next === undefined || !overlaps(prefix, next));
  }
});

test('what is in use is passed over, nested, adjacent and wider than a candidate', () => {
  const sources = [{ base: parsePrefix('10.0.0.0/22'), size: 24 }];
  const choose = (...used: string[]): string | undefined => {
    const found = chooseSubnet(sources, used.map(parsePrefix), ANY_IPV4);
    return found && formatPrefix(found);
  };
  assert.equal(choose('10.0.0.0/23', '10.0.0.0/30', '10.0.1.128/25'), '10.0.2.0/24');
  assert.equal(choose('10.0.1.0/24'), '10.0.0.0/24');
  assert.equal(choose('10.0.0.255/32', '10.0.2.0/32'), '10.0.1.0/24');
  assert.equal(choose('9.0.0.0/8', '11.0.0.0/8'), '10.0.0.0/24');
  assert.equal(choose('10.0.0.0/24', '10.0.1.0/24', '10.0.2.0/24'), '10.0.3.0/24');
  assert.equal(choose('10.0.0.0/23', '10.0.2.0/23'), undefined);
});

test("what the host uses is left out, given as an interface's address or inside a subnet", () => {
  const given = take(2, [
    parseInterfaceAddress('172.17.3.4/24'),
    parseInterfaceAddress('172.18.255.255/32'),
  ]).map(formatPrefix);
  assert.deepEqual(given, ['172.19.0.0/16', '172.20.0.0/16']);
});

test('pools of the user: exactly what they hold, then none', () => {
  const sources = [{ base: parsePrefix('10.5.0.0/23'), size: 24 }];
  const first = chooseSubnet(sources, [], ANY_IPV4);
  assert.equal(first && formatPrefix(first), '10.5.0.0/24');
  const second = chooseSubnet(sources, [parsePrefix('10.5.0.0/24')], ANY_IPV4);
  assert.equal(second && formatPrefix(second), '10.5.1.0/24');
  assert.equal(chooseSubnet(sources, [parsePrefix('10.5.0.0/16')], ANY_IPV4), undefined);
});

test("IPv6 subnets are /64 of a /48 that is this host's own", () => {
  const source = uniqueLocalSource('0123456789abcdef');
  assert.deepEqual(source, uniqueLocalSource('0123456789abcdef'));
  assert.notDeepEqual(source, uniqueLocalSource('fedcba9876543210'));
  assert.match(formatPrefix(source.base), /^fd[0-9a-f:]+::\/48$/);
  const first = chooseSubnet([...DEFAULT_SOURCES, source], [], ANY_IPV6);
  assert.equal(first && formatPrefix(first), formatPrefix(source.base).replace('/48', '/64'));
  const second = first && chooseSubnet([source], [first, parsePrefix('172.17.0.0/16')], ANY_IPV6);
  assert.ok(first && second && !overlaps(first, second) && second.length === 64);
});

test('a subnet of a wanted size comes from the first source that is large enough', () => {
  const choose = (size: number): string | undefined => {
    const found = chooseSubnet(DEFAULT_SOURCES, [parsePrefix('172.17.0.0/25')], ANY_IPV4, size);
    return found && formatPrefix(found);
  };
  assert.equal(choose(25), '172.17.0.128/25');
  assert.equal(choose(14), '172.20.0.0/14');
  assert.equal(choose(8), undefined);
});
