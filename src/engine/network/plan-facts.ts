import type { Kernel } from '../../kernel/kernel.ts';
import type { PlanFacts } from '../../plan/plan.ts';
import type { TableFamily } from '../../plan/rule.ts';
import type { NetworkConfig } from '../config.ts';
import type { TunnelEnd } from './tunnel-end.ts';

/** Which the engine may have. */
export function tablesOf(config: NetworkConfig): ReadonlySet<TableFamily> {
  return new Set([
    ...(config.iptables ? (['ip', 'bridge'] as const) : []),
    ...(config.ip6tables ? (['ip6'] as const) : []),
  ]);
}

/** What is so as long as the daemon runs, and the plan rests on. */
export function planFacts(config: NetworkConfig, kernel: Kernel, overlay: TunnelEnd | undefined): PlanFacts {
  const { bridgeFirewall } = kernel.host();
  return {
    tables: tablesOf(config),
    bridgeFirewall,
    ...(overlay && { overlay }),
    directRouting: config.allowDirectRouting,
    logDrops: kernel.canLogDrops(),
    ...(config.bridgeAcceptFwmark && { acceptMark: config.bridgeAcceptFwmark }),
  };
}
