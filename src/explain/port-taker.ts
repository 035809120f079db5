import type { ListenerFacts } from '../model/kernel-facts.ts';
import type { ContainerFacts, Situation } from './situation.ts';

/** Who has the port of the host, where it is known. */
export function portTaker(
  { world }: Situation,
  culprit: ContainerFacts | undefined,
): ListenerFacts | undefined {
  const wished = new Set(culprit?.wished.map(({ hostPort }) => Number(hostPort)));
  return world.host.facts.listeners.find(({ port, program }) => wished.has(port) && program !== undefined);
}
