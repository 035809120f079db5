import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EndpointSettings } from '@docker/node-sdk';
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
    sysctls('net.ipv4.conf.IFNAME.log_martians'),
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

test('every mistake is told at once, in the words of dockerd 28.5', () => {
  const message = (settings: EndpointSettings): string => {
    try {
      checkEndpointSettings(settings);
      return 'nothing';
    } catch (error) {
      return error instanceof EngineError ? `${error.status} ${error.message}` : String(error);
    }
  };
  const ipam = { IPv4Address: 'fd00::7', IPv6Address: '10.0.0.7', LinkLocalIPs: ['x', '169.254.1.1/16'] };
  assert.equal(
    message({ IPAMConfig: ipam, ...sysctls('kernel.x=1') }),
    [
      '400 invalid endpoint settings:',
      '* invalid IPv4 address: fd00::7',
      '* invalid IPv6 address: 10.0.0.7',
      '* invalid link-local IP address: x',
      '* invalid link-local IP address: 169.254.1.1/16',
      "* unrecognised network interface sysctl 'kernel.x=1'; represent 'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'",
    ].join('\n'),
  );
  assert.equal(message({ MacAddress: 'x', IPAMConfig: ipam }), '400 invalid MAC address x');
  assert.equal(message({ MacAddress: '', IPAMConfig: { IPv4Address: '', IPv6Address: '' } }), 'nothing');
});

test('an address that is none of a link is refused when it is to be used, as dockerd does', () => {
  for (const address of ['8.8.8.8', 'fd00::9']) {
    const settings = { IPAMConfig: { LinkLocalIPs: ['fe80::1', address] } };
    checkEndpointSettings(settings);
    assert.throws(() => parseEndpointOptions(settings), {
      message: `failed to set up container networking: invalid link local IP address: ${address}`,
    });
  }
});
