import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { CHECKOUT } from './engine-under-test.ts';

const read = (name: string): string => readFileSync(`${CHECKOUT}${name}`, 'utf8');
/** Of each row of a table; the order within a row is a matter of language. */
const figures = (page: string): readonly (readonly string[])[] =>
  page
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) => (line.match(/\d[\d.,]*/g) ?? []).toSorted());
const commands = (page: string): readonly string[] =>
  page
    .split('\n')
    .filter((line) => line.startsWith('    '))
    .map((line) => line.replace(/ +#.*/, ''));
/** In one language each; the other page itself is linked by both. */
const links = (page: string): readonly string[] =>
  [...page.matchAll(/\]\(([^)]*)\)/g)]
    .map(([, to = '']) => to)
    .filter((to) => !/^README|tutorial/.test(to))
    .toSorted();

test('the Chinese README has the commands, figures and links of the English one', () => {
  const [english, chinese] = [read('README.md'), read('README.zh.md')];
  assert.deepEqual(commands(chinese), commands(english));
  assert.deepEqual(figures(chinese), figures(english));
  assert.deepEqual(links(chinese), links(english));
});
