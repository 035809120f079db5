import type { EventMessage } from '@docker/node-sdk';
import type { Logger } from 'pino';
import type { SettingNote } from '../kernel/accounting.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { ConnectionReport, ConnectionSource, DropReport, DropSource } from '../kernel/traffic.ts';
import { type Family, familyOf } from '../model/address.ts';
import type { FlowEvent } from '../model/flow.ts';
import { AddressNames, type NameSource } from './address-names.ts';
import { BridgedFlows } from './bridged-flows.ts';
import { connectionEvent, dropEvent, foreignDropEvent, ToldEvent } from './flow-events.ts';

/** Who watches. */
export interface Watcher {
  /** Whether it wants to hear of connections; of drops it hears anyway. */
  readonly connections: boolean;
  /** What happened, some at once. */
  events(events: readonly ToldEvent[]): void;
  /** The kernel or this process could not keep up; at least as many events are missing. */
  leftOut(events: number): void;
}

export interface TrafficWatchOptions {
  readonly kernel: Pick<Kernel, 'hearConnections' | 'hearDrops' | 'putBack' | 'linkNames'>;
  readonly names: NameSource;
  readonly log: Pick<Logger, 'error'>;
  /** What of the host's settings is to be put back. */
  readonly note: SettingNote;
  /** The daemon's events: containers come and go. @returns ends it */
  readonly subscribe: (listener: (event: EventMessage) => void) => () => void;
}

interface Hearing {
  readonly drops: DropSource;
  readonly names: AddressNames;
  readonly stop: () => void;
}

const LOOK_EVERY_MS = 100;
/** When there is more than was read at once. */
const LOOK_AGAIN_MS = 25;
/** Of each kind at one look: at most 8,000 connections a second. */
const DATAGRAMS = 400;
const REFRESH_EVERY_MS = 5000;
const NONE: ReadonlySet<Family> = new Set();

/** Connections and drops as they happen, with names. Nothing is heard, and nothing costs, that nobody watches. */
export class TrafficWatch {
  readonly #options: TrafficWatchOptions;
  readonly #watchers = new Set<Watcher>();
  #bridged = new BridgedFlows();
  #hearing: Hearing | undefined;
  #connections: ConnectionSource | undefined;
  #timer: NodeJS.Timeout | undefined;
  #refreshed = 0;
  #links = new Map<number, string>();

  /** Puts back what a daemon that was killed while somebody watched had changed. */
  constructor(options: TrafficWatchOptions) {
    this.#options = options;
    try {
      options.kernel.putBack(options.note);
    } catch (error) {
      options.log.error({ err: error }, 'a setting of the host is not put back');
    }
  }

  /** @returns what cannot be seen on this kernel, in sentences, and what ends it */
  watch(watcher: Watcher): { readonly missing: readonly string[]; readonly stop: () => void } {
    this.#hearing ??= this.#begin();
    const missing = [...this.#hearing.drops.missing];
    if (watcher.connections) {
      this.#connections ??= this.#options.kernel.hearConnections(this.#options.note);
      missing.unshift(...this.#connections.missing);
    }
    this.#watchers.add(watcher);
    return { missing, stop: () => this.#leave(watcher) };
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#closeConnections();
    this.#hearing?.stop();
    this.#hearing?.drops.close();
    this.#hearing = undefined;
    this.#watchers.clear();
  }

  #leave(watcher: Watcher): void {
    if (!this.#watchers.delete(watcher)) return;
    if (this.#watchers.size === 0) this.close();
    else if (![...this.#watchers].some(({ connections }) => connections)) this.#closeConnections();
  }

  #closeConnections(): void {
    this.#connections?.close();
    this.#connections = undefined;
    this.#bridged = new BridgedFlows();
  }

  #begin(): Hearing {
    const names = new AddressNames(this.#options.names);
    const stop = this.#options.subscribe(({ Type, Action, Actor }) => {
      if (Type === 'network' && Action === 'connect') names.follow(Actor?.Attributes?.container ?? '');
      if (Type === 'container' && Action === 'rename') names.follow(Actor?.ID ?? '');
    });
    const drops = this.#options.kernel.hearDrops();
    this.#refreshed = performance.now();
    this.#links = new Map();
    this.#lookIn(LOOK_EVERY_MS);
    return { drops, names, stop };
  }

  #lookIn(delay: number): void {
    this.#timer = setTimeout(() => this.#look(), delay).unref();
  }

  #look(): void {
    const hearing = this.#hearing;
    if (hearing === undefined) return;
    let more = false;
    try {
      if (performance.now() - this.#refreshed > REFRESH_EVERY_MS) {
        hearing.names.refresh();
        this.#refreshed = performance.now();
      }
      const time = new Date().toISOString();
      more = this.#tellConnections(hearing.names, time);
      const dropped = hearing.drops.read(DATAGRAMS);
      this.#tell([...this.#dropsOf(dropped, hearing.names, time)], dropped.lost, [...this.#watchers]);
      more ||= dropped.more;
    } catch (error) {
      this.#options.log.error({ err: error }, 'the traffic cannot be heard');
    }
    this.#lookIn(more ? LOOK_AGAIN_MS : LOOK_EVERY_MS);
  }

  /** @returns whether there are more at once */
  #tellConnections(names: AddressNames, time: string): boolean {
    const source = this.#connections;
    if (source === undefined) return false;
    const tracked = source.trackedOnBridges;
    // What connection tracking sees as well is told by it, with headers and packets counted.
    const report = source.read(DATAGRAMS, names.anyOverlay ? NONE : tracked);
    const events = [...this.#connectionsOf(report, tracked, names, time)];
    this.#tell(
      events,
      report.lost,
      [...this.#watchers].filter(({ connections }) => connections),
    );
    return report.more;
  }

  *#connectionsOf(
    { connections, bridged }: ConnectionReport,
    tracked: ReadonlySet<Family>,
    names: AddressNames,
    time: string,
  ): Generator<FlowEvent> {
    const find = names.find.bind(names);
    for (const change of connections) yield connectionEvent(change, find, time);
    for (const packet of bridged) {
      const { source } = packet.tuple;
      if (tracked.has(familyOf(source)) && !find(source)?.overlay) continue;
      const change = this.#bridged.take(packet);
      if (change !== undefined) yield connectionEvent(change, find, time);
    }
  }

  *#dropsOf({ drops, foreignDrops }: DropReport, names: AddressNames, time: string): Generator<FlowEvent> {
    const find = names.find.bind(names);
    for (const drop of drops) {
      const event = dropEvent(drop, find, this.#linkName(drop.iif), time);
      if (event !== undefined) yield event;
    }
    for (const drop of foreignDrops) {
      const event = foreignDropEvent(drop, find, this.#linkName(drop.iif), time);
      if (event !== undefined) yield event;
    }
  }

  #tell(events: readonly FlowEvent[], lost: number, watchers: readonly Watcher[]): void {
    const told = events.map((event) => new ToldEvent(event));
    for (const watcher of watchers) {
      if (told.length > 0) watcher.events(told);
      if (lost > 0) watcher.leftOut(lost);
    }
  }

  /** The names are listed again when a number is new. */
  #linkName(index: number): string | undefined {
    if (index === 0) return undefined;
    if (!this.#links.has(index)) {
      this.#links = new Map(this.#options.kernel.linkNames());
      // Gone already: not asked for again.
      if (!this.#links.has(index)) this.#links.set(index, '');
    }
    return this.#links.get(index) || undefined;
  }
}
