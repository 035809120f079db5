import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseChallenge } from './challenge.ts';

test('bearer and basic challenges', () => {
  assert.deepEqual(
    parseChallenge('Bearer realm="https://auth/token",service="r",scope="repository:a:pull,push"'),
    {
      scheme: 'bearer',
      parameters: { realm: 'https://auth/token', service: 'r', scope: 'repository:a:pull,push' },
    },
  );
  assert.deepEqual(parseChallenge('Basic realm=x'), { scheme: 'basic', parameters: { realm: 'x' } });
  assert.equal(parseChallenge('Digest realm="x"'), undefined);
  assert.equal(parseChallenge(null), undefined);
});
