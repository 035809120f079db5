import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Ip, ipBytes } from '../model/address.ts';
import { cameFor, parseConnection, touches } from './conntrack.ts';
import { attribute, nested, u8, u16be, u32be } from './netlink.ts';

const tuple = (type: number, from: string, to: string, port: number): Buffer =>
  nested(
    type,
    nested(1, attribute(1, ipBytes(from as Ip)), attribute(2, ipBytes(to as Ip))),
    nested(2, attribute(1, u8(17)), attribute(2, u16be(4000)), attribute(3, u16be(port))),
  );

const connection = parseConnection({
  type: 0x100,
  flags: 0,
  sequence: 1,
  payload: Buffer.concat([
    Buffer.from([2, 0, 0, 0]),
    tuple(1, '192.0.2.9', '192.0.2.1', 5353),
    tuple(2, '10.9.1.2', '192.0.2.9', 4000),
    attribute(12, u32be(77)),
  ]),
});

test('an entry is found by any of its addresses, before and after translation', () => {
  for (const address of ['192.0.2.9', '192.0.2.1', '10.9.1.2'])
    assert.ok(touches(address as Ip).matches(connection), address);
  assert.ok(!touches('10.9.1.3' as Ip).matches(connection));
});

test('a published port is the destination before translation, and leads to where the answer comes from', () => {
  const port = (first: number, last = first) => ({ first, last });
  assert.ok(cameFor(17, port(5353), '10.9.1.3' as Ip).matches(connection));
  assert.ok(cameFor(17, port(5350, 5360), '10.9.1.3' as Ip).matches(connection));
  assert.ok(!cameFor(17, port(5353), '10.9.1.2' as Ip).matches(connection));
  assert.ok(!cameFor(6, port(5353), '10.9.1.3' as Ip).matches(connection));
  assert.ok(!cameFor(17, port(4000), '10.9.1.3' as Ip).matches(connection));
  assert.ok(!cameFor(17, port(5354, 5360), '10.9.1.3' as Ip).matches(connection));
});

test('the delete request names the original tuple and the id', () => {
  assert.deepEqual(
    Buffer.concat([...connection.identity]),
    Buffer.concat([tuple(1, '192.0.2.9', '192.0.2.1', 5353), attribute(12, u32be(77))]),
  );
});
