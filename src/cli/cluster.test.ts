import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatCluster } from './cluster.ts';

test('hosts and networks in columns, the state in a sentence', () => {
  const text = formatCluster(
    {
      state: 'away',
      since: 1000,
      fault: 'connect ECONNREFUSED 192.0.2.9:2379',
      waiting: 2,
      nodes: [
        { id: '0123456789abcdef', name: 'alpha', address: '192.0.2.1', own: true, state: 'alive' },
        { id: 'fedcba9876543210', name: 'b', address: '192.0.2.20', own: false, state: 'away' },
      ],
      networks: [
        { name: 'lamp', subnets: ['10.0.0.0/24'], vni: 4096, here: 1, elsewhere: 2, blocks: ['10.0.0.0/28'] },
      ],
    },
    8000,
  );
  assert.equal(
    text,
    `The cluster store is away: traffic, names and local starts go on (since 7 s), 2 changes of this host wait for it.
  connect ECONNREFUSED 192.0.2.9:2379

HOST                ADDRESS      STATE   ID
alpha (this host)   192.0.2.1    alive   0123456789ab
b                   192.0.2.20   away    fedcba987654

NETWORK   SUBNET        VNI    HERE   ELSEWHERE   BLOCKS OF THIS HOST
lamp      10.0.0.0/24   4096   1      2           10.0.0.0/28`,
  );
});
