import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Machine } from './machine.ts';
import { must } from './process.ts';

/** Files of containers by the docker command: cp, export, diff; and what containers use: top, stats. */
let machine: Machine;
let here = '';
before(async () => {
  machine = await Machine.start();
  here = mkdtempSync(join(tmpdir(), 'files-'));
  await machine.dockerOk('pull', '-q', 'busybox');
  await machine.dockerOk('run', '-d', '--name', 'box', '-v', 'data:/data', 'busybox', 'sleep', '1000');
});
after(async () => {
  await machine.close();
  rmSync(here, { recursive: true, force: true });
});

const inBox = (script: string): Promise<string> => machine.dockerOk('exec', 'box', 'sh', '-c', script);

test('a directory goes in and comes out as it was', async () => {
  const source = join(here, 'source');
  mkdirSync(join(source, 'sub'), { recursive: true });
  writeFileSync(join(source, 'file'), 'content', { mode: 0o640 });
  writeFileSync(join(source, 'sub', 'big'), Buffer.alloc(3_000_000, 'x'));
  symlinkSync('../file', join(source, 'sub', 'link'));
  await machine.dockerOk('cp', source, 'box:/copy');
  assert.match(await inBox('cat /copy/sub/link; stat -c %a /copy/file'), /^content640/);
  await machine.dockerOk('cp', 'box:/copy', join(here, 'back'));
  assert.equal(readFileSync(join(here, 'back', 'sub', 'link'), 'utf8'), 'content');
  assert.equal(statSync(join(here, 'back', 'sub', 'big')).size, 3_000_000);
});

test('links in the container lead inside the container', async () => {
  await inBox('ln -s /etc/hostname /trap; ln -s / /top');
  await machine.dockerOk('cp', '-L', 'box:/trap', join(here, 'trap'));
  assert.equal(readFileSync(join(here, 'trap'), 'utf8').trim(), (await inBox('hostname')).trim());
  writeFileSync(join(here, 'probe'), 'probe');
  await machine.dockerOk('cp', join(here, 'probe'), 'box:/top/probe');
  assert.equal(await inBox('cat /probe'), 'probe');
});

test('a stopped container gives and takes files, volumes too', async () => {
  await inBox('echo kept >/data/kept');
  await machine.dockerOk('stop', '-t', '0', 'box');
  await machine.dockerOk('cp', 'box:/data/kept', join(here, 'kept'));
  assert.equal(readFileSync(join(here, 'kept'), 'utf8'), 'kept\n');
  writeFileSync(join(here, 'put'), 'put');
  await machine.dockerOk('cp', join(here, 'put'), 'box:/data/put');
  await machine.dockerOk('start', 'box');
  assert.equal(await inBox('cat /data/put'), 'put');
});

test('what is not there is told in Docker’s words', async () => {
  const missing = await machine.docker('cp', 'box:/no/such', here);
  assert.equal(missing.status, 1);
  assert.match(missing.stderr, /Could not find the file \/no\/such in container box/);
});

test('the root filesystem is exported without what is mounted on it, and its changes are listed', async () => {
  await inBox('mkdir /made; echo x >/made/file; rm /bin/wget; echo v >/data/v');
  await machine.dockerOk('export', '-o', join(here, 'rootfs.tar'), 'box');
  const names = (await must(['tar', 'tf', join(here, 'rootfs.tar')])).split('\n');
  assert.ok(names.includes('made/file') && names.includes('data/') && names.includes('proc/'));
  assert.ok(!names.includes('data/v') && !names.includes('bin/wget'));
  const changes = await machine.dockerOk('diff', 'box');
  assert.match(changes, /^A \/made\nA \/made\/file$/m);
  assert.match(changes, /^D \/bin\/wget$/m);
});

test('processes and their use are shown', async () => {
  assert.match(await machine.dockerOk('top', 'box', '-o', 'pid,args'), /\d+ +sleep 1000/);
  const stats = await machine.dockerOk(
    'stats',
    '--no-stream',
    '--format',
    '{{.Name}} {{.PIDs}} {{.MemUsage}}',
    'box',
  );
  assert.match(stats, /^box 1 [1-9]/);
});
