import type { Cause } from '../model/cause.ts';
import type { Hop } from './hop.ts';
import type { ProbeReport } from './probe-steps.ts';
import type { Situation } from './situation.ts';
import { decide, type Verdict } from './verdict.ts';
import { fixOf } from './words/fix.ts';
import { hopWords, type WayStep } from './words/hops.ts';
import { sentenceOf } from './words/sentence.ts';

/** What a live packet on the same way did. */
export interface ProbeAnswer {
  /** Null where a packet cannot tell: none could be sent, or a datagram left the host and nothing is known of it. */
  readonly reachable: boolean | null;
  readonly cause: Cause | null;
  readonly steps: readonly WayStep[];
}

/** `GET /gangway/why`. */
export interface Answer {
  readonly reachable: boolean;
  /** Why not; of a reachable one only `mtu`: small packets pass. */
  readonly cause: Cause | null;
  /** The answer first, in one sentence. */
  readonly sentence: string;
  readonly steps: readonly WayStep[];
  /** A command for a shell on the host that mends it; null where none can be known. */
  readonly fix: string | null;
  /** Null: no packet was sent. */
  readonly probe: ProbeAnswer | null;
  /** Whether the probe says what the model says; null without one that can tell. */
  readonly agrees: boolean | null;
}

/** The model's answer; a probe's stands beside it (`withProbe`). */
export function answer(situation: Situation, verdict: Verdict = decide(situation)): Answer {
  return {
    reachable: verdict.reachable,
    cause: verdict.cause ?? null,
    sentence: sentenceOf(situation, verdict),
    steps: [...nameHops(situation, verdict), ...(verdict.way?.hops ?? [])].map(hopWords),
    fix: fixOf(situation, verdict),
    probe: null,
    agrees: null,
  };
}

/** @param byOtherWire the packet could not come the way that the model looked at */
export function withProbe(
  answered: Answer,
  { reachable, cause, steps }: ProbeReport,
  byOtherWire: boolean,
): Answer {
  const elsewhere = byOtherWire && answered.cause === 'foreign-rule';
  const later = answered.steps.some(({ kind }) => kind === 'follow');
  const past = reachable === true && (elsewhere || later);
  const more = past ? [later ? FIRST_ALONE : OTHER_WIRE] : [];
  return {
    ...answered,
    probe: {
      reachable,
      cause,
      steps: [...steps, ...more].map(({ kind, rule = null, from = null, to = null, detail }) => ({
        ...{ kind, rule, from, to, detail },
      })),
    },
    agrees: reachable === null || past ? null : reachable === answered.reachable,
  };
}

const FIRST_ALONE: ProbeReport['steps'][number] = {
  kind: 'answer',
  detail: 'its first packet was answered, and no other was sent',
};
const OTHER_WIRE: ProbeReport['steps'][number] = {
  kind: 'answer',
  detail: 'it came by a wire of its own, where that rule does not see it',
};

function nameHops({ asked, lookup }: Situation, { plan, attempt, cause }: Verdict): readonly Hop[] {
  if (asked.to.kind !== 'name') return [];
  const { name } = asked.to;
  // The question itself is stopped: it has no answer to show.
  if (attempt === undefined && cause === 'foreign-rule') return [];
  if (lookup !== undefined && lookup.addresses.length > 0 && !plan.nameMissing) {
    return [{ kind: 'name', name, by: lookup.by, addresses: lookup.addresses }];
  }
  if (plan.nameMissing) return [{ kind: 'name', name, by: 'gangway', addresses: [] }];
  return attempt === undefined ? [] : [{ kind: 'name', name, by: 'engine', addresses: [attempt.address] }];
}
