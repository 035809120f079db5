import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseIpv4, parsePrefix } from '../../model/address.ts';
import { EngineError } from '../../model/errors.ts';
import { checkReserved, gatewayOf, parseNetworkRequest } from './network-request.ts';

const refused = (status: number, words: string) => (error: unknown) => {
  assert.ok(error instanceof EngineError);
  assert.deepEqual([error.status, error.message], [status, words]);
  return true;
};
const config = (some: object): object => ({ Name: 'n', IPAM: { Config: [some] } });
const option = (name: string, value: string): object => ({ Name: 'n', Options: { [name]: value } });

test('everything a bridge network can be given', () => {
  const wish = parseNetworkRequest({
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
      ],
    },
    Options: {
      'com.docker.network.bridge.name': 'br9',
      'com.docker.network.bridge.enable_icc': 'false',
      'com.docker.network.bridge.host_binding_ipv4': '127.0.0.1',
      'com.docker.network.driver.mtu': '1400',
      'com.docker.network.host_ipv4': '192.0.2.1',
      'not.of.docker': 'kept',
    },
    SomethingNew: 1,
  });
  assert.deepEqual(wish.subnet, parsePrefix('10.1.0.0/16'));
  assert.deepEqual(wish.ipRange, parsePrefix('10.1.4.0/24'));
  assert.equal(wish.gateway, '10.1.0.9');
  assert.deepEqual(wish.auxAddresses, { router: '10.1.0.7' });
  assert.equal(wish.internal, true);
  assert.deepEqual(wish.bridge, {
    ifName: 'br9',
    icc: false,
    hostBinding: '127.0.0.1',
    mtu: 1400,
    egress: { mode: 'snat', to: '192.0.2.1' },
  });
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
    [option('com.docker.network.driver.mtu', '-5'), 400, 'invalid MTU number: -5'],
    [
      option('com.docker.network.host_ipv4', 'abc'),
      400,
      'failed to parse com.docker.network.host_ipv4 value: abc (nil ip)',
    ],
  ];
  for (const [body, status, words] of cases)
    assert.throws(() => parseNetworkRequest(body), refused(status, words), JSON.stringify(body));
});

test('every mistake of a subnet is told at once', () => {
  assert.throws(
    () =>
      parseNetworkRequest(
        config({
          Subnet: '10.0.0.0/24',
          Gateway: '10.1.0.1',
          IPRange: '10.2.0.0/25',
          AuxiliaryAddresses: { a: '10.3.0.1' },
        }),
      ),
    (error: Error) => ['gateway', 'ip-range', 'auxiliary'].every((word) => error.message.includes(word)),
  );
});

test('what comes later answers 501 and says what', () => {
  for (const body of [
    { Name: 'n', EnableIPv6: true },
    { Name: 'n', Driver: 'overlay' },
    { Name: 'n', Driver: 'macvlan' },
    { Name: 'n', ConfigOnly: true },
  ])
    assert.throws(
      () => parseNetworkRequest(body),
      (error: unknown) => error instanceof EngineError && error.status === 501,
      JSON.stringify(body),
    );
});

test('wrong types are refused', () => {
  for (const body of [{ Name: 3 }, { Name: 'n', Options: { a: 1 } }, { Name: 'n', IPAM: [] }, 'text'])
    assert.throws(
      () => parseNetworkRequest(body),
      (error: unknown) => error instanceof EngineError && error.status === 400,
      JSON.stringify(body),
    );
});

test('the gateway is the first address a host may have', () => {
  const first = (subnet: string): string => gatewayOf(parsePrefix(subnet), undefined).address;
  assert.equal(first('10.0.0.0/24'), '10.0.0.1');
  assert.equal(first('10.0.0.4/31'), '10.0.0.4');
  assert.equal(first('10.0.0.4/32'), '10.0.0.4');
});

test('a gateway or reserved address that nobody can have', () => {
  const check = (gateway: string, aux: Record<string, string> = {}) =>
    checkReserved(
      parsePrefix('10.9.3.0/24'),
      parseIpv4(gateway),
      Object.fromEntries(Object.entries(aux).map(([name, text]) => [name, parseIpv4(text)])),
    );
  check('10.9.3.1', { a: '10.9.3.2' });
  assert.throws(
    () => check('10.9.3.0'),
    refused(500, 'failed to allocate gateway (10.9.3.0): Address already in use'),
  );
  assert.throws(
    () => check('10.9.3.255'),
    refused(500, 'failed to allocate gateway (10.9.3.255): Address already in use'),
  );
  assert.throws(
    () => check('10.9.3.1', { a: '10.9.3.1' }),
    refused(500, 'failed to allocate secondary ip address (a:10.9.3.1): Address already in use'),
  );
});

test('compose names no driver and no scope: the empty text is the default', () => {
  const wish = parseNetworkRequest({ Name: 'n', Driver: '', Scope: '', IPAM: { Driver: '' } });
  assert.equal(wish.name, 'n');
});
