import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseFirewall } from './firewall-rules.ts';

const LISTING = `table inet harsh { # handle 4
	set bad { # handle 2
		type ipv4_addr
	}

	chain input { # handle 1
		type filter hook input priority filter; policy accept;
		ip saddr @bad counter drop # handle 3
		udp dport 4789 drop comment "no drop" # handle 5
	}

	chain more { # handle 6
		tcp dport { 80, 443 } accept # handle 7
	}
}
`;

test('base chains with their policy', () => {
  assert.deepEqual(parseFirewall(LISTING).chains, [
    { family: 'inet', table: 'harsh', chain: 'input', hook: 'input', policy: 'accept' },
  ]);
});

test('rules of a listing, with the chain and hook they are in', () => {
  assert.deepEqual(
    parseFirewall(LISTING).rules.map(({ family, table, chain, hook, handle, text }) =>
      [family, table, chain, hook ?? '-', handle, text].join(' '),
    ),
    [
      'inet harsh input input 3 ip saddr @bad drop',
      'inet harsh input input 5 udp dport 4789 drop comment "no drop"',
      'inet harsh more - 7 tcp dport { 80, 443 } accept',
    ],
  );
});
