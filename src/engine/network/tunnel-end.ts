import type { Kernel } from '../../kernel/kernel.ts';
import type { Ip } from '../../model/address.ts';
import type { OverlayFacts } from '../../plan/overlay.ts';
import type { TableFamily } from '../../plan/rule.ts';

/** Where this host's tunnels end, and what passes through there: the MTU may change while the daemon runs. */
export class TunnelEnd implements OverlayFacts {
  readonly address: Ip;
  readonly tables: ReadonlySet<TableFamily>;
  readonly #kernel: Kernel;
  #mtu: number;

  constructor(address: Ip, tables: ReadonlySet<TableFamily>, kernel: Kernel) {
    this.address = address;
    this.tables = tables;
    this.#kernel = kernel;
    this.#mtu = this.#look();
  }

  get uplinkMtu(): number {
    return this.#mtu;
  }

  /** @returns whether it is another than before */
  follow(): boolean {
    const before = this.#mtu;
    this.#mtu = this.#look();
    return this.#mtu !== before;
  }

  #look(): number {
    return this.#kernel.mtuAt(this.address) ?? this.#kernel.host().uplinkMtu;
  }
}
