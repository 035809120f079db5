import type { Logger } from 'pino';
import type { Kernel } from '../../kernel/kernel.ts';
import { FAMILIES } from '../../model/address.ts';
import { familiesOf } from '../../model/network.ts';
import { diff } from '../../plan/diff.ts';
import { type PlanFacts, plan } from '../../plan/plan.ts';
import { type Change, type Resource, resourceKey } from '../../plan/resource.ts';
import type { Patient } from './healer.ts';
import type { NetworkRegistry } from './network-registry.ts';
import type { Overlays } from './overlays.ts';
import type { SandboxTable } from './sandbox-table.ts';
import type { TunnelEnd } from './tunnel-end.ts';

export interface ReconciliationOptions {
  readonly kernel: Kernel;
  readonly log: Logger;
  readonly ipForward: boolean;
  readonly facts: PlanFacts;
  readonly registry: NetworkRegistry;
  readonly table: SandboxTable;
  readonly overlays: Overlays | undefined;
  readonly tunnelEnd: TunnelEnd | undefined;
}

/** Makes the kernel what the model says: at the start, and whenever somebody changed it. What is right already stays. */
export class Reconciliation implements Patient {
  readonly #options: ReconciliationOptions;

  constructor(options: ReconciliationOptions) {
    this.#options = options;
  }

  /** @throws KernelError when something cannot be made; nothing is changed then */
  begin(): void {
    const { kernel, log, registry } = this.#options;
    this.#enableForwarding();
    for (const network of registry.bridges()) {
      if (!network.bridge.owned) kernel.routeLocalnet(network.bridge.ifName);
    }
    const changes = diff(this.#wanted(), kernel.observe());
    // A host port that somebody took meanwhile must not undo anything else.
    const holds = changes.filter((change) => change.resource.kind === 'host-port');
    kernel.apply(changes.filter((change) => change.resource.kind !== 'host-port'));
    for (const failure of kernel.tearDown(holds)) {
      log.warn(
        { err: failure },
        'published port is held by another program; what comes from outside still goes to the container',
      );
    }
    if (changes.length > 0) log.info({ changes: changes.length }, 'network reconciled');
  }

  heal(): void {
    this.#putRight('the network was changed by another program and is put right');
  }

  followUplink(): void {
    const { registry, tunnelEnd } = this.#options;
    const changed = [registry.followUplink(), tunnelEnd?.follow() ?? false];
    if (changed.includes(true)) this.#putRight('the MTU follows the uplink');
  }

  wantedLink(name: string): 'bridge' | 'port' | undefined {
    const { registry, table, overlays } = this.#options;
    const ofOverlay = overlays?.wantedLink(name);
    if (ofOverlay !== undefined) return ofOverlay;
    if (registry.bridges().some(({ bridge }) => bridge.owned && bridge.ifName === name)) return 'bridge';
    return table.allEndpoints().some(({ hostIfName }) => hostIfName === name) ? 'port' : undefined;
  }

  wantsAddress(address: string): boolean {
    return this.#options.registry
      .bridges()
      .flatMap(familiesOf)
      .some(({ gateway, onBridge }) => onBridge && gateway.address === address);
  }

  #wanted(): readonly Resource[] {
    const { registry, table, facts, overlays } = this.#options;
    const model = {
      networks: registry.list(),
      sandboxes: table.sandboxes(),
      endpoints: table.allEndpoints(),
    };
    return [...(overlays?.planned() ?? []), ...plan(model, facts)];
  }

  /** What of the kernel is other than the model says, and was not put right yet. */
  drift(): readonly Change[] {
    return diff(this.#wanted(), this.#options.kernel.observe());
  }

  #enableForwarding(): void {
    const { kernel, registry, ipForward } = this.#options;
    if (!ipForward) return;
    for (const family of FAMILIES) {
      const used = registry.bridges().some((network) => network[family] !== undefined);
      if (family === 'ipv4' || used) kernel.enableForwarding(family);
    }
  }

  #putRight(words: string): void {
    const { kernel, log } = this.#options;
    this.#enableForwarding();
    const changes = diff(this.#wanted(), kernel.observe());
    if (changes.length === 0) return;
    const failures = kernel.tearDown(changes);
    const what = changes.slice(0, 5).map(({ op, resource }) => `${op} ${resourceKey(resource)}`);
    log.warn({ changes: changes.length, first: what }, words);
    for (const failure of failures) log.error({ err: failure }, 'this could not be put right');
  }
}
