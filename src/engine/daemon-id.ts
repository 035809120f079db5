import { randomUUID } from 'node:crypto';
import type { Store } from './store.ts';

/** Made with the store, and stays: `docker info` shows it, and in a cluster it is this host's name among the others. */
export function daemonId(store: Store): string {
  const collection = store.collection<{ readonly id: string }>('daemon');
  const known = collection.get('id');
  if (known !== undefined) return known.id;
  const id = randomUUID();
  collection.put('id', { id });
  return id;
}
