import type { Ip } from '../model/address.ts';
import type { Flying } from './hook.ts';
import type { Hook } from './packet.ts';
import type { Space } from './world.ts';

/** Of a connection: the first packet, the first answer, and what the asker sends after that. */
export type Leg = 'ask' | 'answer' | 'rest';

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

export const isRedirected = ({ before, after }: Rewrite): boolean =>
  before.daddr !== after.daddr || before.dport !== after.dport;

/** What follows the first packet, translated as that was: where it goes first, where it comes from last. */
export function translated(
  rewrites: readonly Rewrite[],
  space: Space,
  hook: Hook | 'input',
  packet: Flying,
): Flying {
  for (const { space: of, before, after } of rewrites) {
    if (of !== space || packet.saddr !== before.saddr) continue;
    const at = FIRST.includes(hook) ? before : after;
    if (packet.daddr !== at.daddr || packet.dport !== at.dport) continue;
    if (FIRST.includes(hook)) return { ...packet, daddr: after.daddr, dport: after.dport };
    if (LAST.includes(hook)) return { ...packet, saddr: after.saddr };
  }
  return packet;
}

/** Where a destination is translated, and where a source is. */
const FIRST: readonly string[] = ['prerouting', 'output'];
const LAST: readonly string[] = ['postrouting', 'input'];

/** The answer with the translation undone as far as this hook undoes it: where it goes first, where it comes from last. */
export function restored(
  rewrites: readonly Rewrite[],
  space: Space,
  hook: Hook | 'input',
  packet: Flying,
): Flying {
  const first = FIRST.includes(hook);
  for (const { space: of, before, after } of rewrites) {
    if (of !== space || packet.saddr !== after.daddr || packet.sport !== after.dport) continue;
    if (first && packet.daddr === after.saddr) return { ...packet, daddr: before.saddr };
    if (LAST.includes(hook) && packet.daddr === before.saddr)
      return { ...packet, saddr: before.daddr, sport: before.dport };
  }
  return packet;
}
