import type { EventMessage } from '@docker/node-sdk';
import type { Logger } from 'pino';
import type { ConnectionEvent } from '../kernel/conntrack-events.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { TrafficReport, TrafficSource } from '../kernel/traffic.ts';
import { familyOf } from '../model/address.ts';
import type { FlowEvent } from '../model/flow.ts';
import { AddressNames, type NameSource } from './address-names.ts';
import { BridgedFlows } from './bridged-flows.ts';
import { closeEvent, dropEvent, foreignDropEvent, openEvent } from './flow-events.ts';

/** Who watches. */
export interface Watcher {
  event(event: FlowEvent): void;
  /** The kernel or this process could not keep up; at least as many events are missing. */
  leftOut(events: number): void;
}

export interface TrafficWatchOptions {
  readonly kernel: Pick<Kernel, 'hearTraffic' | 'linkNames'>;
  readonly names: NameSource;
  readonly log: Pick<Logger, 'error'>;
  /** The daemon's events: containers come and go. @returns ends it */
  readonly subscribe: (listener: (event: EventMessage) => void) => () => void;
}

interface Hearing {
  readonly source: TrafficSource;
  readonly names: AddressNames;
  readonly stop: () => void;
}

const LOOK_EVERY_MS = 100;
/** When there is more than was read at once. */
const LOOK_AGAIN_MS = 25;
/** Of each kind at one look: at most 16,000 connections a second, a tenth of a processor. */
const DATAGRAMS = 400;
/** Connections whose end will be told. */
const REMEMBERED = 65_536;
const REFRESH_EVERY_MS = 5000;

/** Connections and drops as they happen, with names. Nothing is heard, and nothing costs, while nobody watches. */
export class TrafficWatch {
  readonly #options: TrafficWatchOptions;
  readonly #watchers = new Set<Watcher>();
  /** By their number: those whose beginning was heard and whose end was not. */
  readonly #open = new Set<number>();
  #bridged = new BridgedFlows();
  #hearing: Hearing | undefined;
  #timer: NodeJS.Timeout | undefined;
  #refreshed = 0;
  #links = new Map<number, string>();

  constructor(options: TrafficWatchOptions) {
    this.#options = options;
  }

  /** @returns what cannot be seen on this kernel, in sentences, and what ends it */
  watch(watcher: Watcher): { readonly missing: readonly string[]; readonly stop: () => void } {
    this.#hearing ??= this.#begin();
    this.#watchers.add(watcher);
    return {
      missing: this.#hearing.source.missing,
      stop: () => {
        if (this.#watchers.delete(watcher) && this.#watchers.size === 0) this.close();
      },
    };
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#hearing?.stop();
    this.#hearing?.source.close();
    this.#hearing = undefined;
    this.#watchers.clear();
    this.#open.clear();
    this.#bridged = new BridgedFlows();
  }

  #begin(): Hearing {
    const names = new AddressNames(this.#options.names);
    const stop = this.#options.subscribe(({ Type, Action, Actor }) => {
      if (Type === 'network' && Action === 'connect') names.follow(Actor?.Attributes?.container ?? '');
      if (Type === 'container' && Action === 'rename') names.follow(Actor?.ID ?? '');
    });
    const source = this.#options.kernel.hearTraffic();
    this.#refreshed = performance.now();
    this.#links = new Map();
    this.#lookIn(LOOK_EVERY_MS);
    return { source, names, stop };
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
      const report = hearing.source.read(DATAGRAMS);
      this.#tell(report, hearing.source, hearing.names);
      more = report.more;
    } catch (error) {
      this.#options.log.error({ err: error }, 'the traffic cannot be heard');
    }
    this.#lookIn(more ? LOOK_AGAIN_MS : LOOK_EVERY_MS);
  }

  #tell(
    { connections, bridged, drops, foreignDrops, lost }: TrafficReport,
    source: TrafficSource,
    names: AddressNames,
  ): void {
    const time = new Date().toISOString();
    const find = names.find.bind(names);
    const send = (event: FlowEvent | undefined): void => {
      if (event !== undefined) for (const watcher of this.#watchers) watcher.event(event);
    };
    let left = lost;
    for (const event of connections) {
      if (event.kind === 'new') {
        if (this.#open.size < REMEMBERED) this.#open.add(event.id);
        else left++;
        send(openEvent(event, find, time));
      } else if ((event.closed || event.kind === 'destroy') && this.#open.delete(event.id)) {
        send(closeEvent(event, trafficOf(event, source), find, time));
      }
    }
    for (const packet of bridged) {
      const { source: from } = packet.tuple;
      // What connection tracking sees as well is told by it, with headers and packets counted.
      if (source.trackedOnBridges.has(familyOf(from)) && !find(from)?.overlay) continue;
      const event = this.#bridged.take(packet);
      if (event?.closed) send(closeEvent(event, event.traffic, find, time));
      else if (event !== undefined) send(openEvent(event, find, time));
    }
    for (const drop of drops) send(dropEvent(drop, find, this.#linkName(drop.iif), time));
    for (const drop of foreignDrops) send(foreignDropEvent(drop, find, this.#linkName(drop.iif), time));
    if (left > 0) for (const watcher of this.#watchers) watcher.leftOut(left);
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

const trafficOf = (event: ConnectionEvent, source: TrafficSource): ConnectionEvent['traffic'] =>
  event.traffic ?? source.trafficOf(event);
