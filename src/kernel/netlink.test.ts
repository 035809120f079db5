import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  attribute,
  failureOf,
  mac,
  message,
  NLMSG_ERROR,
  nested,
  parseAttributes,
  parseMessages,
  readMac,
  readText,
  text,
  u16be,
  u32,
} from './netlink.ts';

test('a message carries its length, type, flags and sequence', () => {
  const bytes = message(16, 0x605, 7, [Buffer.from([1, 2, 3, 4])]);
  assert.equal(bytes.toString('hex'), '1400000010000506070000000000000001020304');
});

test('attributes are padded to four bytes and their length is not', () => {
  assert.equal(attribute(3, text('eth0')).toString('hex'), '090003006574683000000000');
  assert.equal(attribute(1, u16be(80)).toString('hex'), '0600010000500000');
});

test('nested attributes come back by type, without the nested flag', () => {
  const bytes = nested(18, attribute(1, text('veth')), nested(2, attribute(4, u32(1500))));
  assert.equal(bytes.readUInt16LE(2), 18 | 0x8000);
  const info = parseAttributes(parseAttributes(bytes).get(18) ?? Buffer.alloc(0));
  assert.equal(readText(info.get(1) ?? Buffer.alloc(0)), 'veth');
  const data = parseAttributes(info.get(2) ?? Buffer.alloc(0));
  assert.equal(data.get(4)?.readUInt32LE(0), 1500);
});

test('addresses are read back as they were written', () => {
  assert.equal(readMac(mac('02:42:ac:11:00:02')), '02:42:ac:11:00:02');
});

test('a datagram of several messages is split, and a cut one ends it', () => {
  const first = message(1, 0, 1, [Buffer.from([9])]);
  const second = message(2, 0, 1, []);
  const padded = Buffer.concat([first, Buffer.alloc(3), second]);
  assert.deepEqual(
    parseMessages(padded).map((m) => [m.type, m.payload.length]),
    [
      [1, 1],
      [2, 0],
    ],
  );
  assert.deepEqual(
    parseMessages(padded.subarray(0, -1)).map((m) => m.type),
    [1],
  );
  assert.deepEqual(parseMessages(Buffer.from('0000000000000000000000000000000000', 'hex')), []);
});

test('an attribute that claims more than there is ends the list', () => {
  const bytes = Buffer.concat([attribute(1, u32(5)), Buffer.from([0xff, 0, 2, 0])]);
  assert.deepEqual([...parseAttributes(bytes).keys()], [1]);
});

function errorAnswer(flags: number, errno: number, request: Buffer, tail: Buffer) {
  const code = Buffer.alloc(4);
  code.writeInt32LE(-errno);
  const [answer] = parseMessages(message(NLMSG_ERROR, flags, 1, [code, request, tail]));
  assert.ok(answer);
  return failureOf(answer);
}

test('an acknowledgement of 0 is success', () => {
  assert.equal(errorAnswer(0, 0, message(16, 0, 1, []), Buffer.alloc(0)), undefined);
});

test('the extended text follows the request, capped or whole', () => {
  const words = attribute(1, text('Attribute failed policy validation'));
  const request = message(16, 0, 1, [Buffer.alloc(20)]);
  const expected = { errno: 22, text: 'Attribute failed policy validation' };
  assert.deepEqual(errorAnswer(0x300, 22, request.subarray(0, 16), words), expected);
  assert.deepEqual(errorAnswer(0x200, 22, request, words), expected);
  assert.deepEqual(errorAnswer(0x100, 22, request.subarray(0, 16), Buffer.alloc(0)), { errno: 22, text: '' });
});
