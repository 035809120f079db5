import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mount, parseMountOptions } from './mount.ts';

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
