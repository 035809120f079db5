import { mkdirSync } from 'node:fs';
import { IS_GANGWAY } from './engine-under-test.ts';
import type { Machine } from './machine.ts';

/** Commands that name folders under /var: an overlay keeps what they write inside this machine. */
export async function ownVar(machine: Machine): Promise<void> {
  if (!IS_GANGWAY) return;
  const folder = `${machine.directory}/var`;
  for (const name of ['upper', 'work']) mkdirSync(`${folder}/${name}`, { recursive: true });
  const options = `lowerdir=/var,upperdir=${folder}/upper,workdir=${folder}/work`;
  const mounted = await machine.host(['mount', '-t', 'overlay', 'overlay', '-o', options, '/var']);
  if (mounted.status !== 0) throw new Error(mounted.stderr);
}
