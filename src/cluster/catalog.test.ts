import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import { Store } from '../engine/store.ts';
import type { OverlaySpec } from '../model/overlay.ts';
import { Catalog } from './catalog.ts';
import type { ClusterStore, Entry, Write } from './cluster-store.ts';
import type { Membership } from './membership.ts';

test('a network whose creation was answered by nobody, and made all the same, is created', async () => {
  const entries: Entry<unknown>[] = [];
  const remote = {
    get: async () => undefined,
    list: async () => ({ entries, revision: '1' }),
  };
  const membership = {
    node: { id: 'node-1' },
    /** As when the first member wrote it and fell silent: the second finds the guard broken. */
    async commit(_guards: unknown, writes: readonly Write[]) {
      for (const write of writes) {
        if ('put' in write && write.put.startsWith('nets/'))
          entries.push({ key: write.put, value: write.value, revision: '2' });
      }
      return undefined;
    },
  };
  const catalog = new Catalog(
    remote as unknown as ClusterStore,
    new Store(':memory:'),
    membership as unknown as Membership,
    pino({ level: 'silent' }),
  );
  let count = 0;
  const made = await catalog.create('lamp', (_, vni) => {
    count++;
    return { id: `id-${count}`, name: 'lamp', vni } as OverlaySpec;
  });
  assert.equal(made.id, 'id-1');
  assert.equal(catalog.get('id-1'), made);
  await assert.rejects(
    catalog.create('lamp', () => made),
    /network with name lamp already exists/,
  );
});
