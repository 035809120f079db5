import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { type Ip, parseIfName, parseIpv6, parseMac } from '../../src/model/address.ts';
import { diff } from '../../src/plan/diff.ts';
import type { Resource } from '../../src/plan/resource.ts';
import { bridge, create, kernel, netns, removeAll, veth } from './stage.ts';

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

const sent = (): string => {
  const [link] = JSON.parse(execFileSync('ip', ['-j', '-s', 'link', 'show', vxlan]).toString()) as unknown[];
  const { stats64 } = link as { readonly stats64: { readonly tx: { readonly packets: number } } };
  return `${stats64.tx.packets} packets`;
};

for (const ipv6 of [true, false]) {
  test(`a neighbour of IPv6 on another host is found by its entry, and nobody is asked outside (IPv6 ${ipv6})`, () => {
    const sandbox = netns('ndp');
    const end = veth(2, sandbox);
    const made: readonly Resource[] = [
      sandbox,
      ...wanted('192.0.2.1' as Ip, '192.0.2.9' as Ip).flatMap((each): readonly Resource[] => {
        if (each.kind === 'vxlan') return [{ ...each, ipv6 }];
        return ipv6 || each.kind !== 'neighbour' || !each.address.includes(':') ? [each] : [];
      }),
      {
        ...end,
        mtu: 1430,
        ipv6: true,
        addresses: [...end.addresses, { address: parseIpv6('fd88::2'), length: 64 }],
      },
    ];
    kernel.apply(made.map(create));
    try {
      assert.deepEqual(diff(made, kernel.observe()), []);
      // A link-local address would have it send of itself.
      assert.equal(execFileSync('ip', ['-6', 'addr', 'show', 'dev', vxlan]).toString(), '');
      const inside = (command: string): string =>
        execFileSync('nsenter', [`--net=${sandbox.path}`, 'bash', '-c', command]).toString();
      const neighbour = (address: string): string =>
        inside(`echo 1 > /dev/udp/${address}/9; sleep 0.3; ip -6 neigh show ${address}`);
      assert.match(
        neighbour('fd88::7'),
        ipv6 ? new RegExp(`lladdr ${mac} REACHABLE`) : /INCOMPLETE|FAILED|^$/,
      );
      const before = sent();
      assert.match(neighbour('fd88::8'), /INCOMPLETE|FAILED/);
      assert.equal(sent(), before);
      const port = execFileSync('bridge', ['-d', 'link', 'show', 'dev', vxlan]).toString();
      assert.ok(port.includes(`mcast_router ${ipv6 ? 2 : 1}`), port);
    } finally {
      assert.deepEqual(kernel.tearDown(removeAll(made)), []);
    }
  });
}
