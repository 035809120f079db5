import { Counter, type Registry } from 'prom-client';
import { causeOfRule, type DroppedFrom } from '../explain/rule-cause.ts';
import type { RuleCounter } from '../kernel/drop-counters.ts';
import type { Rule, Ruleset } from '../plan/rule.ts';
import { IPV4_RULESET, IPV6_RULESET } from '../plan/ruleset.ts';
import { SPOOF_GUARD } from '../plan/spoof-guard.ts';

const SENDERS: Readonly<Record<NonNullable<Rule['of']> | 'others', DroppedFrom>> = {
  neighbours: { sender: 'container', sameBridge: true },
  containers: { sender: 'container', sameBridge: false },
  others: { sender: 'outside', sameBridge: false },
};

/** Rules that drop, by family and chain, in the order they have there. */
const DROPPING: ReadonlyMap<string, readonly Rule[]> = new Map(
  [IPV4_RULESET, IPV6_RULESET, SPOOF_GUARD].flatMap(({ family, chains }: Ruleset) =>
    chains.map(({ name, rules }) => [
      `${family} ${name}`,
      rules.filter(({ verdict }) => verdict.kind === 'drop'),
    ]),
  ),
);

export interface CountedDrops {
  readonly rule: string;
  readonly cause: string;
  readonly family: string;
  readonly packets: number;
  readonly bytes: number;
}

/** Whose packets a rule drops follows from its place among those of its id. */
export function countedDrops(counters: readonly RuleCounter[]): readonly CountedDrops[] {
  const seen = new Map<string, number>();
  return counters.flatMap(({ family, chain, rule, packets, bytes }) => {
    const key = `${family} ${chain} ${rule}`;
    const place = seen.get(key) ?? 0;
    seen.set(key, place + 1);
    const known = DROPPING.get(`${family} ${chain}`)?.filter(({ id }) => id === rule)[place];
    if (known === undefined) return [];
    return [{ rule, cause: causeOfRule(rule, SENDERS[known.of ?? 'others']), family, packets, bytes }];
  });
}

/** What the engine's own rules refuse. */
export class DropMetrics {
  readonly #packets: Counter<'rule' | 'cause' | 'family'>;
  readonly #bytes: Counter<'rule' | 'cause' | 'family'>;

  constructor(registry: Registry) {
    const common = { labelNames: ['rule', 'cause', 'family'] as const, registers: [registry] };
    const help = "that a rule of the engine's firewall dropped, by the rule and why.";
    this.#packets = new Counter({
      ...common,
      name: 'gangway_dropped_packets_total',
      help: `Packets ${help}`,
    });
    this.#bytes = new Counter({
      ...common,
      name: 'gangway_dropped_bytes_total',
      help: `Bytes of packets ${help}`,
    });
  }

  set(counters: readonly RuleCounter[]): void {
    this.#packets.reset();
    this.#bytes.reset();
    for (const { packets, bytes, ...labels } of countedDrops(counters)) {
      this.#packets.inc(labels, packets);
      this.#bytes.inc(labels, bytes);
    }
  }
}
