import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type IfName,
  type Ip,
  type Ipv4,
  type Ipv6,
  type Mac,
  type Prefix,
  parsePrefix,
} from '../model/address.ts';
import type { Addressing, OverlayNetwork } from '../model/network.ts';
import { missingMtu, type OverlayFacts, overlayMtu, planOverlay, planRemotes } from './overlay.ts';
import { ALL_TABLES } from './plan.ts';

const addressing = <A extends Ip>(text: string): Addressing<A> => {
  const subnet = parsePrefix(text) as Prefix<A>;
  return {
    ...{ subnet, gateway: subnet, onBridge: false, auxAddresses: {} },
    ...{ gatewayMode: 'nat', egress: { mode: 'none' } },
  };
};
const ipv4 = addressing<Ipv4>('10.0.0.0/24');
const ipv6 = addressing<Ipv6>('fd00:1::/64');
const bridge = 'ov-1' as IfName;
const vxlan = 'vx-1' as IfName;
const network = (families: Pick<OverlayNetwork, 'ipv4' | 'ipv6'>, mtu?: number): OverlayNetwork => ({
  ...{ id: 'abcdef0123', name: 'lamp', created: '', labels: {}, options: {}, driver: 'overlay' },
  ...{ internal: false, attachable: false, ...families },
  overlay: { vni: 4096, bridge, vxlan, ...(mtu !== undefined && { mtu }) },
});
const facts = (uplinkMtu: number, address = '192.0.2.1'): OverlayFacts => ({
  address: address as Ip,
  uplinkMtu,
  tables: ALL_TABLES,
});

test('bridge and tunnel: neighbours of IPv6 are answered for where the network has it, and nowhere else', () => {
  const element = { kind: 'element' } as const;
  const inner = JSON.stringify(bridge);
  const planned = (ipv6: boolean) => [
    {
      ...{ kind: 'bridge', ifName: bridge, mac: '02:42:ab:cd:ef:01', mtu: 1450 },
      ...{ addresses: [], ipv6: false, routeLocalnet: false },
    },
    { kind: 'vxlan', ifName: vxlan, bridge, vni: 4096, local: '192.0.2.1', port: 4789, mtu: 1450, ipv6 },
    { ...element, table: 'ip', set: 'overlays', key: inner },
    { ...element, table: 'ip', set: 'icc', key: `${inner} . ${inner}` },
    { ...element, table: 'ip6', set: 'overlays', key: inner },
    { ...element, table: 'ip6', set: 'icc', key: `${inner} . ${inner}` },
  ];
  assert.deepEqual(planOverlay(network({ ipv4 }), facts(1500)), planned(false));
  assert.deepEqual(planOverlay(network({ ipv4, ipv6 }), facts(1500)), planned(true));
  assert.deepEqual(planOverlay(network({ ipv6 }), facts(1500)), planned(true));
});

test('a container of another host is a neighbour by each address that the network has a family for', () => {
  const remote = {
    ...{ id: 'e', networkId: 'n', nodeId: 'h', containerId: 'c', containerName: 'web', names: ['web'] },
    mac: '02:42:0a:00:00:10' as Mac,
    ipv4: '10.0.0.16' as Ipv4,
    ipv6: 'fd00:1::40' as Ipv6,
  };
  const host = '192.0.2.9' as Ip;
  const { mac } = remote;
  const fdb = { kind: 'fdb', vxlan, mac, host };
  const at = (address: string) => ({ kind: 'neighbour', vxlan, address, mac });
  const planned = (families: Parameters<typeof network>[0]) =>
    planRemotes(network(families), [{ remote, host }]);
  assert.deepEqual(planned({ ipv4, ipv6 }), [fdb, at('10.0.0.16'), at('fd00:1::40')]);
  assert.deepEqual(planned({ ipv4 }), [fdb, at('10.0.0.16')]);
  assert.deepEqual(planned({ ipv6 }), [fdb, at('fd00:1::40')]);
  // A host of an earlier version tells of no IPv6.
  const { ipv6: _none, ...earlier } = remote;
  assert.deepEqual(planRemotes(network({ ipv4, ipv6 }), [{ remote: earlier, host }]), [fdb, at('10.0.0.16')]);
});

test('the MTU leaves room for the tunnel, and with IPv6 is never below what that needs', () => {
  const mtus = (uplink: number, address?: string, mtu?: number): readonly number[] =>
    [network({ ipv4 }, mtu), network({ ipv4, ipv6 }, mtu)].map((each) =>
      overlayMtu(each, facts(uplink, address)),
    );
  assert.deepEqual(mtus(1500), [1450, 1450]);
  assert.deepEqual(mtus(1500, '2001:db8::1'), [1430, 1430]);
  assert.deepEqual(mtus(1500, undefined, 1400), [1400, 1400]);
  assert.deepEqual(mtus(1330), [1280, 1280]);
  assert.deepEqual(mtus(1300), [1250, 1280]);
  assert.deepEqual(mtus(1340, '2001:db8::1'), [1270, 1280]);
  const missing = (uplink: number, address?: string) =>
    [network({ ipv4 }), network({ ipv4, ipv6 })].map((each) => missingMtu(each, facts(uplink, address)));
  assert.deepEqual(missing(1300), [undefined, undefined]);
  assert.deepEqual(missing(1350, '2001:db8::1'), [undefined, undefined]);
  assert.deepEqual(missing(1349, '2001:db8::1'), [undefined, 1350]);
});
