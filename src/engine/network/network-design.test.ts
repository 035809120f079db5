import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeKernel } from '../../kernel/fake-kernel.ts';
import { contains, overlaps, parsePrefix } from '../../model/address.ts';
import { EngineError } from '../../model/errors.ts';
import type { AddressedNetwork } from '../../model/network.ts';
import type { OverlaySpec } from '../../model/overlay.ts';
import { uniqueLocalSource } from '../../plan/subnet-pool.ts';
import { hostId } from './host-id.ts';
import { NetworkDesign, overlayNetwork } from './network-design.ts';
import { type OverlayNetworkWish, parseNetworkRequest } from './network-request.ts';

const kernel = new FakeKernel();
const design = (existing: readonly AddressedNetwork[] = []): NetworkDesign =>
  new NetworkDesign(kernel, [uniqueLocalSource(hostId())], () => existing);

interface Given {
  readonly ipv4?: boolean;
  readonly ipv6?: boolean;
  readonly configs?: readonly object[];
  readonly mtu?: string;
}
function wish({ ipv4, ipv6 = true, configs = [], mtu }: Given = {}): OverlayNetworkWish {
  const body = {
    ...{ Name: 'lamp', Driver: 'overlay', EnableIPv4: ipv4, EnableIPv6: ipv6 },
    IPAM: { Config: configs },
    ...(mtu !== undefined && { Options: { 'com.docker.network.driver.mtu': mtu } }),
  };
  const made = parseNetworkRequest(body, { configNetwork: () => undefined, defaultOptions: {} });
  assert.equal(made.kind, 'overlay');
  return made as OverlayNetworkWish;
}
const spec = (given?: Given, others: readonly OverlaySpec[] = [], existing?: readonly AddressedNetwork[]) =>
  design(existing).overlaySpec(wish(given), others, 4096);
const refused = (status: number, words: RegExp) => (error: unknown) => {
  assert.ok(error instanceof EngineError);
  assert.equal(error.status, status);
  assert.match(error.message, words);
  return true;
};

test('without a subnet an overlay network gets a /64 of unique local addresses, not of those of local networks', () => {
  const first = spec();
  assert.ok(first.ipv6 && first.ipv4);
  assert.equal(first.ipv6.subnet.length, 64);
  assert.ok(contains(parsePrefix('fd00::/8'), first.ipv6.subnet.address));
  assert.ok(!overlaps(uniqueLocalSource(hostId()).base, first.ipv6.subnet));
  assert.equal(first.ipv6.gateway, first.ipv6.subnet.address.replace(/::$/, '::1'));
  // The next one is beside it, whether this host knows the first already or not.
  const second = spec({}, [first]);
  const third = spec({}, [], [overlayNetwork(first)]);
  for (const { ipv6 } of [second, third]) assert.ok(ipv6 && !overlaps(ipv6.subnet, first.ipv6.subnet));
});

test('what the user gives is taken, in either order, and shown again', () => {
  const configs = [
    {
      Subnet: 'fd00:5::/64',
      Gateway: 'fd00:5::9',
      IPRange: 'fd00:5::/80',
      AuxiliaryAddresses: { a: 'fd00:5::8' },
    },
    { Subnet: '10.5.0.0/24' },
  ];
  const made = overlayNetwork(spec({ configs }));
  assert.deepEqual(made.ipv6, {
    subnet: parsePrefix('fd00:5::/64'),
    gateway: { address: 'fd00:5::9', length: 64 },
    onBridge: false,
    ipRange: parsePrefix('fd00:5::/80'),
    auxAddresses: { a: 'fd00:5::8' },
    gatewayMode: 'nat',
    egress: { mode: 'none' },
  });
  assert.deepEqual(made.ipv4?.subnet, parsePrefix('10.5.0.0/24'));
});

test('one family alone; a subnet of a family that is off is passed over, as dockerd does', () => {
  const configs = [{ Subnet: 'fd00:5::/64' }];
  const without = spec({ ipv6: false, configs });
  assert.deepEqual([without.ipv6, without.ipv4?.subnet.length], [undefined, 24]);
  const alone = spec({ ipv4: false, configs });
  assert.deepEqual([alone.ipv4, alone.ipv6?.subnet], [undefined, configs[0] && parsePrefix('fd00:5::/64')]);
  assert.equal(overlayNetwork(alone).ipv4, undefined);
  assert.throws(() => wish({ ipv4: false, ipv6: false }), refused(400, /IPv4 or IPv6 must be enabled/));
});

test('what cannot be is refused: an overlap in either family, a gateway nobody can have, an MTU below 1280', () => {
  const pool = (text: string): Given => ({ configs: [{ Subnet: text }] });
  const there = spec(pool('fd00:5::/64'));
  for (const text of ['fd00:5::/64', 'fd00:5::/80', 'fd00:4::/30']) {
    assert.throws(() => spec(pool(text), [there]), refused(403, /Pool overlaps with other one/), text);
    assert.throws(() => spec(pool(text), [], [overlayNetwork(there)]), refused(403, /Pool overlaps/), text);
  }
  const v4 = spec(pool('10.9.0.0/16'));
  assert.throws(() => spec(pool('10.9.3.0/24'), [v4]), refused(403, /Pool overlaps/));
  assert.throws(
    () => spec(pool('fd00:5::1/128')),
    refused(500, /failed to allocate gateway \(\): no available addresses on this pool/),
  );
  assert.throws(() => spec(pool('ff05::/64')), refused(400, /multicast subnet 'ff05::1\/64' is not allowed/));
  assert.throws(() => spec(pool('fd00:5::7/64')), refused(400, /it should be fd00:5::\/64/));
  assert.throws(() => spec(pool('fd00:5::/129')), refused(400, /invalid CIDR block notation/));
  assert.throws(
    () => spec({ configs: [{ Subnet: 'fd00:5::/64', Gateway: 'fd00:6::1' }] }),
    refused(400, /parent subnet fd00:5::\/64 doesn't contain this address/),
  );
  assert.throws(
    () => spec({ mtu: '1279' }),
    refused(400, /invalid MTU number: 1279: IPv6 needs at least 1280/),
  );
  assert.equal(spec({ mtu: '1280' }).mtu, 1280);
  assert.equal(spec({ ipv6: false, mtu: '1000' }).mtu, 1000);
});
