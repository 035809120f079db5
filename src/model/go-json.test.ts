import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseJson } from './go-json.ts';

// What Go 1.24's json.Decoder says to each.
const CASES: readonly (readonly [string, string])[] = [
  ['{bad', "invalid character 'b' looking for beginning of object key string"],
  ['{"a" 1}', "invalid character '1' after object key"],
  ['{"a":1 "b"}', `invalid character '"' after object key:value pair`],
  ['[1 2]', "invalid character '2' after array element"],
  ['tru', 'unexpected EOF'],
  ['trux', "invalid character 'x' in literal true (expecting 'e')"],
  ['"a\nb"', "invalid character '\\n' in string literal"],
  ['"\\x"', "invalid character 'x' in string escape code"],
  ['-x', "invalid character 'x' in numeric literal"],
  ['1.x', "invalid character 'x' after decimal point in numeric literal"],
  ['1 2', "invalid character '2' after top-level value"],
  ['{"a":', 'unexpected EOF'],
  ["'a'", "invalid character '\\'' looking for beginning of value"],
  ['{"a":1,}', "invalid character '}' looking for beginning of object key string"],
];

for (const [text, message] of CASES) {
  test(`${JSON.stringify(text)}: ${message}`, () => {
    assert.throws(() => parseJson(text), { name: 'JsonSyntaxError', message });
  });
}

test('good JSON is just parsed', () => {
  assert.deepEqual(parseJson(' {"a":[1,-2.5e3,"\\u0041",true,null]} '), { a: [1, -2500, 'A', true, null] });
});
