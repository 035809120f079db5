import type { ApiClient } from '../cli/api-client.ts';
import type { WatchEvent } from '../model/flow.ts';
import type { Topology, TopologyCounters } from '../model/topology.ts';
import { History } from './history.ts';
import type { DaemonState, DropEvent, LiveMessages, Rates } from './messages.ts';

export type Listener = <K extends keyof LiveMessages>(name: K, message: LiveMessages[K]) => void;

/** While somebody looks, and while only the history is kept. */
const POLL_MS = 1000;
const QUIET_POLL_MS = 5000;
/** A daemon without the stream may be replaced by one that has it. */
const WATCH_AGAIN_MS = 30_000;
const WATCH_LOST_MS = 2000;
const KEPT_EVENTS = 300;
/** More a second are told by their number only. */
const MOST_EVENTS_AT_ONCE = 200;

/**
 * Asks the daemon once a second for all pages together, and tells them what is new. Rates are the difference of two
 * answers; an interface that was not in the one before has none yet.
 */
export class Feed {
  readonly #daemon: ApiClient;
  readonly #listeners = new Set<Listener>();
  readonly history = new History();
  #topology: Topology | undefined;
  #before: TopologyCounters | undefined;
  #rates: Rates = { time: 0, links: {}, ports: {} };
  #state: DaemonState = { state: 'connecting', watch: false };
  #timer: NodeJS.Timeout | undefined;
  #asking = false;
  #closed = false;
  readonly #recent: DropEvent[] = [];
  #pending: DropEvent[] = [];
  #endWatch: (() => void) | undefined;
  #watchAgain: NodeJS.Timeout | undefined;

  constructor(daemon: ApiClient) {
    this.#daemon = daemon;
  }

  start(): void {
    void this.#poll();
  }

  /** Tells everything there is at once, and then what is new. @returns ends it */
  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener);
    listener('daemon', this.#state);
    if (this.#topology !== undefined) listener('topology', this.#topology);
    listener('rates', this.#rates);
    if (this.#recent.length > 0) listener('drops', this.#recent);
    if (this.#listeners.size === 1) {
      clearTimeout(this.#timer);
      void this.#poll();
      this.#watch();
    }
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#unwatch();
    };
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#unwatch();
  }

  async #poll(): Promise<void> {
    if (this.#asking || this.#closed) return;
    this.#asking = true;
    try {
      const counters = await this.#ask<TopologyCounters>('/gangway/topology?counters=1');
      if (counters.revision !== this.#topology?.revision) {
        this.#topology = await this.#ask<Topology>('/gangway/topology');
        this.#tell('topology', this.#topology);
      }
      this.#setState({ state: 'up', watch: this.#state.watch });
      this.#count(counters);
      this.#tellDrops();
    } catch (error) {
      this.#before = undefined;
      const reason = error instanceof Error ? error.message : String(error);
      this.#setState({ state: 'away', reason, watch: this.#state.watch });
    } finally {
      this.#asking = false;
    }
    if (this.#closed) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#poll(), this.#listeners.size > 0 ? POLL_MS : QUIET_POLL_MS);
  }

  async #ask<T>(path: string): Promise<T> {
    const { status, body } = await this.#daemon.answer(path);
    if (status === 404) throw new Error('this daemon is too old: it has no GET /gangway/topology');
    if (status !== 200) throw new Error(`the daemon answers ${status}: ${body.slice(0, 200)}`);
    return JSON.parse(body) as T;
  }

  #count(counters: TopologyCounters): void {
    const before = this.#before;
    this.#before = counters;
    const seconds = (counters.time - (before?.time ?? counters.time)) / 1000;
    if (before === undefined || seconds <= 0) return;
    const links: Record<string, readonly [number, number, number]> = {};
    for (const [name, now] of Object.entries(counters.links)) {
      const then = before.links[name];
      // One that was made anew begins at 0.
      if (then === undefined || now[0] < then[0] || now[1] < then[1]) continue;
      const [received, sent, dropped] = [now[0] - then[0], now[1] - then[1], now[4] - then[4]];
      this.history.add(counters.time, name, received, sent);
      if (received === 0 && sent === 0 && dropped <= 0) continue;
      links[name] = [Math.round(received / seconds), Math.round(sent / seconds), Math.max(0, dropped)];
    }
    this.history.prune();
    this.#rates = { time: counters.time, links, ports: counters.ports ?? {} };
    this.#tell('rates', this.#rates);
  }

  #watch(): void {
    if (this.#closed || this.#endWatch !== undefined) return;
    this.#endWatch = this.#daemon.follow('/gangway/watch?drops=1', {
      open: () => this.#setState({ ...this.#state, watch: true }),
      line: (line) => {
        const event = parseDrop(line);
        if (event !== undefined) this.#pending.push(event);
        if (this.#pending.length > MOST_EVENTS_AT_ONCE) this.#pending.shift();
      },
      end: (status) => {
        this.#endWatch = undefined;
        this.#setState({ ...this.#state, watch: false });
        if (this.#listeners.size === 0 || this.#closed) return;
        const wait = status === 200 || status === 0 ? WATCH_LOST_MS : WATCH_AGAIN_MS;
        this.#watchAgain = setTimeout(() => this.#watch(), wait);
      },
    });
  }

  #unwatch(): void {
    clearTimeout(this.#watchAgain);
    this.#endWatch?.();
    this.#endWatch = undefined;
  }

  #tellDrops(): void {
    if (this.#pending.length === 0) return;
    const events = this.#pending;
    this.#pending = [];
    this.#recent.push(...events);
    this.#recent.splice(0, this.#recent.length - KEPT_EVENTS);
    this.#tell('drops', events);
  }

  #setState(state: DaemonState): void {
    if (JSON.stringify(state) === JSON.stringify(this.#state)) return;
    this.#state = state;
    this.#tell('daemon', state);
  }

  #tell: Listener = (name, message) => {
    for (const listener of this.#listeners) listener(name, message);
  };
}

function parseDrop(line: string): DropEvent | undefined {
  try {
    const event = JSON.parse(line) as WatchEvent;
    return event.kind === 'drop' ? event : undefined;
  } catch {
    return undefined;
  }
}
