import type { FlowEvent } from '../model/flow.ts';

/** What a watcher wants to see: one of several containers, one of several networks. */
export interface WatchFilter {
  /** Names; empty: every one. */
  readonly containers: readonly string[];
  readonly networks: readonly string[];
  readonly drops: boolean;
}

export function wants({ containers, networks, drops }: WatchFilter, event: FlowEvent): boolean {
  if (drops && event.kind !== 'drop') return false;
  const ends = [event.from, event.to];
  const among = (names: readonly string[], key: 'name' | 'network'): boolean =>
    names.length === 0 || ends.some((end) => names.includes(end[key] ?? ''));
  return among(containers, 'name') && among(networks, 'network');
}
