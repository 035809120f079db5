import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Answer } from '../explain/answer.ts';
import { ApiFailure } from './api-client.ts';
import { withoutPluginName } from './docker-plugin.ts';
import { exitStatusOf, fold, formatAnswer, whyPath } from './why.ts';

const answer: Answer = {
  reachable: false,
  cause: 'nothing-listens',
  sentence: 'No: packets arrive at db, and nothing listens on port 3306/tcp there.',
  steps: [
    {
      kind: 'send',
      rule: null,
      from: '10.1.0.2',
      to: '10.1.0.3:3306',
      detail: 'web asks 10.1.0.3:3306 by tcp',
    },
    { kind: 'accept', rule: 'same-network', from: null, to: null, detail: `${'long '.repeat(20)}words` },
    { kind: 'stop', rule: null, from: null, to: null, detail: 'nothing listens on 10.1.0.3:3306/tcp in db' },
  ],
  fix: 'docker restart db',
  probe: null,
  agrees: null,
};

test('the sentence first, then the way, then what to change, in 80 columns', () => {
  const lines = formatAnswer(answer).split('\n');
  assert.equal(lines[0], answer.sentence);
  assert.equal(lines[2], '  │  send      web asks 10.1.0.3:3306 by tcp');
  assert.equal(lines.at(-4), '  ✗  stop      nothing listens on 10.1.0.3:3306/tcp in db');
  assert.deepEqual(lines.slice(-2), ['To change it:', '  docker restart db']);
  for (const line of lines) assert.ok(line.length <= 80, line);
});

test('exit status: reached, not reached, not understood, not asked', () => {
  assert.equal(exitStatusOf({ ...answer, reachable: true }), 0);
  assert.equal(exitStatusOf(answer), 1);
  assert.equal(exitStatusOf(new ApiFailure('', 404)), 2);
  assert.equal(exitStatusOf(new ApiFailure('')), 3);
});

test('the path to ask by, and folding', () => {
  assert.equal(whyPath('web', 'db:53/udp', false), '/gangway/why?from=web&to=db%3A53%2Fudp&probe=0');
  assert.deepEqual(fold('a bb ccc dddddddd', 6), ['a bb', 'ccc', 'dddddddd']);
});

test("as docker's plugin it gets docker's own arguments", () => {
  const given = (...args: string[]) => withoutPluginName(args);
  assert.deepEqual(given('-H', 'unix:///x', 'gangway', 'why', 'a', 'b'), {
    args: ['-H', 'unix:///x', 'why', 'a', 'b'],
    plugin: true,
  });
  assert.deepEqual(given('why', 'gangway', 'b'), { args: ['why', 'gangway', 'b'], plugin: false });
});
