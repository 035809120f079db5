import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTable } from './nft-json.ts';
import { elementCommands, rulesetCommands } from './nft-table.ts';

test('elements of one set become one command', () => {
  const elements = [
    { table: 'ip', set: 'pub', key: 'tcp . 80', value: '172.17.0.2 . 8080' },
    { table: 'ip', set: 'bridges', key: '"docker0"' },
    { table: 'ip', set: 'pub', key: 'udp . 53', value: '172.17.0.3 . 53' },
    { table: 'ip6', set: 'pub', key: 'udp . 53', value: 'fd00::2 . 53' },
  ] as const;
  assert.deepEqual(elementCommands('add', elements), [
    'add element ip gangway pub { tcp . 80 : 172.17.0.2 . 8080, udp . 53 : 172.17.0.3 . 53 }',
    'add element ip gangway bridges { "docker0" }',
    'add element ip6 gangway pub { udp . 53 : fd00::2 . 53 }',
  ]);
  assert.deepEqual(
    elementCommands('delete', elements)[0],
    'delete element ip gangway pub { tcp . 80, udp . 53 }',
  );
});

test('a new ruleset keeps the elements of the sets it still has', () => {
  const text =
    'table ip gangway {\n map pub { type inet_proto . inet_service : ipv4_addr; }\n set s{ type ifname; }\n}';
  const commands = rulesetCommands({ kind: 'ruleset', table: 'ip', text, version: 'c0ffee' }, [
    { kind: 'element', table: 'ip', set: 'pub', key: 'tcp . 80', value: '10.0.0.1' },
    { kind: 'element', table: 'ip', set: 's', key: '"a"' },
    { kind: 'element', table: 'ip', set: 'pu', key: 'tcp . 81' },
  ]);
  assert.deepEqual(commands, [
    'add table ip gangway',
    'delete table ip gangway',
    text,
    'add chain ip gangway version_c0ffee',
    'add element ip gangway pub { tcp . 80 : 10.0.0.1 }',
    'add element ip gangway s { "a" }',
  ]);
});

test('a version that is no name is refused', () => {
  assert.throws(
    () => rulesetCommands({ kind: 'ruleset', table: 'ip', text: '', version: 'a b' }, []),
    RangeError,
  );
});

test('a listing of libnftables gives keys and values in nft syntax', () => {
  const listing = {
    nftables: [
      { metainfo: { version: '1.0.6' } },
      { table: { family: 'ip', name: 'gangway' } },
      { chain: { name: 'version_abc' } },
      {
        map: {
          name: 'pub',
          type: ['inet_proto', 'inet_service'],
          map: 'ipv4_addr . inet_service',
          elem: [
            [
              { elem: { val: { concat: ['tcp', 80] }, counter: { packets: 0, bytes: 0 } } },
              { concat: ['1.2.3.4', 81] },
            ],
          ],
        },
      },
      {
        map: {
          name: 'same',
          type: ['inet_proto', 'inet_service'],
          map: 'ipv4_addr',
          elem: [[{ concat: ['tcp', { range: [7000, 7050] }] }, '1.2.3.4']],
        },
      },
      {
        map: {
          name: 'verdicts',
          type: 'ifname',
          map: 'verdict',
          elem: [
            ['a', { jump: { target: 'c' } }],
            ['b', { drop: null }],
          ],
        },
      },
      { set: { name: 'bridges', type: 'ifname', elem: ['docker0'] } },
      {
        set: {
          name: 'hairpin',
          type: ['ipv4_addr', 'ifname'],
          elem: [{ concat: [{ prefix: { addr: '10.9.1.0', len: 24 } }, 'br-a'] }],
        },
      },
      { set: { name: 'empty', type: 'ipv4_addr' } },
    ],
  };
  assert.deepEqual(parseTable('ip', listing), {
    chains: ['version_abc'],
    sets: ['pub', 'same', 'verdicts', 'bridges', 'hairpin', 'empty'],
    elements: [
      { kind: 'element', table: 'ip', set: 'pub', key: 'tcp . 80', value: '1.2.3.4 . 81' },
      { kind: 'element', table: 'ip', set: 'same', key: 'tcp . 7000-7050', value: '1.2.3.4' },
      { kind: 'element', table: 'ip', set: 'verdicts', key: '"a"', value: 'jump c' },
      { kind: 'element', table: 'ip', set: 'verdicts', key: '"b"', value: 'drop' },
      { kind: 'element', table: 'ip', set: 'bridges', key: '"docker0"' },
      { kind: 'element', table: 'ip', set: 'hairpin', key: '10.9.1.0/24 . "br-a"' },
    ],
  });
});
