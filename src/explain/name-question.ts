import type { Ip } from '../model/address.ts';
import type { ListenerFacts } from '../model/kernel-facts.ts';
import { walk } from './walk.ts';
import type { Way } from './way.ts';
import type { Space, World } from './world.ts';

/** The engine's, in every sandbox. */
const NAME_SERVICE: ListenerFacts = {
  protocol: 'udp',
  address: '127.0.0.11' as Ip,
  port: 53,
  v6only: false,
  link: 0,
  program: undefined,
};

/** The way of a question to the name service, where a rule in the asker's own namespace stops it; undefined: none does. */
export function stoppedNameQuestion(world: World, asker: Space): Way | undefined {
  if (asker.foreign.length === 0) return undefined;
  const space: Space = { ...asker, facts: { ...asker.facts, listeners: [NAME_SERVICE] } };
  const sandboxes = world.sandboxes.map((each) => (each === asker ? space : each));
  const to = { address: NAME_SERVICE.address, port: NAME_SERVICE.port };
  const way = walk({ ...world, sandboxes }, { from: { kind: 'inside', space }, to, protocol: 'udp' });
  return way.outcome.kind === 'stopped' && way.outcome.obstacle.kind === 'rule' ? way : undefined;
}
