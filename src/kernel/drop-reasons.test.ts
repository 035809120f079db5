import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDrops } from './drop-reasons.ts';

test('reasons and places are read from a trace, what was used up is left out', () => {
  const trace = `# tracer: nop
#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION
            node-812     [001] ..s2.   31.404104: kfree_skb: skbaddr=00000000d2bd1ad1 rx_sk=0000000000000000 protocol=2048 location=nf_hook_slow+0xaf/0x100 reason: NETFILTER_DROP
            node-812     [001] ..s2.   31.404110: kfree_skb: skbaddr=00000000d2bd1ad1 protocol=2048 location=0xffffffff81 reason: NO_SOCKET
            node-812     [001] ..s2.   31.404111: kfree_skb: skbaddr=00000000d2bd1ad1 protocol=2048 location=tcp_ack+0x1/0x2 reason: CONSUMED
`;
  assert.deepEqual(parseDrops(trace), [
    { location: 'nf_hook_slow+0xaf/0x100', reason: 'NETFILTER_DROP' },
    { location: '0xffffffff81', reason: 'NO_SOCKET' },
  ]);
});
