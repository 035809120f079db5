import type { EventMessage } from '@docker/node-sdk';

export type EventType = 'container' | 'image' | 'network' | 'volume' | 'daemon';
type Listener = (event: EventMessage) => void;

/** Docker keeps as many (moby daemon/events: eventsLimit). */
const HISTORY = 256;
const SECOND = 1_000_000_000n;

/** The daemon's event stream (`GET /events`), in publication order. */
export class EventBus {
  readonly #listeners = new Set<Listener>();
  readonly #history: EventMessage[] = [];
  #last = 0n;

  publish(type: EventType, action: string, id: string, attributes: Readonly<Record<string, string>>): void {
    const nanoseconds = this.#now();
    const event: EventMessage & { status?: string; id?: string; from?: string } = {
      Type: type,
      Action: action,
      Actor: { ID: id, Attributes: { ...attributes } },
      scope: 'local',
      time: Number(nanoseconds / 1_000_000_000n),
      // JSON numbers lose the last digits above 2^53; clients use it for ordering and `--since`.
      timeNano: Number(nanoseconds),
    };
    if (type === 'container' || type === 'image') {
      event.status = action;
      event.id = id;
      if (attributes.image !== undefined) event.from = attributes.image;
    }
    this.#history.push(event);
    if (this.#history.length > HISTORY) this.#history.shift();
    for (const listener of this.#listeners) listener(event);
  }

  /** The wall clock in nanoseconds, always a little later than before: clients order events by it. */
  #now(): bigint {
    const wall = BigInt(Date.now()) * 1_000_000n;
    const fine = BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)) * 1000n;
    const isNear = (a: bigint, b: bigint): boolean => a - b < SECOND && b - a < SECOND;
    // performance.now() does not know when somebody sets the clock.
    const now = isNear(fine, wall) ? fine : wall;
    this.#last = now <= this.#last && isNear(now, this.#last) ? this.#last + 1000n : now;
    return this.#last;
  }

  /** @returns a function that ends the subscription */
  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  get listenerCount(): number {
    return this.#listeners.size;
  }

  history(): readonly EventMessage[] {
    return this.#history;
  }
}
