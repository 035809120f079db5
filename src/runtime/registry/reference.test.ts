import assert from 'node:assert/strict';
import { test } from 'node:test';
import { familiarReference, fullReference, parseReference, withDefaultTag } from './reference.ts';

const full = (text: string): string => fullReference(withDefaultTag(parseReference(text)));

test('names are completed as Docker completes them', () => {
  assert.equal(full('busybox'), 'docker.io/library/busybox:latest');
  assert.equal(full('team/app:v1'), 'docker.io/team/app:v1');
  assert.equal(full('localhost/app'), 'localhost/app:latest');
  assert.equal(full('registry:5000/a/b:c'), 'registry:5000/a/b:c');
  assert.equal(full('index.docker.io/library/x'), 'docker.io/library/x:latest');
  const digest = `sha256:${'a'.repeat(64)}`;
  assert.equal(full(`busybox@${digest}`), `docker.io/library/busybox@${digest}`);
  assert.equal(familiarReference(parseReference('docker.io/library/mysql:5.7')), 'mysql:5.7');
});

test('what is no reference is refused in Docker’s words', () => {
  for (const text of ['', 'a:b:c', 'a//b', 'a@sha256:12', ':tag', 'a:-x', '-a']) {
    assert.throws(() => parseReference(text), { message: /^invalid reference format/ }, text);
  }
  assert.throws(() => parseReference('Busybox'), {
    message: 'invalid reference format: repository name (library/Busybox) must be lowercase',
  });
  assert.throws(() => parseReference('a'.repeat(64)), {
    message: /cannot specify 64-byte hexadecimal strings/,
  });
});
