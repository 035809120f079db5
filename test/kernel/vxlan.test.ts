import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { type Ip, parseIfName, parseMac } from '../../src/model/address.ts';
import { diff } from '../../src/plan/diff.ts';
import type { Resource } from '../../src/plan/resource.ts';
import { bridge, create, kernel, removeAll } from './stage.ts';

const vxlan = parseIfName('vxtest0');
const mac = parseMac('02:42:0a:09:00:07');
const wanted = (local: Ip, host: Ip): readonly Resource[] => [
  { ...bridge, mtu: 1430 },
  {
    kind: 'vxlan',
    ifName: vxlan,
    bridge: bridge.ifName,
    vni: 4099,
    local,
    port: 4789,
    mtu: 1430,
    ipv6: true,
  },
  { kind: 'fdb', vxlan, mac, host },
  { kind: 'neighbour', vxlan, address: '10.88.0.7' as Ip, mac },
  { kind: 'neighbour', vxlan, address: 'fd88::7' as Ip, mac },
];

for (const [local, first, second] of [
  ['192.0.2.1' as Ip, '192.0.2.9' as Ip, '192.0.2.10' as Ip],
  ['2001:db8::1' as Ip, '2001:db8::9' as Ip, '2001:db8::a' as Ip],
] as const) {
  test(`a tunnel from ${local} with its entries is observed as it was made, changed in place, and gone without a trace`, () => {
    const made = wanted(local, first);
    const before = execFileSync('ip', ['-o', 'link']).toString();
    kernel.apply(made.map(create));
    assert.deepEqual(diff(made, kernel.observe()), []);
    const shown = execFileSync('ip', ['-d', 'link', 'show', vxlan]).toString();
    for (const word of [`local ${local}`, 'vxlan id 4099', 'dstport 4789', 'nolearning', 'proxy', 'mtu 1430'])
      assert.ok(shown.includes(word), `${word} in ${shown}`);
    const moved = wanted(local, second);
    kernel.apply(diff(moved, kernel.observe()));
    assert.deepEqual(diff(moved, kernel.observe()), []);
    assert.deepEqual(kernel.tearDown(removeAll(moved)), []);
    assert.deepEqual(kernel.tearDown(removeAll(moved)), [], 'again is success');
    assert.deepEqual(kernel.observe(), []);
    assert.equal(execFileSync('ip', ['-o', 'link']).toString(), before);
  });
}
