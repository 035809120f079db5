import type { FlowEvent } from '../model/flow.ts';
import type { Topology } from '../model/topology.ts';

/** What the page is told by the stream `/live`; each is a server-sent event of its name (HTML, "Server-sent events"). */
export interface LiveMessages {
  /** At the beginning, and when anything of it changed. */
  readonly topology: Topology;
  /** Once a second. */
  readonly rates: Rates;
  /** Dropped packets since the last one; some old ones at the beginning. */
  readonly drops: readonly DropEvent[];
  readonly daemon: DaemonState;
}

export type DropEvent = Extract<FlowEvent, { readonly kind: 'drop' }>;

export interface Rates {
  /** Unix milliseconds. */
  readonly time: number;
  /** Bytes a second received and sent, and packets dropped since the last message; links at rest are left out. */
  readonly links: Readonly<Record<string, readonly [received: number, sent: number, dropped: number]>>;
  /** Connections translated so far, by published port. */
  readonly ports: Readonly<Record<string, number>>;
}

export interface DaemonState {
  readonly state: 'connecting' | 'up' | 'away';
  /** Why it is away, in a sentence. */
  readonly reason?: string;
  /** Whether the daemon tells of dropped packets (`GET /gangway/watch`). */
  readonly watch: boolean;
}

/** `GET /history?link=…`: the last hour, oldest first; null where nothing is known. */
export interface HistoryAnswer {
  /** Seconds a value stands for. */
  readonly step: number;
  /** Unix milliseconds of the end of the last value. */
  readonly end: number;
  /** Bytes a second. */
  readonly received: readonly (number | null)[];
  readonly sent: readonly (number | null)[];
}
