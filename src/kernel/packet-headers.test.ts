import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tupleOf } from './packet-headers.ts';

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');
const ipv4 = (protocol: string, fragment = '0000') =>
  `45000028 0000${fragment} 40${protocol}0000 c0000201 0a090102`;

test('ports of TCP and UDP, the identifier of an echo', () => {
  assert.deepEqual(tupleOf(hex(`${ipv4('06')} d431 0050 00000000`)), {
    protocol: 'tcp',
    source: '192.0.2.1',
    destination: '10.9.1.2',
    sourcePort: 54321,
    destinationPort: 80,
  });
  assert.equal(tupleOf(hex(`${ipv4('01')} 0800 0000 1234 0001`))?.echoId, 0x1234);
  assert.deepEqual(
    tupleOf(
      hex(`60000000 0008 11 40 ${'20010db8'.padEnd(32, '0')} ${'fd00'.padEnd(32, '0')}`),
      hex('0035 0036 0008 0000'),
    ),
    { protocol: 'udp', source: '2001:db8::', destination: 'fd00::', sourcePort: 53, destinationPort: 54 },
  );
});

test('a later fragment has no ports, other protocols are numbers, and what is cut off is no packet', () => {
  assert.deepEqual(tupleOf(hex(`${ipv4('06', '0001')} d431 0050`)), {
    protocol: 'tcp',
    source: '192.0.2.1',
    destination: '10.9.1.2',
  });
  assert.equal(tupleOf(hex(`${ipv4('2f')} 00000000`))?.protocol, 47);
  for (const text of ['', '45', '60000000', 'ffff']) assert.equal(tupleOf(hex(text)), undefined);
});
