import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseIpv4 } from '../model/address.ts';
import { EngineError } from '../model/errors.ts';
import { type PortBindings, parseContainerPort, parsePortWishes } from './port-spec.ts';

const any = { families: ['ipv4'], hostBinding: undefined, networkName: 'lamp' } as const;
const dual = { ...any, families: ['ipv4', 'ipv6'] } as const;
const wishes = (bindings: PortBindings, exposed: readonly string[] = [], publishAll = false) =>
  parsePortWishes(bindings, exposed, publishAll, any).map(
    ({ hostIps, protocol, containerPort, hostPorts }) =>
      `${hostIps.join('+')}:${hostPorts === undefined ? '' : `${hostPorts.first}-${hostPorts.last}`}>${containerPort}/${protocol}`,
  );
const refused = (status: number, words: RegExp | string) => (error: unknown) =>
  error instanceof EngineError &&
  error.status === status &&
  (typeof words === 'string' ? error.message === words : words.test(error.message));

test('every form of -p as the CLI sends it', () => {
  assert.deepEqual(
    wishes({
      '80/tcp': [{ HostIp: '', HostPort: '8080' }],
      '81': [{ HostPort: '' }],
      '82/tcp': [{ HostIp: '127.0.0.1', HostPort: '' }],
      '83/tcp': [{ HostPort: '9000-9010' }],
      '53/UDP': [{ HostIp: '192.0.2.1', HostPort: '53' }, { HostPort: '5353' }],
      '84/sctp': [],
    }),
    [
      '192.0.2.1:53-53>53/udp',
      '0.0.0.0:5353-5353>53/udp',
      '0.0.0.0:8080-8080>80/tcp',
      '0.0.0.0:>81/tcp',
      '127.0.0.1:>82/tcp',
      '0.0.0.0:9000-9010>83/tcp',
      '0.0.0.0:>84/sctp',
    ],
  );
});

test('-P publishes what is exposed and not published already', () => {
  assert.deepEqual(wishes({ '80/tcp': [{ HostPort: '8080' }] }, ['80/tcp', '443/tcp', '53/udp'], true), [
    '0.0.0.0:>53/udp',
    '0.0.0.0:8080-8080>80/tcp',
    '0.0.0.0:>443/tcp',
  ]);
  assert.deepEqual(wishes({}, ['80/tcp'], false), []);
});

test('without an address it goes where the network publishes', () => {
  const hostBinding = parseIpv4('198.51.100.1');
  const [wish] = parsePortWishes({ '80/tcp': [{}] }, [], false, { ...any, hostBinding });
  assert.deepEqual(wish?.hostIps, ['198.51.100.1']);
  const [both] = parsePortWishes({ '80/tcp': [{}] }, [], false, dual);
  assert.deepEqual(both?.hostIps, ['0.0.0.0', '::']);
  const [one] = parsePortWishes({ '80/tcp': [{ HostIp: '[::1]' }] }, [], false, dual);
  assert.deepEqual(one?.hostIps, ['::1']);
});

test('what is no port is refused', () => {
  for (const key of ['', 'http/tcp', '0/tcp', '65536/tcp', '80/icmp', '80/tcp/udp', '-1', '8 0']) {
    assert.throws(() => parseContainerPort(key), refused(400, `invalid port specification: "${key}"`), key);
  }
  for (const HostPort of ['x', '70000', '20-10', '1-2-3', '-5'])
    assert.throws(() => wishes({ '80/tcp': [{ HostPort }] }), refused(400, /^invalid port/), HostPort);
  assert.throws(() => wishes({ '80/tcp': [{ HostIp: '1.2.3' }] }), refused(400, /1\.2\.3/));
  assert.throws(
    () => wishes({ '80/tcp': [{ HostIp: '::1' }] }),
    refused(400, /network lamp has no IPv6 \(create it with --ipv6\)/),
  );
});
