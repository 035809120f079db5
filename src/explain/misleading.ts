import type { PolicyRule } from '../model/kernel-facts.ts';
import type { Obstacle } from './hop.ts';
import type { Way } from './way.ts';
import type { Where, World } from './world.ts';

/** A policy rule that chose a way on which the address is not, and whose it is. */
export interface Misleading {
  readonly rule: PolicyRule;
  readonly where: Where;
}

/** What ends the way; leaving this host does so where the address is on this host alone. */
export function obstacleOf({ host }: Pick<World, 'host'>, { outcome }: Way): Obstacle | undefined {
  if (outcome.kind === 'stopped') return outcome.obstacle;
  return outcome.kind === 'left' ? { where: host.where, back: false, ...outcome } : undefined;
}

/** The rule by which the last route was chosen, where that led to nobody. */
export function misleadingIn({ outcome, hops }: Way): Misleading | undefined {
  const end = outcome.kind === 'stopped' ? outcome.obstacle : outcome;
  // Networks are kept apart: what was sent to another one ends at our own rules.
  const elsewhere =
    end.kind === 'left' || end.kind === 'nobody' || (end.kind === 'rule' && end.rule.by === 'engine');
  if (!elsewhere) return undefined;
  const last = hops.findLast((hop) => hop.kind === 'route');
  return last?.rule && { rule: last.rule, where: last.where };
}
