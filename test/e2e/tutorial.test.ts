import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exchanges, Likeness, withOutputs } from './tutorial.ts';

const PAGE = `# Page

\`\`\`console
$ ip route
10.0.0.0/24 dev docker0
outside$ curl -s \\
  http://198.51.100.1/
hello
\`\`\`

\`\`\`sh
not run
\`\`\`
`;

test('commands, whose prompt it is, and what they print', () => {
  assert.deepEqual(exchanges(PAGE), [
    { where: '', command: 'ip route', output: ['10.0.0.0/24 dev docker0'] },
    { where: 'outside', command: 'curl -s \\\n  http://198.51.100.1/', output: ['hello'] },
  ]);
  assert.equal(withOutputs(PAGE, [['10.0.0.0/24 dev docker0'], ['hello']]), PAGE);
  assert.match(withOutputs(PAGE, [['a', 'b'], []]), /route\na\nb\noutside\$ curl[^\n]*\n {2}http[^\n]*\n```/);
});

test('addresses and ids may be others, if they are so everywhere; shapes and words may not', () => {
  const like = new Likeness();
  const fits = (page: string, printed: string): boolean =>
    like.differs(page.split('\n'), printed.split('\n')) === undefined;
  assert.ok(fits('10.0.0.1 is at 02:42:0a:00:00:01', '10.9.0.1   is at 02:42:0a:09:00:01'));
  assert.ok(fits('to 10.0.0.1', 'to 10.9.0.1'));
  assert.ok(!fits('to 10.0.0.1', 'to 10.9.0.2'), 'it was 10.9.0.1');
  assert.ok(!fits('to 10.0.0.2', 'to 10.9.0.1'), 'two of the page would be one');
  assert.ok(fits('to 10.0.0.2', 'to 10.9.0.2'), 'a line that did not fit is forgotten');
  assert.ok(!fits('hello', 'hello you'));
  assert.ok(!fits('one\ntwo', 'one'));
  assert.ok(!fits('one', 'one\ntwo'));
  assert.ok(fits('time=0.043 ms', 'time=12 ms'));
  assert.ok(fits('min/avg/max = 0.1/0.1/0.1 ms', 'min/avg/max = 1.12/1.12/1.12 ms'));
  assert.ok(fits('a\n…\nz', 'a\nb\nc\nz'));
  assert.ok(!fits('a\n…\nz', 'a\nb'));
  assert.ok(fits('Yes: a is\nb.\n\nway', 'Yes: a\nis b.\n\nway'));
  const id = 'f00df00df00d';
  assert.ok(fits(`${id}${'0'.repeat(52)}`, `beefbeefbeef${'1'.repeat(52)}`));
  assert.ok(fits(`br-${id}`, 'br-beefbeefbeef'));
});
