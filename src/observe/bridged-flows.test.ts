import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TcpMark } from '../kernel/bridged-packets.ts';
import type { Ip } from '../model/address.ts';
import { reversed } from '../model/tuple.ts';
import { BridgedFlows } from './bridged-flows.ts';

const there = {
  protocol: 'tcp',
  source: '10.9.1.2' as Ip,
  destination: '10.9.1.3' as Ip,
  sourcePort: 4000,
  destinationPort: 80,
} as const;
const back = reversed(there);
const mark = (more: Partial<TcpMark>): TcpMark => ({
  syn: false,
  ack: true,
  fin: false,
  reset: false,
  sequence: 0,
  acknowledged: 0,
  length: 0,
  ...more,
});
const TOP = 2 ** 32;

test('a connection from SYN to the second FIN: its bytes by sequence numbers, over their end', () => {
  const flows = new BridgedFlows();
  const syn = mark({ syn: true, ack: false, sequence: TOP - 10 });
  const open = flows.take({ tuple: there, tcp: syn });
  assert.deepEqual([open?.kind, open?.original, open?.reply], ['begun', there, back]);
  assert.equal(flows.take({ tuple: there, tcp: syn }), undefined, 'the same SYN again');
  assert.equal(
    flows.take({ tuple: back, tcp: mark({ syn: true, sequence: 500, acknowledged: TOP - 9 }) }),
    undefined,
  );
  // 100 bytes there, 1000 back, the last 20 of them with the FIN.
  const fin = mark({ fin: true, sequence: 501 + 980, acknowledged: 91, length: 20 });
  assert.equal(flows.take({ tuple: back, tcp: fin }), undefined);
  const last = mark({ fin: true, sequence: 91, acknowledged: 501 + 1000 + 1 });
  const close = flows.take({ tuple: there, tcp: last });
  assert.deepEqual([close?.kind, close?.original, close?.answered], ['ended', there, true]);
  assert.deepEqual([close?.traffic?.there.bytes, close?.traffic?.back.bytes], [100, 1000]);
  assert.equal(flows.take({ tuple: there, tcp: last }), undefined, 'its end is told once');
});

test('refused: answered, and nothing passed', () => {
  const flows = new BridgedFlows();
  flows.take({ tuple: there, tcp: mark({ syn: true, ack: false, sequence: 7 }) });
  const close = flows.take({ tuple: back, tcp: mark({ reset: true, acknowledged: 8 }) });
  assert.deepEqual([close?.answered, close?.traffic?.there.bytes, close?.traffic?.back.bytes], [true, 0, 0]);
});

test('datagrams begin, and do not end; what began before is not told', () => {
  const flows = new BridgedFlows();
  assert.equal(flows.take({ tuple: { ...there, protocol: 'udp' } })?.kind, 'begun');
  assert.equal(flows.take({ tuple: there, tcp: mark({ fin: true }) }), undefined);
});
