import assert from 'node:assert/strict';
import {
  closeSync,
  constants,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { extract, pack } from 'tar-stream';
import { extractFiles } from './extract.ts';
import { packFiles } from './pack.ts';
import { absolutePath, baseName, goFileMode, statPath } from './path-stat.ts';
import { openDirectory, readOnlyView } from './root.ts';

const isRoot = process.getuid?.() === 0;
let directory = '';
let outside = '';
let root = -1;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'root-'));
  outside = mkdtempSync(join(tmpdir(), 'outside-'));
  root = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
});
afterEach(() => {
  closeSync(root);
  rmSync(directory, { recursive: true });
  rmSync(outside, { recursive: true });
});

interface Member {
  readonly name: string;
  readonly type?: 'file' | 'directory' | 'symlink' | 'link';
  readonly linkname?: string;
  readonly content?: string;
  readonly mode?: number;
}

async function tarOf(...members: Member[]): Promise<Buffer> {
  const tar = pack();
  for (const { content = '', ...header } of members) {
    tar.entry({ ...header, uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }, content);
  }
  tar.finalize();
  return buffer(tar as unknown as Readable);
}

const options = { keepKinds: false };

test('links that lead out of the root lead inside it, for reading and for unpacking', async () => {
  mkdirSync(join(directory, 'etc'));
  writeFileSync(join(outside, 'secret'), 'secret');
  symlinkSync(outside, join(directory, 'etc', 'out'));
  symlinkSync('../../../../../../../../..', join(directory, 'up'));
  const target = join('/etc/out', 'new');
  mkdirSync(join(directory, outside), { recursive: true });
  assert.throws(() => statPath(root, '/etc/out/secret', 'c'), {
    message: 'Could not find the file /etc/out/secret in container c',
  });
  await extractFiles(Readable.from([await tarOf({ name: 'new', content: 'x' })]), root, '/etc/out', options);
  assert.equal(existsSync(join(outside, 'new')), false);
  assert.equal(readFileSync(join(directory, outside, 'new'), 'utf8'), 'x');
  assert.equal(statPath(root, target, 'c').size, 1);
  assert.equal(statPath(root, '/up/etc', 'c').name, 'etc');
});

test('a link inside the tar takes nothing out either, and names may not climb', async () => {
  const evil = await tarOf(
    { name: 'door', type: 'symlink', linkname: outside },
    { name: 'door/inside', content: 'x' },
  );
  await assert.rejects(extractFiles(Readable.from([evil]), root, '/', options), { code: 'SYSTEM' });
  assert.equal(existsSync(join(outside, 'inside')), false);
  assert.equal(readlinkSync(join(directory, 'door')), outside);
  const climbing = await tarOf({ name: '../../evil', content: 'x' });
  mkdirSync(join(directory, 'a'));
  await assert.rejects(extractFiles(Readable.from([climbing]), root, '/a', options), {
    code: 'INVALID_PARAMETER',
  });
  assert.equal(existsSync(join(directory, 'evil')), false);
});

test('what is packed comes out again, modes and hard links too, gzip or not', async () => {
  const from = join(directory, 'from');
  mkdirSync(join(from, 'sub'), { recursive: true });
  writeFileSync(join(from, 'big'), Buffer.alloc(300_000, 'b'), { mode: 0o640 });
  linkSync(join(from, 'big'), join(from, 'other'));
  symlinkSync('/etc/passwd', join(from, 'sub', 'abs'));
  const fd = openDirectory(root, '/from', false);
  const tar = await buffer(packFiles({ directory: fd, name: 'copy' }));
  closeSync(fd);
  mkdirSync(join(directory, 'to'));
  await extractFiles(Readable.from([gzipSync(tar)]), root, '/to', options);
  const big = lstatSync(join(directory, 'to', 'copy', 'big'));
  assert.equal(big.size, 300_000);
  assert.equal(big.mode & 0o7777, 0o640);
  assert.equal(big.ino, lstatSync(join(directory, 'to', 'copy', 'other')).ino);
  assert.equal(readlinkSync(join(directory, 'to', 'copy', 'sub', 'abs')), '/etc/passwd');
});

test('one file is packed under its own name; the tar ends', async () => {
  writeFileSync(join(directory, 'f'), 'hello');
  const names: string[] = [];
  const tar = extract();
  packFiles({ directory: root, only: 'f', name: 'f' }).pipe(tar as unknown as NodeJS.WritableStream);
  for await (const entry of tar) {
    names.push(entry.header.name);
    entry.resume();
  }
  assert.deepEqual(names, ['f']);
});

test('kinds are kept when asked for', async () => {
  mkdirSync(join(directory, 'd'));
  const file = await tarOf({ name: 'd', content: 'x' });
  await assert.rejects(extractFiles(Readable.from([file]), root, '/', { keepKinds: true }), {
    message: 'cannot overwrite directory "/d" with non-directory "/"',
  });
  await extractFiles(Readable.from([file]), root, '/', options);
  assert.equal(readFileSync(join(directory, 'd'), 'utf8'), 'x');
});

test('owners are those of the tar, or the one that is asked for', {
  skip: !isRoot && 'needs root',
}, async () => {
  const tar = await tarOf({ name: 'f', content: 'x', mode: 0o4755 });
  await extractFiles(Readable.from([tar]), root, '/', { keepKinds: false, owner: { uid: 12, gid: 34 } });
  const { uid, gid, mode } = lstatSync(join(directory, 'f'));
  assert.deepEqual([uid, gid, mode & 0o7777], [12, 34, 0o4755]);
});

test('what is no tar is an unexpected end', async () => {
  await assert.rejects(extractFiles(Readable.from([Buffer.alloc(700, 'junk')]), root, '/', options), {
    message: 'unexpected EOF',
  });
});

test('paths and modes as Go has them', () => {
  assert.deepEqual(['', '/', '.', 'a/', '/a/.', 'a/../../b', '/a//b'].map(absolutePath), [
    '/',
    '/',
    '/.',
    '/a/',
    '/a/.',
    '/b',
    '/a/b',
  ]);
  assert.deepEqual(['/', '/a/b', '/a/', '/a/.'].map(baseName), ['/', 'b', 'a', '.']);
  assert.equal(goFileMode(0o104755), 8389101);
  assert.equal(goFileMode(0o120777), 134218239);
  assert.equal(goFileMode(0o40755), 2147484141);
});

test('where a link ends is told, also when nothing is there', () => {
  symlinkSync('b', join(directory, 'a'));
  symlinkSync('/nowhere', join(directory, 'b'));
  assert.equal(statPath(root, '/a', 'c').linkTarget, '/nowhere');
  mkdirSync(join(directory, 'd'));
  symlinkSync('d', join(directory, 'l'));
  assert.equal(statPath(root, '/l/', 'c').linkTarget, '');
  assert.throws(() => statPath(root, '/a/', 'c'), /Could not find the file \/a\/ in container c/);
});

test('a read-only view has no upper directory', () => {
  const view = readOnlyView([
    {
      type: 'overlay',
      source: 'overlay',
      target: '',
      options: ['index=off', 'workdir=/w', 'upperdir=/u', 'lowerdir=/a:/b'],
    },
  ]);
  assert.deepEqual(view[0]?.options, ['index=off', 'lowerdir=/u:/a:/b', 'ro']);
});
