import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import { Store } from '../engine/store.ts';
import type { Ip } from '../model/address.ts';
import { Cluster } from './cluster.ts';
import type { ClusterStore } from './cluster-store.ts';

/** A store without content that answers after a turn; what is listened to, and what a call meets on its way. */
class EmptyStore {
  readonly watched: string[] = [];
  onCall: (name: string, what: string) => void = () => {};

  async #answer<T>(name: string, what: string, value: T): Promise<T> {
    await new Promise((resolve) => setImmediate(resolve));
    this.onCall(name, what);
    await new Promise((resolve) => setImmediate(resolve));
    return value;
  }
  get = (key: string) => this.#answer('get', key, undefined);
  list = (prefix: string) => this.#answer('list', prefix, { entries: [], revision: '1' });
  listEach = (prefixes: readonly string[]) => this.#answer('listEach', prefixes.join(), []);
  commit = () => this.#answer('commit', '', '1');
  lease = () => this.#answer('lease', '', { id: '1', letGo() {} });
  watch = (prefix: string) => {
    this.watched.push(prefix);
    return () => void this.watched.splice(this.watched.indexOf(prefix), 1);
  };
  async renew(): Promise<void> {}
  close(): void {}
}

function started(store: EmptyStore): Cluster {
  const cluster = new Cluster({
    remote: store as unknown as ClusterStore,
    local: new Store(':memory:'),
    node: { id: 'node-1', name: 'host1', address: '192.0.2.1' as Ip },
    log: pino({ level: 'silent' }),
  });
  cluster.start({ networkCame() {}, networkWent() {}, remotesChanged() {}, blockLost() {} });
  return cluster;
}

async function settled(): Promise<void> {
  for (let i = 0; i < 60; i++) await new Promise((resolve) => setImmediate(resolve));
}

test('a network joined at any moment of connecting is listened to', async () => {
  for (let moment = 1; ; moment++) {
    const store = new EmptyStore();
    let calls = 0;
    const cluster = started(store);
    store.onCall = () => {
      if (++calls === moment) cluster.join('n');
    };
    await settled();
    const { state } = cluster.status();
    const listened = store.watched.includes('eps/n/');
    cluster.close();
    if (calls < moment) break;
    assert.deepEqual([state, listened], ['connected', true], `call ${moment}`);
  }
});

test('closed at any moment of connecting it listens to nothing', async () => {
  for (let moment = 1; ; moment++) {
    const store = new EmptyStore();
    let calls = 0;
    const cluster = started(store);
    store.onCall = () => {
      if (++calls === moment) cluster.close();
    };
    await settled();
    if (calls < moment) {
      cluster.close();
      break;
    }
    assert.deepEqual([cluster.status().state, store.watched], ['closed', []], `call ${moment}`);
  }
});
