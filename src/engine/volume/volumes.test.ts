import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { DaemonConfig } from '../config.ts';
import type { Foundation } from '../engine.ts';
import { EventBus } from '../events.ts';
import { Store } from '../store.ts';
import { Volumes } from './volumes.ts';

function volumesIn(t: TestContext, users: Readonly<Record<string, readonly string[]>> = {}) {
  const dataRoot = mkdtempSync(join(tmpdir(), 'volumes-'));
  t.after(() => rmSync(dataRoot, { recursive: true, force: true }));
  const events = new EventBus();
  const foundation = {
    config: { dataRoot } as DaemonConfig,
    store: new Store(':memory:'),
    events,
  } as Foundation;
  return { events, volumes: new Volumes(foundation, (name) => users[name] ?? []) };
}

test('a volume is made once, kept, and gone with its content', (t) => {
  const { volumes, events } = volumesIn(t);
  const made = volumes.create({ name: 'db1', labels: { a: 'b' } });
  writeFileSync(join(volumes.path('db1'), 'row'), 'x');
  assert.deepEqual(volumes.create({ name: 'db1', labels: { other: 'label' } }), made);
  assert.equal(volumes.has('db1'), true);
  volumes.remove('db1', { force: false });
  assert.equal(existsSync(volumes.path('db1')), false);
  assert.deepEqual(
    events.history().map(({ Action }) => Action),
    ['create', 'destroy'],
  );
});

test('what cannot be: a bad name, another driver, one that is used, one that is not there', (t) => {
  const { volumes } = volumesIn(t, { busy: ['c0ffee'] });
  assert.throws(() => volumes.create({ name: 'b@d' }), {
    code: 'INVALID_PARAMETER',
    message:
      'create b@d: "b@d" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path',
  });
  assert.throws(() => volumes.create({ name: '../up' }), { code: 'INVALID_PARAMETER' });
  assert.throws(() => volumes.create({ driver: 'nfs' }), {
    code: 'NOT_FOUND',
    message: /^create [0-9a-f]{64}: error looking up volume plugin nfs: plugin "nfs" not found$/,
  });
  volumes.create({ name: 'busy' });
  assert.throws(() => volumes.remove('busy', { force: true }), {
    code: 'CONFLICT',
    message: 'remove busy: volume is in use - [c0ffee]',
  });
  assert.throws(() => volumes.remove('absent', { force: false }), {
    code: 'NOT_FOUND',
    message: 'get absent: no such volume',
  });
  volumes.remove('absent', { force: true });
});

test('prune takes what nobody uses and the filter allows, and counts its bytes', async (t) => {
  const { volumes } = volumesIn(t, { busy: ['c0ffee'] });
  for (const name of ['busy', 'kept', 'spare']) volumes.create({ name });
  writeFileSync(join(volumes.path('spare'), 'file'), Buffer.alloc(1234));
  const { removed, reclaimed } = await volumes.prune(({ name }) => name !== 'kept');
  assert.deepEqual([removed, reclaimed], [['spare'], 1234]);
  assert.deepEqual(
    volumes.list().map(({ name }) => name),
    ['busy', 'kept'],
  );
});
