import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostsFile, ownNames } from './hosts-file.ts';

test('as dockerd 28.5 writes it, byte by byte', () => {
  const entries = [
    { address: '1.2.3.4', names: ['a'] },
    { address: '172.17.0.2', names: ownNames('h.example.com', '') },
  ];
  assert.equal(
    hostsFile(entries),
    '127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\nff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n1.2.3.4\ta\n172.17.0.2\th.example.com h\n',
  );
});

test('the full name stands first', () => {
  assert.deepEqual(ownNames('web', ''), ['web']);
  assert.deepEqual(ownNames('web', 'example.com'), ['web.example.com', 'web']);
  assert.deepEqual(ownNames('web.example.com', ''), ['web.example.com', 'web']);
});
