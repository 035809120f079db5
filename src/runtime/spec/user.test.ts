import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { RootfsReader } from './rootfs-reader.ts';
import { lookupUser } from './user.ts';

const directory = mkdtempSync(join(tmpdir(), 'gangway-user-'));
after(() => rmSync(directory, { recursive: true, force: true }));
const put = (path: string, text: string): void => {
  mkdirSync(dirname(join(directory, path)), { recursive: true });
  writeFileSync(join(directory, path), text);
};
put('low/etc/passwd', 'root:x:0:0:root:/root:/bin/sh\nold:x:5:5::/:/bin/sh\n');
put('low/etc/group', 'root:x:0:\nwheel:x:10:app,root\naudio:x:29:app\n');
put('up/etc/passwd', 'root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/:/bin/sh\n');
put('up/secret', 'outside');
mkdirSync(join(directory, 'bind/etc'), { recursive: true });
symlinkSync('/store/passwd', join(directory, 'bind/etc/passwd'));
symlinkSync('../../../../../../up/secret', join(directory, 'bind/etc/escape'));
put('bind/store/passwd', 'nix:x:7:8::/:\n');

const overlay = new RootfsReader([
  {
    type: 'overlay',
    source: 'overlay',
    target: '',
    options: [
      `workdir=${directory}/w`,
      `upperdir=${directory}/up`,
      `lowerdir=${directory}/low:${directory}/none`,
    ],
  },
]);
const bind = new RootfsReader([
  { type: 'bind', source: join(directory, 'bind'), target: '', options: ['rbind'] },
]);

test('users are found in the topmost layer, groups where they are', () => {
  assert.deepEqual(lookupUser(overlay, ''), { uid: 0, gid: 0, additionalGids: [0, 10] });
  assert.deepEqual(lookupUser(overlay, 'app'), { uid: 1000, gid: 1001, additionalGids: [1001, 10, 29] });
  assert.deepEqual(lookupUser(overlay, 'app:audio'), { uid: 1000, gid: 29, additionalGids: [29] });
  assert.deepEqual(lookupUser(overlay, '42'), { uid: 42, gid: 0, additionalGids: [0] });
  assert.deepEqual(lookupUser(overlay, '42:43', ['wheel', '99']), {
    uid: 42,
    gid: 43,
    additionalGids: [43, 10, 99],
  });
});

test('unknown names are refused in dockerd’s words', () => {
  assert.throws(() => lookupUser(overlay, 'old'), {
    code: 'INVALID_PARAMETER',
    message: 'unable to find user old: no matching entries in passwd file',
  });
  assert.throws(() => lookupUser(overlay, 'app:x'), {
    message: 'unable to find group x: no matching entries in group file',
  });
  assert.throws(() => lookupUser(overlay, 'app', ['x']), /^EngineError: unable to find group x/);
});

test('links stay inside the root filesystem', () => {
  assert.equal(lookupUser(bind, 'nix').gid, 8);
  assert.equal(bind.read('/etc/escape'), undefined);
  assert.equal(bind.read('/nothing'), undefined);
});
