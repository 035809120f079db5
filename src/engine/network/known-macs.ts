import type { Ip, Mac } from '../../model/address.ts';
import type { Change } from '../../plan/resource.ts';

/**
 * Which MAC each address of other hosts had last, on one network: containers here that talked to it have it in their
 * neighbour caches. MACs are made from IPv4 addresses, so an address of IPv6, or one with a chosen MAC, may come back with
 * another.
 */
export class KnownMacs {
  readonly #macs = new Map<Ip, Mac>();

  /** @returns addresses that have another MAC by these changes than they had before */
  follow(changes: readonly Change[]): readonly { readonly address: Ip; readonly mac: Mac }[] {
    return changes.flatMap(({ op, resource }) => {
      if (op === 'delete' || resource.kind !== 'neighbour') return [];
      const { address, mac } = resource;
      const before = this.#macs.get(address);
      this.#macs.set(address, mac);
      return before === undefined || before === mac ? [] : [{ address, mac }];
    });
  }
}
