import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EngineError } from '../../model/errors.ts';
import { checkEndpointSettings, parseEndpointOptions } from './endpoint-options.ts';

const sysctls = (text: string) => ({ DriverOpts: { 'com.docker.network.endpoint.sysctls': text } });

test('settings of an interface name it IFNAME, in either case', () => {
  const options = parseEndpointOptions(
    sysctls('net.ipv4.conf.ifname.log_martians=1,net.ipv6.conf.IFNAME.accept_ra=0'),
  );
  assert.deepEqual(options.sysctls, {
    'net/ipv4/conf/IFNAME/log_martians': '1',
    'net/ipv6/conf/IFNAME/accept_ra': '0',
  });
});

test('a name of its own, and further addresses', () => {
  const options = parseEndpointOptions({
    DriverOpts: { 'com.docker.network.endpoint.ifname': 'lan0', other: 'x' },
    IPAMConfig: { LinkLocalIPs: ['169.254.34.68', 'fe80::1'] },
  });
  assert.equal(options.ifName, 'lan0');
  assert.deepEqual(options.linkLocal, [
    { address: '169.254.34.68', length: 16 },
    { address: 'fe80::1', length: 64 },
  ]);
});

test('what is no setting of an interface, no name, no address is refused', () => {
  const wrong = [
    sysctls('net.ipv4.ip_forward=1'),
    sysctls('net.ipv4.conf.eth0.log_martians=1'),
    sysctls('kernel.x.conf.IFNAME.y=1'),
    sysctls('net.ipv4.conf.IFNAME./../x=1'),
    { DriverOpts: { 'com.docker.network.endpoint.ifname': 'a/b' } },
    { IPAMConfig: { LinkLocalIPs: ['169.254'] } },
  ];
  for (const settings of wrong) {
    assert.throws(
      () => checkEndpointSettings(settings),
      (error: unknown) =>
        error instanceof EngineError &&
        error.status === 400 &&
        error.message.startsWith('invalid endpoint settings:\n'),
      JSON.stringify(settings),
    );
  }
});
