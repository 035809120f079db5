import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { DaemonConfig } from '../engine/config.ts';
import { loadConfig } from './configuration.ts';
import { helpText, parseFlags } from './flags.ts';
import { OPTIONS } from './option.ts';
import { ConfigError } from './values.ts';

const directory = mkdtempSync(join(tmpdir(), 'gangway-config-'));
const file = join(directory, 'daemon.json');
after(() => rmSync(directory, { recursive: true }));

function load(flags: string, json: string): DaemonConfig {
  writeFileSync(file, json);
  const invocation = parseFlags([...flags.split(' ').filter(Boolean), '--config-file', file], '1');
  assert(invocation.action !== 'print');
  return loadConfig(invocation.flags, invocation.configFile);
}

function refusal(flags: string, json = ''): string {
  try {
    load(flags, json);
  } catch (error) {
    assert(error instanceof ConfigError, String(error));
    return error.message.replace(`unable to configure the Docker daemon with file ${file}: `, 'FILE: ');
  }
  return 'accepted';
}

const HINT = "\nSee 'gangwayd --help'.";
const MERGED = 'FILE: merged configuration validation from file and command line flags failed: ';

// Texts recorded from dockerd 28.5.2 --validate, where it has the case.
const REFUSED: readonly (readonly [flags: string, json: string, text: string])[] = [
  ['--foo', '', `unknown flag: --foo${HINT}`],
  ['--foo=bar', '', `unknown flag: --foo${HINT}`],
  ['--debgu', '', `unknown flag: --debgu\nDid you mean --debug?${HINT}`],
  ['-Z', '', `unknown shorthand flag: 'Z' in -Z${HINT}`],
  ['extra', '', `"gangwayd" accepts no arguments: extra${HINT}`],
  [
    '--debug=maybe',
    '',
    `invalid argument "maybe" for "-D, --debug" flag: strconv.ParseBool: parsing "maybe": invalid syntax${HINT}`,
  ],
  [
    '--mtu abc',
    '',
    `invalid argument "abc" for "--mtu" flag: strconv.ParseInt: parsing "abc": invalid syntax${HINT}`,
  ],
  ['--mtu -1', '', 'invalid default MTU: -1'],
  ['--log-level loud', '', 'invalid logging level: loud'],
  ['--label foo', '', `invalid argument "foo" for "--label" flag: bad attribute format: foo${HINT}`],
  ['--label a=b --label a=c', '', 'conflict labels for a=c and a=b'],
  [
    '--dns 300.1.1.1',
    '',
    `invalid argument "300.1.1.1" for "--dns" flag: invalid string being converted to IP address: 300.1.1.1${HINT}`,
  ],
  ['--ip nope', '', `invalid argument "nope" for "--ip" flag: failed to parse IP: "nope"${HINT}`],
  [
    '-H foo://x',
    '',
    `invalid argument "foo://x" for "-H, --host" flag: invalid bind address (foo://x): unsupported proto 'foo'${HINT}`,
  ],
  [
    '--default-ulimit nofoo=1',
    '',
    `invalid argument "nofoo=1" for "--default-ulimit" flag: invalid ulimit type: nofoo${HINT}`,
  ],
  [
    '--default-ulimit nofile=10:5',
    '',
    `invalid argument "nofile=10:5" for "--default-ulimit" flag: ulimit soft limit must be less than or equal to hard limit: 10 > 5${HINT}`,
  ],
  [
    '--default-address-pool foo',
    '',
    `invalid argument "foo" for "--default-address-pool" flag: invalid field 'foo' must be a key=value pair${HINT}`,
  ],
  [
    '--registry-mirror ftp://x',
    '',
    `invalid argument "ftp://x" for "--registry-mirror" flag: invalid mirror: unsupported scheme "ftp" in "ftp://x": must use either 'https://' or 'http://'${HINT}`,
  ],
  ['--max-concurrent-downloads -1', '', 'invalid max concurrent downloads: -1'],
  [
    '--bridge br0 --bip 1.2.3.4/24',
    '',
    'You specified -b & --bip, mutually exclusive options. Please specify only one',
  ],
  ['--bip 10.0.0/8', '', 'invalid bip: invalid CIDR address: 10.0.0/8'],
  [
    '--bip 10.1.0.1/24 --fixed-cidr 10.2.0.0/25',
    '',
    "invalid fixed-cidr: 10.2.0.0/25 is not part of the bridge's subnet 10.1.0.0/24",
  ],
  ['--bip fd00::1/64', '', 'invalid bip: fd00::1/64 is not an IPv4 address'],
  ['--bip6 10.0.0.1/24', '', 'invalid bip6: 10.0.0.1/24 is not an IPv6 address'],
  [
    '--bip6 fd00:1::1/64 --fixed-cidr-v6 fd00:2::/80',
    '',
    "invalid fixed-cidr-v6: fd00:2::/80 is not part of the bridge's subnet fd00:1::/64",
  ],
  [
    '--bridge-accept-fwmark 1/x',
    '',
    'invalid bridge-accept-fwmark: invalid firewall mark "1/x": it should be MARK or MARK/MASK',
  ],
  ['--http-proxy nowhere', '', 'invalid http-proxy: "nowhere" should be http://HOST:PORT'],
  ['--rootless', '', '--rootless is not implemented by Gangway yet'],
  ['', '{"rootless":true}', 'FILE: "rootless" is not implemented by Gangway yet'],
  ['', '{"foo":1}', "FILE: the following directives don't match any configuration option: foo"],
  ['', '{"foo":1,"bar":2}', "FILE: the following directives don't match any configuration option: foo, bar"],
  [
    '--debug',
    '{"debug":true}',
    'FILE: the following directives are specified both as a flag and in the configuration file: debug: (from flag: true, from file: true)',
  ],
  [
    '--mtu 1400 --debug=false',
    '{"debug":true,"mtu":1400}',
    'FILE: the following directives are specified both as a flag and in the configuration file: debug: (from flag: false, from file: true), mtu: (from flag: 1400, from file: 1400)',
  ],
  [
    '--label c=d',
    '{"labels":["a=b"]}',
    'FILE: the following directives are specified both as a flag and in the configuration file: labels: (from flag: [c=d], from file: [a=b])',
  ],
  ['', '{bad', "FILE: invalid JSON: invalid character 'b' looking for beginning of object key string"],
  ['', '{"debug":true} x', "FILE: invalid JSON: invalid character 'x' after top-level value"],
  [
    '',
    '[]',
    'FILE: invalid JSON: json: cannot unmarshal array into Go value of type map[string]interface {}',
  ],
  [
    '',
    '{"debug":"yes"}',
    'FILE: invalid JSON: json: cannot unmarshal string into Go struct field Config.debug of type bool',
  ],
  [
    '',
    '{"mtu":"1400"}',
    'FILE: invalid JSON: json: cannot unmarshal string into Go struct field Config.mtu of type int',
  ],
  [
    '',
    '{"log-opts":{"max-size":1}}',
    'FILE: invalid JSON: json: cannot unmarshal number into Go struct field Config.log-opts.max-size of type string',
  ],
  ['', '{"log-level":"loud"}', `${MERGED}invalid logging level: loud`],
];

for (const [flags, json, text] of REFUSED) {
  test(`refuses ${flags} ${json}`, () => assert.equal(refusal(flags, json), text));
}

test('a missing argument is told', () => {
  assert.throws(() => parseFlags(['--bip'], '1'), { message: `flag needs an argument: --bip${HINT}` });
});

test('flags and file add up', () => {
  const config = load(
    '-D -H unix:///a.sock -H tcp://:2375 --bip 10.10.10.10/24 --dns 1.1.1.1 --dns 9.9.9.9 --icc=false --bip6 FD00::1/64 --iptables=false --bridge-accept-fwmark 0x1/3',
    '{"mtu": 1400, "labels": ["a=b"], "fixed-cidr": "10.10.10.128/25", "ipv6": true, "userland-proxy": true, "default-network-opts": {"bridge": {"a": "b"}}}',
  );
  assert.deepEqual(config.hosts, ['unix:///a.sock', 'tcp://localhost:2375']);
  assert.equal(config.logLevel, 'debug');
  assert.deepEqual(config.labels, ['a=b']);
  assert.deepEqual(config.network, {
    bip: { address: '10.10.10.10', length: 24 },
    bip6: { address: 'fd00::1', length: 64 },
    ipv6: true,
    fixedCidr: { address: '10.10.10.128', length: 25 },
    dns: ['1.1.1.1', '9.9.9.9'],
    dnsSearch: [],
    dnsOpts: [],
    ip: '0.0.0.0',
    mtu: 1400,
    icc: false,
    ipMasq: true,
    ipForward: true,
    bridgeAcceptFwmark: { mark: 1, mask: 3 },
    iptables: false,
    ip6tables: false,
    allowDirectRouting: false,
    hostGatewayIps: [],
    defaultNetworkOpts: { bridge: { a: 'b' } },
    defaultAddressPools: [],
  });
});

test('nothing given: the defaults', () => {
  const config = load('', '');
  assert.deepEqual(config.hosts, ['unix:///run/gangway/docker.sock']);
  assert.equal(config.dataRoot, '/var/lib/gangway');
  assert.equal(config.pidfile, '/run/gangway/gangwayd.pid');
  assert.equal(config.containerd, undefined);
  assert.equal(config.network.bridge, undefined);
});

test('an absent file that was asked for is an error, the default one is not', () => {
  assert.throws(() => loadConfig({}, '/nonexistent.json'), {
    message:
      'unable to configure the Docker daemon with file /nonexistent.json: open /nonexistent.json: no such file or directory',
  });
});

test('every flag of the help is in the table once, and the page fits 100 columns', () => {
  const keys = OPTIONS.map((option) => option.key);
  assert.equal(new Set(keys).size, keys.length);
  for (const line of helpText().split('\n')) assert(line.length <= 100, line);
});
