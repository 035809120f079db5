import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseIpv4, parseIpv6, parsePrefix } from '../../model/address.ts';
import { EngineError } from '../../model/errors.ts';
import { checkReserved, parseIpam } from './ipam-request.ts';

const none = { subnet: undefined, range: undefined, gateway: undefined, aux: {} };
const refused = (status: number, words: string) => (error: unknown) => {
  assert.ok(error instanceof EngineError);
  assert.deepEqual([error.status, error.message], [status, words]);
  return true;
};

test('every mistake of every subnet is told at once', () => {
  const wrong = {
    subnet: '10.0.0.7/24',
    range: '10.2.0.1/25',
    gateway: '10.1.0.1',
    aux: { a: '10.3.0.1', b: 'x' },
  };
  const other = { ...none, subnet: '10.8.0.0/24', range: '10.8.0.5/16', gateway: 'fd00::1' };
  assert.throws(
    () =>
      parseIpam(
        [wrong, other, { ...none, subnet: 'bad', gateway: 'x' }],
        { ipv4: true, ipv6: false },
        'bridge',
      ),
    refused(
      400,
      [
        'invalid network config:',
        '* invalid subnet 10.0.0.7/24: it should be 10.0.0.0/24',
        '* invalid ip-range 10.2.0.1/25: it should be 10.2.0.0/25',
        "* invalid ip-range 10.2.0.1/25: parent subnet 10.0.0.7/24 doesn't contain ip-range",
        "* invalid gateway 10.1.0.1: parent subnet 10.0.0.7/24 doesn't contain this address",
        "* invalid auxiliary address a: parent subnet 10.0.0.7/24 doesn't contain this address",
        '* invalid auxiliary address b: invalid address',
        '* invalid ip-range 10.8.0.5/16: CIDR block is bigger than its parent subnet 10.8.0.0/24',
        '* invalid ip-range 10.8.0.5/16: it should be 10.8.0.0/16',
        '* invalid gateway fd00::1: parent subnet is an IPv4 block',
        '* invalid subnet bad: invalid CIDR block notation',
      ].join('\n'),
    ),
  );
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
  const check6 = (subnet: string, gateway: string) =>
    checkReserved(parsePrefix(subnet), parseIpv6(gateway), {});
  check6('fd00:9::/64', 'fd00:9::ffff:ffff:ffff:ffff');
  check6('fd00:9::/127', 'fd00:9::');
  assert.throws(
    () => check6('fd00:9::/64', 'fd00:9::'),
    refused(500, 'failed to allocate gateway (fd00:9::): Address already in use'),
  );
  assert.throws(
    () => check6('fd00:9::7/128', 'fd00:9::7'),
    refused(500, 'failed to allocate gateway (): no available addresses on this pool'),
  );
  assert.throws(
    () => check6('ff0e::/64', 'ff0e::1'),
    refused(400, "multicast subnet 'ff0e::1/64' is not allowed"),
  );
});
