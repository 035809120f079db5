import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compactLowerDirectories, mount, parseMountOptions } from './mount.ts';

test("an overlay's options are flags and data", () => {
  assert.deepEqual(parseMountOptions(['ro', 'nodev', 'lowerdir=/a:/b', 'upperdir=/u', 'workdir=/w']), {
    flags: 1 | 4,
    propagation: [],
    data: 'lowerdir=/a:/b,upperdir=/u,workdir=/w',
  });
});

test('the later word wins, and propagation stands apart', () => {
  assert.deepEqual(parseMountOptions(['rbind', 'ro', 'rw', 'rprivate']), {
    flags: 0x1000 | 0x4000,
    propagation: [0x4_0000 | 0x4000],
    data: '',
  });
  assert.deepEqual(parseMountOptions(['size=64m', 'mode=1777'], 2), {
    flags: 2,
    propagation: [],
    data: 'size=64m,mode=1777',
  });
});

test('options of more than a page are refused before the kernel cuts them', () => {
  assert.throws(() => mount('overlay', '/nowhere', 'overlay', 0, [`lowerdir=${'/x'.repeat(3000)}`]), {
    errno: 'E2BIG',
  });
});

test('lower directories are written relative to what they share', () => {
  assert.deepEqual(
    compactLowerDirectories('lowerdir=/s/10/fs:/s/11/fs:/s/1/fs,upperdir=/s/12/fs,index=off'),
    {
      directory: '/s',
      data: 'lowerdir=10/fs:11/fs:1/fs,upperdir=/s/12/fs,index=off',
    },
  );
  assert.equal(compactLowerDirectories('lowerdir=/a/fs:/b/fs'), undefined);
  assert.equal(compactLowerDirectories('lowerdir=a/fs:b/fs'), undefined);
  assert.equal(compactLowerDirectories('size=1m'), undefined);
});
