import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judge, type Undecided } from './evaluate.ts';
import { parseListing } from './listing.ts';

/** As libnftables 1.0.6 lists what nft and iptables-nft made. */
const LISTING = `table inet fw { # handle 4
	set bad { # handle 10
		type ipv4_addr
		flags interval
		elements = { 10.1.0.0/16, 10.2.0.1,
			     10.3.0.0-10.3.0.9 }
	}

	chain input { # handle 1
		type filter hook input priority 0; policy drop;
		ct state vmap { invalid : drop, established : accept } # handle 4
		iifname { "lo", "docker0" } accept # handle 6
		ip saddr 10.0.0.0/24 tcp dport { 22, 80-90 } counter accept # handle 8
		fib daddr type local udp dport 53 reject # handle 9
		ip saddr @bad drop # handle 11
		iifname "br-*" th dport 1-100 log prefix "a { b" jump more # handle 13
		meta mark & 0x000000ff == 0x00000001 accept # handle 14
		limit rate 5/second log # handle 15
		xt match physdev counter accept # handle 16
	}

	chain more { # handle 2
		meta l4proto icmp ip saddr 10.0.0.0/8 icmp type echo-request counter drop # handle 17
		tcp dport 7 return # handle 18
		meta l4proto tcp tcp dport { 80, 443 } counter reject with tcp reset # handle 19
	}
}
`;

const table = parseListing(LISTING);
assert.ok(table);
const [input] = table.chains;
assert.ok(input);

type Some = Readonly<Record<string, string>>;

function ask(some: Some) {
  const undecided: Undecided[] = [];
  const packet: Some = {
    nfproto: 'ipv4',
    l4proto: 'tcp',
    iifname: 'eth0',
    saddr: '192.0.2.1',
    daddr: '192.0.2.9',
    dport: '1000',
    mark: '0',
    'ct state': 'new',
    'fib daddr type': 'local',
    ...some,
  };
  assert.ok(table && input);
  const { verdict, rule } = judge(table, input, (field) => packet[field], undecided);
  return [verdict.kind, rule?.handle ?? 'policy', ...undecided.map((each) => each.rule.handle)].join(' ');
}

test('a listing is read with its sets and chains', () => {
  assert.equal(table.family, 'inet');
  assert.deepEqual(
    table.chains.map(({ name, rules }) => [name, rules.length]),
    [
      ['input', 9],
      ['more', 3],
    ],
  );
  assert.equal(table.sets.get('bad')?.length, 3);
  assert.deepEqual(input.base, { type: 'filter', hook: 'input', priority: 0, policy: 'drop' });
});

test('matches, sets, ranges, verdict maps, jumps, the policy', () => {
  assert.equal(ask({ 'ct state': 'established' }), 'accept 4');
  assert.equal(ask({ iifname: 'lo' }), 'accept 6');
  assert.equal(ask({ saddr: '10.0.0.9', dport: '85' }), 'accept 8');
  assert.equal(ask({ l4proto: 'udp', dport: '53' }), 'reject 9');
  assert.equal(ask({ saddr: '10.1.2.3' }), 'drop 11');
  assert.equal(ask({ saddr: '10.3.0.9' }), 'drop 11');
  assert.equal(ask({ iifname: 'br-a', dport: '80' }), 'reject 19');
  assert.equal(ask({ mark: '257' }), 'accept 14');
});

test('a mark that is set is looked at by later rules, and an interface that is not there is another one', () => {
  const lines = [
    'type filter hook output priority 0; policy accept;',
    'tcp dport 9 counter meta mark set 0x00000007 # handle 1',
    'udp dport 9 meta mark set ct mark & 0x0000ff00 # handle 2',
    'tcp dport 6 limit rate 5/second meta mark set 0x00000007 # handle 7',
    'meta mark 0x00000007 drop # handle 3',
    'tcp dport 5 notrack # handle 4',
    'ct state untracked reject # handle 5',
    'iifname != "lo" masquerade # handle 6',
  ];
  const own = parseListing(`table ip t { # handle 1\n chain c { # handle 1\n${lines.join('\n')}\n}\n}`);
  const run = (some: Some): string => {
    const undecided: Undecided[] = [];
    const packet: Some = {
      nfproto: 'ipv4',
      l4proto: 'tcp',
      iifname: '',
      mark: '0',
      'ct state': 'new',
      ...some,
    };
    const [chain] = own?.chains ?? [];
    assert.ok(own && chain);
    const { verdict, rule } = judge(own, chain, (field) => packet[field], undecided);
    return [verdict.kind, rule?.handle, ...undecided.map((each) => each.rule.handle)].join(' ');
  };
  assert.equal(run({ dport: '9' }), 'drop 3');
  assert.equal(run({ dport: '9', l4proto: 'udp' }), 'masquerade 6 3');
  assert.equal(run({ dport: '6' }), 'masquerade 6 3', 'whether it was set cannot be told');
  assert.equal(run({ dport: '5' }), 'reject 5');
  assert.equal(run({ dport: '1' }), 'masquerade 6');
  assert.equal(run({ dport: '1', iifname: 'lo' }), 'none ');
});

test('what cannot be understood is said, and not taken for a match', () => {
  assert.equal(ask({}), 'drop policy 16');
  assert.equal(ask({ iifname: 'br-a', dport: '7' }), 'drop policy 16');
});
