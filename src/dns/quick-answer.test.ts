import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode, encode } from 'dns-packet';
import type { Ip } from '../model/address.ts';
import { formatReply, parseQuery, RCODE } from './message.ts';
import { ofType, readPlainQuestion, writePlainAnswer } from './quick-answer.ts';

const question = (name: string, type: 'A' | 'AAAA' | 'MX', edns?: number): Buffer =>
  encode({
    type: 'query',
    id: 0x1234,
    flags: 0x0100,
    questions: [{ type, name, class: 'IN' }],
    ...(edns !== undefined && {
      additionals: [{ type: 'OPT', name: '.', udpPayloadSize: edns, flags: 0, options: [] } as never],
    }),
  });
const some = ['10.0.0.2', 'fd00::2', '10.0.0.3'] as Ip[];

test('the quick answer says what the long one says', () => {
  for (const name of ['web', 'Web', 'db.lamp', 'a-b_c.d.e', 'x'.repeat(63)]) {
    for (const type of ['A', 'AAAA'] as const) {
      for (const edns of [undefined, 512, 1232, 9000]) {
        const bytes = question(name, type, edns);
        const plain = readPlainQuestion(bytes);
        const query = parseQuery(bytes);
        assert.ok(plain !== undefined && query !== undefined, name);
        assert.equal(plain.name, name.toLowerCase());
        assert.equal(plain.udpBytes, query.udpBytes);
        for (const addresses of [some, []]) {
          const wanted = ofType(addresses, type);
          const quick = writePlainAnswer(bytes, plain, wanted, 0, plain.udpBytes);
          const long = formatReply(
            query,
            {
              rcode: RCODE.NOERROR,
              authoritative: true,
              answers: wanted.map((data) => ({ type, name, ttl: 0, data })),
            },
            query.udpBytes,
          );
          assert.deepEqual(quick && decode(quick), decode(long));
        }
      }
    }
  }
});

test('what is not plain is left to the parser that knows all', () => {
  const plain = question('web', 'A');
  const changed = (at: number, value: number): Buffer => {
    const bytes = Buffer.from(plain);
    bytes[at] = value;
    return bytes;
  };
  const others: readonly Buffer[] = [
    question('web', 'MX'),
    Buffer.alloc(0),
    plain.subarray(0, 14),
    Buffer.concat([plain, Buffer.from([0])]),
    changed(2, 0x81), // an answer
    changed(2, 0x28), // another opcode
    changed(5, 2), // two questions
    changed(7, 1),
    changed(12, 0xc0), // a pointer
    changed(12, 60), // longer than the message
    changed(13, 0x2e), // a dot within a label
    changed(13, 0xff),
    changed(20, 3), // another class
  ];
  for (const bytes of others) assert.equal(readPlainQuestion(bytes), undefined, bytes.toString('hex'));
});

test('an answer that is too long for the asker is none', () => {
  const bytes = question('web', 'A');
  const plain = readPlainQuestion(bytes);
  assert.ok(plain);
  const many = Array.from({ length: 40 }, (_, i) => `10.0.0.${i + 2}` as Ip);
  assert.equal(writePlainAnswer(bytes, plain, many, 0, 512), undefined);
  assert.ok(writePlainAnswer(bytes, plain, many, 0, 4096));
});
