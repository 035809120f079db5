import type { Ip } from '../model/address.ts';
import type { Flying } from './hook.ts';
import type { Hook } from './packet.ts';
import type { Space } from './world.ts';

interface Ends {
  readonly saddr: Ip;
  readonly daddr: Ip;
  readonly dport: number;
}

/** What connection tracking of a namespace remembers of a translated connection. */
export interface Rewrite {
  readonly space: Space;
  readonly before: Ends;
  readonly after: Ends;
}

const ends = ({ saddr, daddr, dport }: Flying): Ends => ({ saddr, daddr, dport });

export function rewriteOf(space: Space, before: Flying, after: Flying): Rewrite | undefined {
  const same = before.saddr === after.saddr && before.daddr === after.daddr && before.dport === after.dport;
  return same ? undefined : { space, before: ends(before), after: ends(after) };
}

/** The answer with the translation undone as far as this hook undoes it: where it goes first, where it comes from last. */
export function restored(
  rewrites: readonly Rewrite[],
  space: Space,
  hook: Hook | 'input',
  packet: Flying,
): Flying {
  const first = hook === 'prerouting' || hook === 'output';
  for (const { space: of, before, after } of rewrites) {
    if (of !== space || packet.saddr !== after.daddr || packet.sport !== after.dport) continue;
    if (first && packet.daddr === after.saddr) return { ...packet, daddr: before.saddr };
    if (!first && packet.daddr === before.saddr)
      return { ...packet, saddr: before.daddr, sport: before.dport };
  }
  return packet;
}
