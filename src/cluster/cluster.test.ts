import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import { Store } from '../engine/store.ts';
import type { Ip } from '../model/address.ts';
import { Cluster } from './cluster.ts';
import type { ClusterStore } from './cluster-store.ts';

/** A store without content that answers after a turn; what is listened to, and what happens during a call. */
class EmptyStore {
  readonly watched: string[] = [];
  onCall: () => void = () => {};

  async #answer<T>(value: T): Promise<T> {
    await new Promise((resolve) => setImmediate(resolve));
    this.onCall();
    await new Promise((resolve) => setImmediate(resolve));
    return value;
  }
  get = () => this.#answer(undefined);
  list = () => this.#answer({ entries: [], revision: '1' });
  listEach = () => this.#answer([]);
  commit = () => this.#answer('1');
  lease = () => this.#answer({ id: '1', letGo() {} });
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

/** Connects anew for each call that connecting makes, and does `what` during that one; then looks. */
async function atEachCall(
  what: (cluster: Cluster) => void,
  look: (cluster: Cluster, store: EmptyStore, message: string) => void,
): Promise<void> {
  for (let moment = 1, calls = moment; calls >= moment; moment++) {
    const store = new EmptyStore();
    calls = 0;
    const cluster = started(store);
    store.onCall = () => {
      if (++calls === moment) what(cluster);
    };
    await settled();
    if (calls >= moment) look(cluster, store, `call ${moment}`);
    cluster.close();
  }
}

test('a network joined at any moment of connecting is listened to', () =>
  atEachCall(
    (cluster) => cluster.join('n'),
    (cluster, { watched }, message) =>
      assert.deepEqual([cluster.status().state, watched.includes('eps/n/')], ['connected', true], message),
  ));

test('closed at any moment of connecting it listens to nothing', () =>
  atEachCall(
    (cluster) => cluster.close(),
    (cluster, { watched }, message) =>
      assert.deepEqual([cluster.status().state, watched], ['closed', []], message),
  ));
