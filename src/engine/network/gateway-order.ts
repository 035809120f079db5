import type { Network } from '../../model/network.ts';
import type { EndpointRecord } from './settings.ts';

export interface Candidate {
  readonly network: Network;
  readonly endpoint: Pick<EndpointRecord, 'settings'>;
}

/**
 * Whether `a` carries the default route and the published ports of its sandbox rather than `b`: the higher
 * `gw-priority`, then the network's name (moby libnetwork/sandbox.go, `Endpoint.Less`).
 */
export function goesBefore(a: Candidate, b: Candidate): boolean {
  const priority = (of: Candidate): number => of.endpoint.settings.GwPriority ?? 0;
  if (priority(a) !== priority(b)) return priority(a) > priority(b);
  return a.network.name < b.network.name;
}

/** Internal networks carry neither. @returns undefined when there is no other */
export function bestGateway<T extends Candidate>(candidates: readonly T[]): T | undefined {
  return candidates
    .filter(({ network }) => network.driver === 'bridge' && !network.internal)
    .reduce<T | undefined>(
      (best, next) => (best === undefined || goesBefore(next, best) ? next : best),
      undefined,
    );
}
