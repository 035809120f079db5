import assert from 'node:assert/strict';
import { test } from 'node:test';
import { network } from '../../explain/example.ts';
import { checkLegacy } from './legacy-check.ts';

const lan = network({ name: 'lan', subnet: '10.1.0.0', bridge: 'br-lan' });

function found(policy: string, ...rules: readonly string[]): string[] {
  const listing = `*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ${policy} [0:0]\n:mine - [0:0]\n${rules.map((rule) => `-A ${rule}\n`).join('')}COMMIT\n`;
  const legacy = [{ family: 'ipv4' as const, tables: ['filter'], listing }];
  return checkLegacy({ networks: [lan], legacy }).map(
    ({ kind, severity, subject, fix }) => `${kind} ${severity} ${subject}: ${fix.join('; ')}`,
  );
}

test('a chain that is closed by its policy or its last rule, until our bridges are let through', () => {
  const [closed = ''] = found('DROP');
  assert.equal(
    closed,
    'forward-chain error iptables-legacy filter FORWARD: sudo iptables-legacy -t filter -I FORWARD -i br-lan -j ACCEPT; sudo iptables-legacy -t filter -I FORWARD -o br-lan -j ACCEPT',
  );
  assert.equal(found('ACCEPT', 'FORWARD -s 10.9.0.0/16 -j ACCEPT', 'FORWARD -j REJECT').length, 1);
  assert.deepEqual(found('DROP', 'FORWARD -i br-lan -j ACCEPT', 'FORWARD -o br-lan -j ACCEPT'), []);
  assert.deepEqual(found('ACCEPT', 'INPUT -j DROP'), []);
});

test('rules that drop what is ours, or of everybody; not what is somebody else’s, invalid, or out of the way', () => {
  assert.deepEqual(found('ACCEPT', 'FORWARD -j mine', 'mine -d 10.1.0.7/32 -j DROP'), [
    'forward-rule error iptables-legacy filter mine 1: sudo iptables-legacy -t filter -D mine -d 10.1.0.7/32 -j DROP',
  ]);
  assert.deepEqual(
    found('ACCEPT', 'FORWARD -i br-+ -p tcp -j REJECT').map((line) => line.split(':')[0]),
    ['forward-rule error iptables-legacy filter FORWARD 1'],
  );
  assert.deepEqual(
    found('ACCEPT', 'FORWARD -p udp -m udp --dport 53 -j DROP').map((line) => line.split(':')[0]),
    ['forward-rule warning iptables-legacy filter FORWARD 1'],
  );
  assert.deepEqual(found('ACCEPT', 'mine -d 10.1.0.7/32 -j DROP', 'FORWARD -i eth9 -j DROP'), []);
  assert.deepEqual(found('ACCEPT', 'FORWARD -m conntrack --ctstate INVALID -j DROP'), []);
});

test('tables that cannot be listed are told', () => {
  const legacy = [{ family: 'ipv4' as const, tables: ['filter'], listing: undefined }];
  assert.deepEqual(
    checkLegacy({ networks: [lan], legacy }).map(({ severity, subject }) => `${severity} ${subject}`),
    ['note iptables-legacy'],
  );
});
