import type { Collection, Store } from '../engine/store.ts';
import {
  bigIntToIp,
  bitsOf,
  contains,
  type Family,
  familyOf,
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

/** What a container's start wants of a network's blocks: the one of a chosen address, or one more of a family. */
export type BlockWish = { readonly of: Ip } | { readonly more: Family };

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

  /**
   * The blocks that a start needs, of both families in one write, or none. Nothing is asked where all are this host's.
   * @throws EngineError SYSTEM when no block is free, FORBIDDEN for an address of another host's block, UNAVAILABLE
   * without the store
   */
  async claim(spec: OverlaySpec, wishes: readonly BlockWish[]): Promise<void> {
    const own = this.own(spec.id);
    const open = wishes.filter((wish) => 'more' in wish || !own.some((block) => contains(block, wish.of)));
    if (open.length === 0) return;
    for (;;) {
      const owners = await this.#owners(spec.id);
      const blocks = open.map((wish) =>
        'more' in wish ? anyFree(spec, wish.more, owners) : this.#blockOf(spec, wish.of, owners),
      );
      const free = blocks.filter((block) => !owners.has(formatPrefix(block)));
      if (!(await this.#take(spec.id, free))) continue;
      // What the store has as this host's was claimed before its disk knew.
      for (const block of blocks) this.#remember(spec.id, block);
      return;
    }
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
      const owners = await this.#owners(networkId);
      for (const block of own) {
        const owner = owners.get(formatPrefix(block));
        if (owner === this.#nodeId) continue;
        if (owner === undefined && (await this.#take(networkId, [block]))) continue;
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

  /** Nobody's, or this host's. @throws EngineError FORBIDDEN when it is another's */
  #blockOf(spec: OverlaySpec, address: Ip, owners: ReadonlyMap<string, string>): Prefix {
    const block = prefixOf({ address, length: blockLength(spec, familyOf(address)) });
    const owner = owners.get(formatPrefix(block));
    if (owner === undefined || owner === this.#nodeId) return block;
    throw forbidden(
      `failed to set up container networking: Address already in use: ${address} is of the block ${formatPrefix(block)}, which another host has`,
    );
  }

  /** Who has each block of the network. */
  async #owners(networkId: string): Promise<ReadonlyMap<string, string>> {
    const prefix = `blocks/${networkId}/`;
    const { entries } = await this.#remote.list<string>(prefix);
    return new Map(entries.map(({ key, value }) => [key.slice(prefix.length), value]));
  }

  /** All or none. @returns whether nobody was faster */
  async #take(networkId: string, blocks: readonly Prefix[]): Promise<boolean> {
    if (blocks.length === 0) return true;
    const keys = blocks.map((block) => `blocks/${networkId}/${formatPrefix(block)}`);
    const made = await this.#commit(
      keys.map((key) => ({ key, is: 'absent' })),
      keys.map((key) => ({ put: key, value: this.#nodeId })),
    );
    return made !== undefined;
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

/** @throws EngineError SYSTEM when there is none */
function anyFree(spec: OverlaySpec, family: Family, owners: ReadonlyMap<string, string>): Prefix {
  const free = firstFree(rangeOf(spec, family), blockLength(spec, family), owners);
  if (free !== undefined) return free;
  const name = family === 'ipv4' ? 'IPv4' : 'IPv6';
  throw system(
    `failed to set up container networking: no available ${name} addresses on this network's address pools: ${spec.name} (${spec.id}): all blocks belong to hosts`,
  );
}

function rangeOf(spec: OverlaySpec, family: Family): Prefix {
  const subnet = spec[family];
  if (subnet === undefined) throw new Error(`overlay network ${spec.id} has no ${family} subnet`);
  return subnet.ipRange ?? subnet.subnet;
}

/** Half the host bits, 4 to 64 addresses: a /24 has 16 blocks of 16, a /16 has 1024 of 64, a /64 of IPv6 2^58 of 64. */
function blockLength(spec: OverlaySpec, family: Family): number {
  const { address, length } = rangeOf(spec, family);
  const free = bitsOf(address) - length;
  return bitsOf(address) - Math.min(free, Math.max(2, Math.min(6, Math.floor(free / 2))));
}

function firstFree(range: Prefix, length: number, taken: ReadonlyMap<string, string>): Prefix | undefined {
  const step = 1n << BigInt(bitsOf(range.address) - length);
  const first = ipToBigInt(range.address);
  const end = first + (1n << BigInt(bitsOf(range.address) - range.length));
  for (let value = first; value < end; value += step) {
    const block = { address: bigIntToIp(value, range.address), length };
    if (!taken.has(formatPrefix(block))) return block;
  }
  return undefined;
}
