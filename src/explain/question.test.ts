import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseQuestion } from './question.ts';

const to = (text: string) => {
  const { to: party, port, protocol } = parseQuestion('web', text);
  return [JSON.stringify(party), port, protocol].join(' ');
};

test('names, addresses and keywords, with and without a port', () => {
  assert.equal(to('db:3306'), '{"kind":"name","name":"db"} 3306 tcp');
  assert.equal(to('db'), '{"kind":"name","name":"db"}  tcp');
  assert.equal(to('db:53/udp'), '{"kind":"name","name":"db"} 53 udp');
  assert.equal(to('10.0.0.2:80'), '{"kind":"address","address":"10.0.0.2"} 80 tcp');
  assert.equal(to('[fd00::2]:80'), '{"kind":"address","address":"fd00::2"} 80 tcp');
  assert.equal(to('fd00::2'), '{"kind":"address","address":"fd00::2"}  tcp');
  assert.equal(to('host:22'), '{"kind":"host"} 22 tcp');
  assert.deepEqual(parseQuestion('outside', '/web:80').from, { kind: 'outside' });
});

test('what is wrong is named', () => {
  const wrong: readonly (readonly [string, string, RegExp])[] = [
    ['', 'db', /who asks\?/],
    ['web', '', /who is asked\?/],
    ['web', 'db:http', /"http" in db:http is no port/],
    ['web', 'db:0', /is no port: 1 to 65535/],
    ['web', 'db:80/icmp', /unknown protocol "icmp".*tcp, udp or sctp/],
    ['web', '10.0.0.300:80', /TO: invalid IPv4 address|TO: invalid IP address/],
    ['web', 'http://db:80/', /is not understood/],
    ['we b', 'db', /FROM "we b" is not understood/],
    ['outside', 'internet', /one end has to be on it/],
  ];
  for (const [from, target, words] of wrong) {
    assert.throws(() => parseQuestion(from, target), words, `${from} ${target}`);
  }
});
