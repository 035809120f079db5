import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ChangeReader } from './connection-changes.ts';
import { attribute, message, nested, u8, u16be, u32be } from './netlink.ts';

const CT_NEW = 0x100;
const CT_DELETE = 0x102;
const CREATE = 0x400;
const WEB = 0x0a090102;
const CLIENT = 0xc6336409;

const tuple = (type: number, source: number, destination: number, from: number, to: number): Buffer =>
  nested(
    type,
    nested(1, attribute(1, u32be(source)), attribute(2, u32be(destination))),
    nested(2, attribute(1, u8(6)), attribute(2, u16be(from)), attribute(3, u16be(to))),
  );
const counters = (type: number, packets: number, bytes: number): Buffer => {
  const value = (count: number): Buffer =>
    Buffer.concat([u32be(Math.floor(count / 2 ** 32)), u32be(count % 2 ** 32)]);
  return nested(type, attribute(1, value(packets)), attribute(2, value(bytes)));
};
const state = (value: number): Buffer => nested(4, nested(1, attribute(1, u8(value))));

/** A connection from 198.51.100.9:4000 to 10.9.1.2:80. */
const told = (type: number, flags: number, id: number, parts: readonly Buffer[], sequence = 0): Buffer =>
  message(type, flags, sequence, [
    Buffer.from([2, 0, 0, 0]),
    tuple(1, CLIENT, WEB, 4000, 80),
    tuple(2, WEB, CLIENT, 80, 4000),
    attribute(3, u32be(0x10e)),
    attribute(12, u32be(id)),
    ...parts,
  ]);

function readAll(reader: ChangeReader, ...messages: readonly Buffer[]) {
  for (const each of messages) reader.read(each, each.length);
  return reader.take();
}

test('the beginning and the end, each once; what is between them is not told', () => {
  const reader = new ChangeReader();
  const [open, closed] = [state(3), state(7)];
  const { changes } = readAll(
    reader,
    told(CT_NEW, CREATE, 7, [open]),
    told(CT_NEW, 0, 7, [open]),
    told(CT_NEW, 0, 7, [closed]),
    told(CT_DELETE, 0, 7, [closed]),
  );
  assert.deepEqual(
    changes.map(({ kind }) => kind),
    ['begun', 'ended'],
  );
  assert.deepEqual(changes[1], {
    kind: 'ended',
    original: {
      protocol: 'tcp',
      source: '198.51.100.9',
      destination: '10.9.1.2',
      sourcePort: 4000,
      destinationPort: 80,
    },
    reply: {
      protocol: 'tcp',
      source: '10.9.1.2',
      destination: '198.51.100.9',
      sourcePort: 80,
      destinationPort: 4000,
    },
    answered: true,
    traffic: undefined,
  });
});

test('the end of what began before is not told, nor a message that is cut off', () => {
  const reader = new ChangeReader();
  assert.deepEqual(readAll(reader, told(CT_DELETE, 0, 8, [])).changes, []);
  const whole = told(CT_NEW, CREATE, 9, []);
  for (let length = 0; length < 60; length++) reader.read(whole, length);
  assert.deepEqual(reader.take().changes, []);
});

test('what has passed: asked for all that ended at once, and told by the end itself where it does', () => {
  const reader = new ChangeReader();
  const beginnings = [1, 2, 3].map((id) => told(CT_NEW, CREATE, id, []));
  const counted = [counters(9, 3, 300), counters(10, 2, 2 ** 32 + 5)];
  const { changes } = readAll(
    reader,
    ...beginnings,
    ...[1, 2].map((id) => told(CT_NEW, 0, id, [state(8)])),
    told(CT_DELETE, 0, 3, counted),
  );
  const ends = changes.filter(({ kind }) => kind === 'ended');
  const traffic = { there: { packets: 3, bytes: 300 }, back: { packets: 2, bytes: 2 ** 32 + 5 } };
  assert.deepEqual(ends[2]?.traffic, traffic);
  const question = reader.question() ?? Buffer.alloc(0);
  assert.equal(question.length, 2 * question.readUInt32LE(0), 'two questions');
  const answer = told(CT_NEW, 0, 2, counted, 1);
  reader.answer(answer, answer.length);
  reader.answered();
  assert.deepEqual([ends[0]?.traffic, ends[1]?.traffic], [undefined, traffic]);
  assert.equal(reader.question(), undefined);
});

test('of 65,536 open connections the oldest is forgotten, and that is told', () => {
  const reader = new ChangeReader();
  const numbers = Array.from({ length: 65_537 }, (_, id) => told(CT_NEW, CREATE, id, []));
  assert.equal(readAll(reader, ...numbers).forgotten, 1);
  const { changes } = readAll(reader, ...[0, 1].map((id) => told(CT_DELETE, 0, id, [])));
  assert.equal(changes.length, 1);
});
