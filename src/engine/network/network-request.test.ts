import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePrefix } from '../../model/address.ts';
import { EngineError } from '../../model/errors.ts';
import type { ConfigNetwork } from '../../model/network.ts';
import { type BridgeNetworkWish, parseNetworkRequest, type RequestContext } from './network-request.ts';

const template: ConfigNetwork = {
  id: 'c0',
  name: 'template',
  created: '2026-01-01T00:00:00Z',
  labels: {},
  options: {},
  driver: 'config-only',
  template: { IPAM: { Config: [{ Subnet: '10.7.0.0/24' }] }, EnableIPv6: true, Labels: { a: 'b' } },
};
const context: RequestContext = {
  configNetwork: (name) => (name === 'template' ? template : undefined),
  defaultOptions: { bridge: { 'com.docker.network.driver.mtu': '1300' } },
};
const parse = (body: unknown): BridgeNetworkWish => {
  const wish = parseNetworkRequest(body, context);
  assert.equal(wish.kind, 'bridge');
  return wish as BridgeNetworkWish;
};

const refused = (status: number, words: string) => (error: unknown) => {
  assert.ok(error instanceof EngineError);
  assert.deepEqual([error.status, error.message], [status, words]);
  return true;
};
const config = (some: object): object => ({ Name: 'n', IPAM: { Config: [some] } });
const option = (name: string, value: string): object => ({ Name: 'n', Options: { [name]: value } });

test('everything a bridge network can be given', () => {
  const wish = parse({
    Name: 'n',
    Driver: 'bridge',
    Internal: true,
    Labels: { a: 'b' },
    IPAM: {
      Driver: 'default',
      Config: [
        {
          Subnet: '10.1.0.0/16',
          Gateway: '10.1.0.9',
          IPRange: '10.1.4.0/24',
          AuxiliaryAddresses: { router: '10.1.0.7' },
        },
        { Subnet: 'fd00:1::/64', Gateway: 'fd00:1::9' },
      ],
    },
    EnableIPv6: true,
    Options: {
      'com.docker.network.bridge.name': 'br9',
      'com.docker.network.bridge.enable_icc': 'false',
      'com.docker.network.bridge.host_binding_ipv4': '127.0.0.1',
      'com.docker.network.driver.mtu': '1400',
      'com.docker.network.host_ipv4': '192.0.2.1',
      'com.docker.network.host_ipv6': '2001:db8::1',
      'com.docker.network.bridge.inhibit_ipv4': 'true',
      'com.docker.network.bridge.gateway_mode_ipv4': 'routed',
      'com.docker.network.bridge.gateway_mode_ipv6': 'isolated',
      'com.docker.network.bridge.trusted_host_interfaces': 'eth7:eth8',
      'com.docker.network.container_iface_prefix': 'net',
      'not.of.docker': 'kept',
    },
    SomethingNew: 1,
  });
  assert.deepEqual(wish.families, {
    ipv4: {
      subnet: parsePrefix('10.1.0.0/16'),
      gateway: '10.1.0.9',
      ipRange: parsePrefix('10.1.4.0/24'),
      auxAddresses: { router: '10.1.0.7' },
    },
    ipv6: { subnet: parsePrefix('fd00:1::/64'), gateway: 'fd00:1::9', auxAddresses: {} },
  });
  assert.equal(wish.internal, true);
  assert.deepEqual(wish.bridge, {
    ifName: 'br9',
    icc: false,
    hostBinding: '127.0.0.1',
    mtu: 1400,
    hostIpv4: '192.0.2.1',
    hostIpv6: '2001:db8::1',
    inhibitIpv4: true,
    gatewayModes: { ipv4: 'routed', ipv6: 'isolated' },
    trustedInterfaces: ['eth7', 'eth8'],
    ifPrefix: 'net',
  });
});

test('families: IPv4 unless it is off, IPv6 when it is on, by flag or by option, sizes from the pools', () => {
  assert.deepEqual(parse({ Name: 'n' }).families, { ipv4: { auxAddresses: {} } });
  const both = { ipv4: { auxAddresses: {} }, ipv6: { auxAddresses: {} } };
  assert.deepEqual(parse({ Name: 'n', EnableIPv6: true }).families, both);
  assert.deepEqual(parse(option('com.docker.network.enable_ipv6', 'true')).families, both);
  assert.deepEqual(parse({ Name: 'n', EnableIPv4: false, EnableIPv6: true }).families, {
    ipv6: { auxAddresses: {} },
  });
  // A family that is off is passed over.
  assert.deepEqual(parse(config({ Subnet: 'fd00::/64' })).families, { ipv4: { auxAddresses: {} } });
  assert.deepEqual(parse(config({ Subnet: '0.0.0.0/24' })).families, {
    ipv4: { size: 24, auxAddresses: {} },
  });
});

test('a network from a configuration network has what that says, and nothing of its own beside it', () => {
  const wish = parse({ Name: 'n', ConfigFrom: { Network: 'template' }, Internal: true });
  assert.deepEqual(wish.families.ipv4?.subnet, parsePrefix('10.7.0.0/24'));
  assert.ok(wish.families.ipv6);
  assert.deepEqual(wish.labels, { a: 'b' });
  assert.equal(wish.internal, true);
  assert.equal(wish.configFrom, 'template');
  const made = parseNetworkRequest({ Name: 't', ConfigOnly: true, IPAM: { Config: [] } }, context);
  assert.equal(made.kind, 'config-only');
});

test('options of the daemon are defaults', () => {
  assert.equal(parse({ Name: 'n' }).bridge.mtu, 1300);
  assert.equal(parse(option('com.docker.network.driver.mtu', '1400')).bridge.mtu, 1400);
});

test('what dockerd 28.5 refuses is refused in its words', () => {
  const cases: readonly (readonly [object, number, string])[] = [
    [{ Name: ' ' }, 400, 'invalid name: name is empty'],
    [{ Name: 'host' }, 403, 'operation is not permitted on predefined host network '],
    [{ Name: 'n', Driver: 'host' }, 403, 'only one instance of "host" network is allowed'],
    [{ Name: 'n', Driver: 'foo' }, 404, 'plugin "foo" not found'],
    [{ Name: 'n', IPAM: { Driver: 'foo' } }, 404, 'plugin "foo" not found'],
    [{ Name: 'n', Scope: 'swarm' }, 403, 'cannot create a swarm scoped network when swarm is not active'],
    [
      { Name: 'n', IPAM: { Config: [{ Subnet: '10.0.0.0/24' }, { Subnet: '10.0.1.0/24' }] } },
      403,
      "bridge driver doesn't support multiple subnets",
    ],
    [
      config({ Subnet: '10.0.0.1/24' }),
      400,
      'invalid network config:\ninvalid subnet 10.0.0.1/24: it should be 10.0.0.0/24',
    ],
    [
      config({ Subnet: 'bad' }),
      400,
      'invalid network config:\ninvalid subnet bad: invalid CIDR block notation',
    ],
    [
      config({ Gateway: '10.0.0.1' }),
      400,
      'invalid network config:\ninvalid subnet : invalid CIDR block notation',
    ],
    [
      config({ Subnet: '10.0.0.0/24', Gateway: 'x' }),
      400,
      'invalid network config:\ninvalid gateway x: invalid address',
    ],
    ...[{}, { AuxiliaryAddresses: { a: '10.0.0.7' } }, { IPRange: '10.0.0.0/24' }].map(
      (some) =>
        [config(some), 400, 'invalid network config:\ninvalid subnet : invalid CIDR block notation'] as const,
    ),
    [
      { Name: 'n', IPAM: { Config: [{ Subnet: '10.0.0.0/24' }, { Subnet: '10.0.0.0/25' }] } },
      403,
      'invalid pool request: Pool overlaps with other one on this address space',
    ],
    [
      option('com.docker.network.enable_ipv6', 'maybe'),
      400,
      'driver-opt "com.docker.network.enable_ipv6" is not a valid bool',
    ],
    [
      option('com.docker.network.bridge.gateway_mode_ipv6', 'isolated'),
      500,
      "gateway mode 'isolated' can only be used for an internal network",
    ],
    [
      option('com.docker.network.advertise_addr_ms', '9'),
      500,
      'com.docker.network.advertise_addr_ms must be in the range 100 to 2000',
    ],
    [
      option('com.docker.network.advertise_addr_nmsgs', 'x'),
      500,
      'value for option com.docker.network.advertise_addr_nmsgs "x" must be an integer',
    ],
    [
      option('com.docker.network.bridge.enable_icc', 'abc'),
      400,
      'failed to parse com.docker.network.bridge.enable_icc value: abc (strconv.ParseBool: parsing "abc": invalid syntax)',
    ],
    [
      option('com.docker.network.driver.mtu', 'abc'),
      400,
      'failed to parse com.docker.network.driver.mtu value: abc (strconv.Atoi: parsing "abc": invalid syntax)',
    ],
    [{ Name: 'n', EnableIPv4: false }, 400, 'IPv4 or IPv6 must be enabled'],
    [{ Name: 'n', ConfigFrom: { Network: 'foo' } }, 404, 'configuration network "foo" does not exist'],
    [
      { Name: 'n', ConfigFrom: { Network: 'foo' }, Options: { a: 'b' } },
      403,
      'network driver options are not supported if the network depends on a configuration network',
    ],
    ...[
      { Labels: { a: 'b' } },
      { EnableIPv4: false },
      { EnableIPv6: true },
      { IPAM: { Driver: 'foo' } },
      { IPAM: { Options: { a: 'b' } } },
      { IPAM: { Config: [{ Subnet: '10.0.0.0/24' }] } },
      { Options: { 'com.docker.network.enable_ipv6': 'true' } },
    ].map(
      (own) =>
        [
          { Name: 'n', ConfigFrom: { Network: 'template' }, ...own },
          403,
          'user specified configurations are not supported if the network depends on a configuration network',
        ] as const,
    ),
    [
      { Name: 'n', ConfigOnly: true, ConfigFrom: { Network: 'template' } },
      403,
      'a configuration network cannot depend on another configuration network',
    ],
    [
      { Name: 'n', ConfigOnly: true, Internal: true },
      403,
      'configuration network can only contain network specific fields. Network operator fields like [ ingress | internal | attachable | scope ] are not supported.',
    ],
    [
      { Name: 'n', EnableIPv6: true, IPAM: { Config: [{ Subnet: 'fd00::1/64' }] } },
      400,
      'invalid network config:\ninvalid subnet fd00::1/64: it should be fd00::/64',
    ],
    [
      option('com.docker.network.bridge.gateway_mode_ipv4', 'bad'),
      400,
      'failed to parse com.docker.network.bridge.gateway_mode_ipv4 value: bad (unknown gateway mode bad)',
    ],
    [option('com.docker.network.driver.mtu', '-5'), 400, 'invalid MTU number: -5'],
    [
      option('com.docker.network.host_ipv4', 'abc'),
      400,
      'failed to parse com.docker.network.host_ipv4 value: abc (nil ip)',
    ],
  ];
  for (const [body, status, words] of cases)
    assert.throws(() => parse(body), refused(status, words), JSON.stringify(body));
});

test('a subnet of IPv6 is not even read where IPv6 is off, one of IPv4 always', () => {
  assert.deepEqual(parse(config({ Subnet: 'fd00::1/64', Gateway: 'x' })).families, {
    ipv4: { auxAddresses: {} },
  });
  assert.throws(
    () => parse({ ...config({ Subnet: '10.0.0.7/24' }), EnableIPv4: false, EnableIPv6: true }),
    refused(400, 'invalid network config:\ninvalid subnet 10.0.0.7/24: it should be 10.0.0.0/24'),
  );
});

test('what comes later answers 501 and says what', () => {
  for (const body of [
    { Name: 'n', Driver: 'ipvlan' },
    { Name: 'n', Driver: 'macvlan' },
    option('com.docker.network.bridge.new_one', '1'),
  ])
    assert.throws(
      () => parse(body),
      (error: unknown) => error instanceof EngineError && error.status === 501,
      JSON.stringify(body),
    );
});

test('wrong types are refused', () => {
  for (const body of [{ Name: 3 }, { Name: 'n', Options: { a: 1 } }, { Name: 'n', IPAM: [] }, 'text'])
    assert.throws(
      () => parse(body),
      (error: unknown) => error instanceof EngineError && error.status === 400,
      JSON.stringify(body),
    );
});

test('compose names no driver and no scope: the empty text is the default', () => {
  const wish = parse({ Name: 'n', Driver: '', Scope: '', IPAM: { Driver: '' } });
  assert.equal(wish.name, 'n');
});
