import assert from 'node:assert/strict';
import { test } from 'node:test';
import { missingRules, placedRules } from './placed-rule.ts';

const table = (...rules: readonly string[]): string => `table ip gangway {
  chain first {
${rules.map((rule) => `    ${rule}`).join('\n')}
  }
  chain second {
    type filter hook forward priority filter; policy accept;
    drop comment "last"
  }
}
`;
const wanted = placedRules(table('accept comment "twice"', 'drop comment "twice"'));

test('a rule is missing that stands in another chain, or not as often as it is wanted', () => {
  const missing = (...rules: readonly string[]): readonly string[] =>
    missingRules(wanted, placedRules(table(...rules))).map(({ chain, id }) => `${chain} ${id}`);
  assert.deepEqual(missing('drop comment "twice"', 'accept comment "twice"'), []);
  assert.deepEqual(missing('accept comment "twice"', 'drop comment "last"'), ['first twice']);
  assert.deepEqual(missing(), ['first twice', 'first twice']);
});

test('rules of others, without a comment or more than are wanted, are nothing missing', () => {
  const more = table(
    'accept comment "twice"',
    'drop comment "twice"',
    'drop comment "twice"',
    'tcp dport 80 drop',
  );
  assert.deepEqual(missingRules(wanted, placedRules(more)), []);
});
