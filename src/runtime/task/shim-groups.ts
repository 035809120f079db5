/**
 * Which containers share a shim. runc's shim v2 serves all containers of one group (`io.containerd.runc.v2.group` in
 * the spec's annotations); a shim of its own costs each container 13 MB.
 *
 * containerd asks a shim to shut down after every deletion, and the shim ends when it serves nobody. A container that
 * joined between those two moments would be lost with it. So the creation of a group's first member and the deletion
 * of its last are exclusive; everything between runs side by side.
 */
export class ShimGroups {
  readonly #capacity: number;
  readonly #newName: () => string;
  readonly #groups = new Map<string, Group>();
  readonly #groupOf = new Map<string, string>();

  /** @param capacity members of a group, 1 or more */
  constructor(capacity: number, newName: () => string) {
    this.#capacity = capacity;
    this.#newName = newName;
  }

  /** Puts a container into a group with room, and gives its name to `body`, which brings the container to the shim. */
  async join<T>(id: string, body: (group: string) => Promise<T>): Promise<T> {
    const name = this.#groupOf.get(id) ?? this.#withRoom() ?? this.#newName();
    const group = this.#enter(id, name);
    const first = group.served.size === 0;
    try {
      const result = await this.#run(name, first, () => body(name));
      group.served.add(id);
      return result;
    } catch (error) {
      this.#leave(id);
      throw error;
    }
  }

  /** Membership known from before a restart of the daemon. */
  restore(id: string, name: string): void {
    this.#enter(id, name).served.add(id);
  }

  groupOf(id: string): string | undefined {
    return this.#groupOf.get(id);
  }

  /** Runs `body`, which takes the container from the shim; when it succeeds the container is no member any more. */
  async leave<T>(id: string, body: () => Promise<T>): Promise<T> {
    const name = this.#groupOf.get(id);
    const group = name === undefined ? undefined : this.#groups.get(name);
    if (name === undefined || group === undefined) return body();
    const served = group.served.delete(id);
    try {
      const result = await this.#run(name, group.served.size === 0, body);
      this.#leave(id);
      return result;
    } catch (error) {
      if (served) group.served.add(id);
      throw error;
    }
  }

  #withRoom(): string | undefined {
    for (const [name, group] of this.#groups) if (group.members.size < this.#capacity) return name;
    return undefined;
  }

  #enter(id: string, name: string): Group {
    const group = this.#groups.get(name) ?? {
      members: new Set(),
      served: new Set(),
      running: new Set(),
      tail: Promise.resolve(),
    };
    this.#groups.set(name, group);
    group.members.add(id);
    this.#groupOf.set(id, name);
    return group;
  }

  #leave(id: string): void {
    const name = this.#groupOf.get(id);
    const group = name === undefined ? undefined : this.#groups.get(name);
    if (name === undefined || group === undefined) return;
    this.#groupOf.delete(id);
    group.members.delete(id);
    group.served.delete(id);
    // A group that is left is never joined again under its name while an operation of it may still be on its way.
    if (group.members.size === 0) this.#groups.delete(name);
  }

  #run<T>(name: string, exclusive: boolean, body: () => Promise<T>): Promise<T> {
    const group = this.#groups.get(name);
    if (group === undefined) return body();
    const before = exclusive ? Promise.allSettled([group.tail, ...group.running]) : group.tail;
    const run = before.then(body);
    const settled = run.then(
      () => {},
      () => {},
    );
    if (exclusive) group.tail = settled;
    group.running.add(settled);
    settled.then(() => group.running.delete(settled));
    return run;
  }
}

interface Group {
  readonly members: Set<string>;
  /** Members the shim is known to serve. */
  readonly served: Set<string>;
  readonly running: Set<Promise<void>>;
  /** The last exclusive operation. */
  tail: Promise<void>;
}
