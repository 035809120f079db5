import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseName, randomName } from './name.ts';

test('a name loses its slash and keeps to Docker’s characters', () => {
  assert.equal(parseName('/web.1_a-b'), 'web.1_a-b');
  for (const bad of ['a', '-web', 'we b', 'wéb', 'web/x', '']) {
    assert.throws(() => parseName(bad), {
      code: 'INVALID_PARAMETER',
      message: `Invalid container name (${bad}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
    });
  }
});

test('a random name avoids those taken, and ends in a digit when all plain ones are', () => {
  const seen = new Set<string>();
  for (let count = 0; count < 200; count++) {
    const name = randomName((candidate) => seen.has(candidate));
    assert.equal(parseName(name), name);
    assert.equal(seen.has(name), false);
    seen.add(name);
  }
  assert.match(
    randomName((name) => !/\d$/.test(name)),
    /^[a-z]+_[a-z]+\d+$/,
  );
});
