import { setTimeout as sleep } from 'node:timers/promises';
import { hostExchange } from '../../dns/upstream.ts';
import type { FirewallRule } from '../../kernel/firewall-rules.ts';
import type { ForeignChain } from '../../kernel/foreign-firewall.ts';
import { type Inventory, kernelHas, roomAt } from '../../kernel/inventory.ts';
import type { HostFacts, Kernel } from '../../kernel/kernel.ts';
import type { LegacyFirewall } from '../../model/kernel-facts.ts';
import type { Endpoint, Network } from '../../model/network.ts';
import type { PlanFacts } from '../../plan/plan.ts';
import type { Change } from '../../plan/resource.ts';
import type { SubnetSource } from '../../plan/subnet-pool.ts';
import type { DaemonConfig } from '../config.ts';
import { hostResolvConf } from '../network/host-resolv-conf.ts';
import { sourcesOf } from '../network/network-design.ts';

/** Everything the checks of one host look at, read at one moment. */
export interface HostLook {
  readonly networks: readonly Network[];
  readonly endpoints: readonly Endpoint[];
  readonly plan: PlanFacts;
  readonly host: HostFacts;
  readonly inventory: Inventory;
  readonly chains: readonly ForeignChain[];
  readonly rules: readonly FirewallRule[];
  /** Rules of iptables-legacy. */
  readonly legacy: readonly LegacyFirewall[];
  readonly drift: readonly Change[];
  readonly sources: readonly SubnetSource[];
  readonly inCluster: boolean;
  /** `--ip-forward` */
  readonly ipForward: boolean;
  readonly sysctl: (name: string) => string | undefined;
  /** Undefined: the kernel does not say. */
  readonly hasFeature: (option: string, module: string) => boolean | undefined;
  readonly resolvers: readonly ResolverLook[];
  readonly resolversFrom: string;
  readonly dataRoot: string;
  readonly room: { readonly free: number; readonly total: number; readonly inodes: number };
  /** Unix milliseconds. */
  readonly now: number;
}

export interface ResolverLook {
  readonly address: string;
  /** Until its answer; undefined: none came. */
  readonly milliseconds: number | undefined;
}

export interface HostParts {
  readonly kernel: Kernel;
  readonly config: DaemonConfig;
  readonly networking: {
    list(): readonly Network[];
    allEndpoints(): readonly Endpoint[];
    drift(): readonly Change[];
    readonly facts: PlanFacts;
  };
}

/** What the daemon puts right by itself is so within this time. */
const HEALING_MS = 1500;
const RESOLVER_MS = 2000;

export async function lookAtHost({ kernel, config, networking }: HostParts): Promise<HostLook> {
  const { path, conf } = hostResolvConf();
  const servers = config.network.dns.length > 0 ? config.network.dns : conf.nameservers;
  const resolvers = Promise.all([...new Set(servers)].map(askResolver));
  // Somebody may have changed something this very moment.
  if (networking.drift().length > 0) await sleep(HEALING_MS);
  return {
    resolvers: await resolvers,
    resolversFrom: config.network.dns.length > 0 ? '--dns' : path,
    networks: networking.list(),
    endpoints: networking.allEndpoints(),
    plan: networking.facts,
    host: kernel.host(),
    inventory: kernel.inventory(),
    chains: kernel.foreignChains(),
    rules: kernel.firewall().rules,
    legacy: kernel.legacyFirewall(),
    drift: networking.drift(),
    sources: sourcesOf(config.network),
    inCluster: config.cluster !== undefined,
    ipForward: config.network.ipForward,
    sysctl: (name) => kernel.sysctl(name),
    hasFeature: kernelHas,
    dataRoot: config.dataRoot,
    room: roomAt(config.dataRoot),
    now: Date.now(),
  };
}

/** `. NS`: what every resolver can answer, whatever zones it serves. Any answer is one. */
async function askResolver(address: string): Promise<ResolverLook> {
  const id = Math.floor(Math.random() * 0x10000);
  const query = Buffer.from([id >> 8, id & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1]);
  const begun = performance.now();
  try {
    await hostExchange(address, query, 'udp', AbortSignal.timeout(RESOLVER_MS));
    return { address, milliseconds: Math.round(performance.now() - begun) };
  } catch {
    return { address, milliseconds: undefined };
  }
}
