import assert from 'node:assert/strict';
import { test } from 'node:test';
import { choosePlatform, hostPlatform, parsePlatform } from './manifest.ts';

test('a platform may be a system, an architecture, or both and a variant', () => {
  const { architecture } = hostPlatform();
  assert.deepEqual(parsePlatform(undefined), hostPlatform());
  assert.deepEqual(parsePlatform('linux'), { os: 'linux', architecture });
  assert.deepEqual(parsePlatform('arm64'), { os: 'linux', architecture: 'arm64' });
  assert.deepEqual(parsePlatform('linux/x86_64'), { os: 'linux', architecture: 'amd64' });
  assert.deepEqual(parsePlatform('linux/arm/v7'), { os: 'linux', architecture: 'arm', variant: 'v7' });
  assert.throws(() => parsePlatform('bogus/1/2/3'), {
    code: 'INVALID_PARAMETER',
    message: /^"2\/3" is an invalid component of "bogus\/1\/2\/3"/,
  });
  assert.throws(() => parsePlatform('linux/'), { code: 'INVALID_PARAMETER' });
});

test('the manifest of the wanted variant is chosen, without a wish the first of the architecture', () => {
  const entry = (fill: string, variant?: string) => ({
    digest: `sha256:${fill.repeat(64)}`,
    size: 1,
    platform: { os: 'linux', architecture: 'arm', ...(variant && { variant }) },
  });
  const list = Buffer.from(
    JSON.stringify({ schemaVersion: 2, manifests: [entry('a', 'v6'), entry('b', 'v7')] }),
  );
  const chosen = (platform: string) => choosePlatform(list, parsePlatform(platform), '').digest[7];
  assert.equal(chosen('linux/arm/v7'), 'b');
  assert.equal(chosen('linux/arm'), 'a');
  assert.throws(() => chosen('linux/s390x'), {
    code: 'NOT_FOUND',
    message: 'no matching manifest for linux/s390x in the manifest list entries',
  });
});
