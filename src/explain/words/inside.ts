import type { Situation } from '../situation.ts';
import type { Where } from '../world.ts';

/** For what is in a container's namespace: its programs may not have the tools, so they come from the host. */
export function inside({ containers }: Situation, where: Where, command: string): string {
  if (where.kind !== 'container') return command;
  const pid = containers.find(({ id }) => id === where.id)?.pid ?? 0;
  return `nsenter -t ${pid} -n ${command}`;
}
