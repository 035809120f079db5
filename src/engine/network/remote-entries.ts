import { diff } from '../../plan/diff.ts';
import { type Change, type Resource, resourceKey } from '../../plan/resource.ts';
import { KnownMacs } from './known-macs.ts';

interface Entry {
  readonly resource: Resource;
  /** Id of the endpoint it is for. */
  readonly owner: string;
}

/** What is in the kernel for the containers of other hosts on one network. A change of one costs what that one has. */
export class RemoteEntries {
  readonly #entries = new Map<string, Entry>();
  readonly #keys = new Map<string, readonly string[]>();
  readonly #macs = new KnownMacs();

  /** Of whom there is anything. */
  ids(): readonly string[] {
    return [...this.#keys.keys()];
  }

  all(): readonly Resource[] {
    return [...this.#entries.values()].map(({ resource }) => resource);
  }

  /** @returns addresses that have another MAC by these changes than they ever had here */
  moved(changes: readonly Change[]): ReturnType<KnownMacs['follow']> {
    return this.#macs.follow(changes);
  }

  /**
   * What the endpoint is to have from now on; nothing for one that is gone.
   * @returns the changes that make it so. What another endpoint has taken over meanwhile, an address, stays that one's.
   */
  set(endpointId: string, wanted: readonly Resource[]): readonly Change[] {
    const keys = wanted.map(resourceKey);
    const own = (this.#keys.get(endpointId) ?? []).filter(
      (key) => this.#entries.get(key)?.owner === endpointId,
    );
    const before = [...new Set([...own, ...keys])]
      .map((key) => this.#entries.get(key)?.resource)
      .filter((resource) => resource !== undefined);
    for (const key of own) this.#entries.delete(key);
    for (const resource of wanted) {
      this.#entries.set(resourceKey(resource), { resource, owner: endpointId });
    }
    if (keys.length === 0) this.#keys.delete(endpointId);
    else this.#keys.set(endpointId, keys);
    return diff(wanted, before);
  }
}
