import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import type { Change, ClusterStore, Entry } from './cluster-store.ts';
import { Mirror } from './mirror.ts';

/** A store whose answers come when the test says so. */
class SlowStore {
  readonly listings: ((values: Readonly<Record<string, string>>) => void)[] = [];
  readonly watches = new Set<(changes: readonly Change<string>[]) => void>();

  list(): Promise<{ entries: readonly Entry<string>[]; revision: string }> {
    return new Promise((resolve) => {
      this.listings.push((values) => {
        const entries = Object.entries(values).map(([key, value]) => ({ key, value, revision: '7' }));
        resolve({ entries, revision: '7' });
      });
    });
  }

  watch(_prefix: string, _revision: string, onChanges: (changes: readonly Change<string>[]) => void) {
    this.watches.add(onChanges);
    return () => void this.watches.delete(onChanges);
  }
}

function mirrored(): { store: SlowStore; mirror: Mirror<string> } {
  const store = new SlowStore();
  const mirror = new Mirror<string>(
    store as unknown as ClusterStore,
    'x/',
    undefined,
    pino({ level: 'silent' }),
  );
  return { store, mirror };
}

test('what is paused while it is listed is not watched', async () => {
  const { store, mirror } = mirrored();
  const opened = mirror.open();
  mirror.pause();
  store.listings[0]?.({ 'x/a': 'late' });
  await opened;
  assert.equal(mirror.isOpen, false);
  assert.equal(store.watches.size, 0);
  assert.equal(mirror.get('x/a'), undefined);
});

test('of two that open it at a time the later one counts, whoever is answered first', async () => {
  for (const order of [
    [0, 1],
    [1, 0],
  ]) {
    const { store, mirror } = mirrored();
    const opened = [mirror.open(), mirror.open()];
    for (const number of order) {
      store.listings[number]?.({ 'x/a': number === 0 ? 'old' : 'new' });
      await opened[number];
    }
    assert.equal(mirror.get('x/a'), 'new');
    assert.equal(store.watches.size, 1);
    mirror.pause();
    assert.equal(store.watches.size, 0);
  }
});
