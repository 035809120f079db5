import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { mount, unmount } from '../../src/kernel/mount.ts';
import { kernel, netnsDirectory } from './stage.ts';

const root = join(netnsDirectory, '..', 'mounts');
const directory = (name: string): string => {
  mkdirSync(join(root, name), { recursive: true });
  return join(root, name);
};
const optionsOf = (target: string): string | undefined =>
  readFileSync('/proc/thread-self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .find((fields) => fields[4] === target)
    ?.slice(5, 8)
    .join(' ');

after(() => kernel.close());

test('an overlay of more layers than a page of options can name', () => {
  const layers = Array.from({ length: 60 }, (_, i) =>
    directory(`layers-of-an-image-with-a-long-path/${'x'.repeat(40)}${i}/fs`),
  );
  layers.forEach((layer, i) => {
    writeFileSync(join(layer, `file${i}`), String(i));
  });
  const target = directory('merged');
  const options = [
    `lowerdir=${layers.join(':')}`,
    `upperdir=${directory('upper')}`,
    `workdir=${directory('work')}`,
  ];
  assert.ok(options.join(',').length > 4096);
  const before = process.cwd();
  mount('overlay', target, 'overlay', 0, options);
  assert.equal(process.cwd(), before);
  assert.equal(readFileSync(join(target, 'file59'), 'utf8'), '59');
  writeFileSync(join(target, 'new'), '');
  assert.ok(existsSync(join(root, 'upper/new')));
  unmount(target);
  assert.ok(!existsSync(join(target, 'file59')));
});

test('a read-only private bind mount is both', () => {
  const source = directory('source');
  const target = directory('bound');
  mount(source, target, 'none', 0, ['rbind', 'ro', 'nosuid', 'rslave', 'rshared']);
  assert.match(optionsOf(target) ?? '', /^ro,nosuid\S* shared:/);
  assert.throws(() => writeFileSync(join(target, 'x'), ''), { code: 'EROFS' });
  unmount(target);
});

test('an error leaves nothing mounted and names the target', () => {
  const target = directory('bad');
  assert.throws(() => mount('tmpfs', target, 'tmpfs', 0, ['nonsense=1']), {
    errno: 'EINVAL',
    message: new RegExp(target),
  });
  assert.throws(() => mount(join(root, 'absent'), target, 'none', 0, ['bind']), { errno: 'ENOENT' });
  assert.equal(optionsOf(target), undefined);
  assert.throws(() => unmount(target), { errno: 'EINVAL' });
});
