import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { loadConfig } from '../../daemon/configuration.ts';
import { endpoint, network } from '../../explain/example.ts';
import { writeNetworkFiles } from './network-files.ts';

const directory = mkdtempSync(join(tmpdir(), 'gangway-files-'));
after(() => rmSync(directory, { recursive: true }));
const bridge = network({ name: 'bridge', subnet: '172.17.0.0', bridge: 'docker0' });
const request = {
  containerId: 'c',
  hostname: 'web',
  domainname: '',
  extraHosts: [],
  dns: ['192.0.2.53'],
  dnsSearch: [],
  dnsOptions: [],
  links: [],
  mode: 'own',
  directory,
} as const;
const config = loadConfig({}).network;
const write = (some: object = {}, addresses: readonly string[] = ['172.17.0.2']) =>
  writeNetworkFiles(
    { ...request, ...some },
    {
      endpoints: addresses.map((address) => endpoint(bridge, 'web', address, [])),
      config,
      hostGateways: ['172.17.0.1'],
      ownNameServer: false,
    },
  );

test('the three files, with Docker names, for the container and what it was given', () => {
  const files = write({ extraHosts: ['db:10.0.0.9', 'up=host-gateway', 'six:[fd00::1]'] });
  const hosts = readFileSync(files.hostsPath, 'utf8');
  assert.ok(hosts.endsWith('10.0.0.9\tdb\n172.17.0.1\tup\nfd00::1\tsix\n172.17.0.2\tweb\n'));
  assert.equal(readFileSync(files.hostnamePath, 'utf8'), 'web\n');
  assert.match(readFileSync(files.resolvConfPath, 'utf8'), /^nameserver 192\.0\.2\.53$/m);
});

test('written again in place: the inode that is mounted in the container stays, nothing old is left', () => {
  const files = write({}, ['172.17.0.2', '172.18.0.2']);
  const before = statSync(files.hostsPath).ino;
  write({}, ['172.18.0.3']);
  assert.equal(statSync(files.hostsPath).ino, before);
  assert.ok(readFileSync(files.hostsPath, 'utf8').endsWith('ip6-allrouters\n172.18.0.3\tweb\n'));
});

test("in the host's namespace they are the host's own, unless the user wants otherwise", () => {
  const host = { mode: 'host', dns: [] };
  const files = write(host, []);
  assert.equal(readFileSync(files.hostsPath, 'utf8'), readFileSync('/etc/hosts', 'utf8'));
  assert.equal(readFileSync(files.resolvConfPath, 'utf8'), readFileSync('/etc/resolv.conf', 'utf8'));
  write({ ...host, extraHosts: ['a:1.2.3.4'] }, []);
  assert.ok(readFileSync(files.hostsPath, 'utf8').endsWith('1.2.3.4\ta\n'));
});
