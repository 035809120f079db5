import type { Collection, Store } from '../engine/store.ts';
import {
  bigIntToIp,
  bitsOf,
  contains,
  formatPrefix,
  type Ip,
  ipToBigInt,
  type Prefix,
  prefixOf,
} from '../model/address.ts';
import { forbidden, system } from '../model/errors.ts';
import type { OverlaySpec } from '../model/overlay.ts';
import type { ClusterStore, Guard, Write } from './cluster-store.ts';

/** A write of this host, as long as it is this host's to write. */
type Commit = (guards: readonly Guard[], writes: readonly Write[]) => Promise<string | undefined>;

interface BlockRecord {
  readonly key: string;
  readonly networkId: string;
  readonly block: Prefix;
}

/**
 * Blocks of an overlay network's subnet that belong to this host: within them it gives addresses without asking anybody.
 * A block is claimed by a write that succeeds for one host only.
 */
export class Blocks {
  readonly #remote: ClusterStore;
  readonly #records: Collection<BlockRecord>;
  readonly #nodeId: string;
  readonly #commit: Commit;
  readonly #own = new Map<string, Prefix[]>();

  constructor(remote: ClusterStore, local: Store, nodeId: string, commit: Commit) {
    this.#remote = remote;
    this.#records = local.collection('cluster_blocks');
    this.#nodeId = nodeId;
    this.#commit = commit;
    for (const { networkId, block } of this.#records.all()) this.#add(networkId, block);
  }

  own(networkId: string): readonly Prefix[] {
    return this.#own.get(networkId) ?? [];
  }

  /** One more block: the first that nobody has. @throws EngineError SYSTEM when there is none, UNAVAILABLE without the store */
  async claim(spec: OverlaySpec): Promise<Prefix> {
    const range = rangeOf(spec);
    for (;;) {
      const { entries } = await this.#remote.list<string>(`blocks/${spec.id}/`);
      const taken = new Set(entries.map(({ key }) => key.slice(`blocks/${spec.id}/`.length)));
      const free = firstFree(range, blockLength(spec), taken);
      if (free === undefined) {
        throw system(
          `failed to set up container networking: no available IPv4 addresses on this network's address pools: ${spec.name} (${spec.id}): all blocks belong to hosts`,
        );
      }
      if (await this.#take(spec.id, free)) return free;
    }
  }

  /** The block of a chosen address. @throws EngineError FORBIDDEN when it belongs to another host, UNAVAILABLE without the store */
  async claimFor(spec: OverlaySpec, address: Ip): Promise<void> {
    if (this.own(spec.id).some((block) => contains(block, address))) return;
    const block = prefixOf({ address, length: blockLength(spec) });
    const owner = await this.#remote.get<string>(`blocks/${spec.id}/${formatPrefix(block)}`);
    if (owner === undefined && (await this.#take(spec.id, block))) return;
    if (owner?.value === this.#nodeId) {
      this.#remember(spec.id, block);
      return;
    }
    throw forbidden(
      `failed to set up container networking: Address already in use: ${address} is of the block ${formatPrefix(block)}, which another host has`,
    );
  }

  /**
   * After the cluster may have forgotten this host: blocks that nobody took are claimed anew.
   * @returns those that are another host's now, and this one's no more
   * @throws EngineError UNAVAILABLE
   */
  async verify(
    specOf: (networkId: string) => OverlaySpec | undefined,
  ): Promise<readonly { readonly networkId: string; readonly block: Prefix }[]> {
    const lost: { readonly networkId: string; readonly block: Prefix }[] = [];
    for (const [networkId, own] of [...this.#own]) {
      if (specOf(networkId) === undefined) continue;
      const { entries } = await this.#remote.list<string>(`blocks/${networkId}/`);
      const owners = new Map(entries.map(({ key, value }) => [key, value]));
      for (const block of own) {
        const owner = owners.get(`blocks/${networkId}/${formatPrefix(block)}`);
        if (owner === this.#nodeId) continue;
        if (owner === undefined && (await this.#take(networkId, block))) continue;
        this.#lose(networkId, block);
        lost.push({ networkId, block });
      }
    }
    return lost;
  }

  /** The network is gone. */
  forget(networkId: string): void {
    for (const block of this.own(networkId)) this.#records.delete(`${networkId} ${formatPrefix(block)}`);
    this.#own.delete(networkId);
  }

  async #take(networkId: string, block: Prefix): Promise<boolean> {
    const key = `blocks/${networkId}/${formatPrefix(block)}`;
    const made = await this.#commit([{ key, is: 'absent' }], [{ put: key, value: this.#nodeId }]);
    if (made === undefined) return false;
    this.#remember(networkId, block);
    return true;
  }

  #remember(networkId: string, block: Prefix): void {
    const key = `${networkId} ${formatPrefix(block)}`;
    this.#records.put(key, { key, networkId, block });
    this.#add(networkId, block);
  }

  #lose(networkId: string, block: Prefix): void {
    this.#records.delete(`${networkId} ${formatPrefix(block)}`);
    this.#own.set(
      networkId,
      this.own(networkId).filter((each) => each !== block),
    );
  }

  #add(networkId: string, block: Prefix): void {
    const own = this.own(networkId);
    if (!own.some(({ address }) => address === block.address)) this.#own.set(networkId, [...own, block]);
  }
}

function rangeOf(spec: OverlaySpec): Prefix {
  const { ipv4 } = spec;
  if (ipv4 === undefined) throw new Error(`overlay network ${spec.id} has no subnet`);
  return ipv4.ipRange ?? ipv4.subnet;
}

/** Half the host bits, 4 to 64 addresses: a /24 has 16 blocks of 16, a /16 has 1024 of 64. */
function blockLength(spec: OverlaySpec): number {
  const { address, length } = rangeOf(spec);
  const free = bitsOf(address) - length;
  return bitsOf(address) - Math.min(free, Math.max(2, Math.min(6, Math.floor(free / 2))));
}

function firstFree(range: Prefix, length: number, taken: ReadonlySet<string>): Prefix | undefined {
  const step = 1n << BigInt(bitsOf(range.address) - length);
  const first = ipToBigInt(range.address);
  const end = first + (1n << BigInt(bitsOf(range.address) - range.length));
  for (let value = first; value < end; value += step) {
    const block = { address: bigIntToIp(value, range.address), length };
    if (!taken.has(formatPrefix(block))) return block;
  }
  return undefined;
}
