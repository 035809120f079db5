import { createHash } from 'node:crypto';
import { EngineError, notFound, system } from '../../model/errors.ts';
import type { Mount } from '../images.ts';
import { type Descriptor, type ImageServices, isAlreadyExists, isNotFound } from './image-services.ts';
import { Turns } from './turns.ts';

/** Chain ids of every layer, from the first up (opencontainers/image-spec config.md, "Layer ChainID"). */
export function chainIds(diffIds: readonly string[]): string[] {
  const chains: string[] = [];
  for (const diffId of diffIds) {
    const parent = chains.at(-1);
    const joined = `${parent} ${diffId}`;
    chains.push(
      parent === undefined ? diffId : `sha256:${createHash('sha256').update(joined).digest('hex')}`,
    );
  }
  return chains;
}

/** Chain id of the last layer; empty for an image without layers. */
export const chainId = (diffIds: readonly string[]): string => chainIds(diffIds).at(-1) ?? '';

/** Layers and root filesystems, by containerd's snapshotter. */
export class Snapshots {
  readonly name: string;
  readonly #services: ImageServices;
  readonly #turns = new Turns();

  constructor(services: ImageServices, name: string) {
    this.#services = services;
    this.name = name;
  }

  async exists(key: string): Promise<boolean> {
    try {
      await this.#services.call('Snapshots', 'stat', { snapshotter: this.name, key });
      return true;
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }

  /** Whether it is there, and from now on stays as long as the lease. */
  async hold(key: string, lease: string): Promise<boolean> {
    await this.#services.hold(lease, `snapshots/${this.name}`, key);
    return this.exists(key);
  }

  /**
   * Unpacks a layer on top of its parent chain and commits it under its chain id; does nothing when it is there.
   * @throws EngineError SYSTEM when the unpacked bytes are not what the image config says
   */
  apply(
    layer: Pick<Descriptor, 'mediaType' | 'digest' | 'size'>,
    diffId: string,
    parent: string,
    chain: string,
    lease: string,
  ): Promise<void> {
    return this.#turns.run(chain, () => this.#apply(layer, diffId, parent, chain, lease));
  }

  async #apply(
    layer: Pick<Descriptor, 'mediaType' | 'digest' | 'size'>,
    diffId: string,
    parent: string,
    chain: string,
    lease: string,
  ): Promise<void> {
    if (await this.hold(chain, lease)) return;
    const key = `extract-${chain}-${process.hrtime.bigint()}`;
    const { mounts } = await this.#services.call<{ mounts: readonly Mount[] }>(
      'Snapshots',
      'prepare',
      { snapshotter: this.name, key, parent },
      lease,
    );
    try {
      const { applied } = await this.#services.call<{ applied: Descriptor }>(
        'Diff',
        'apply',
        { diff: { mediaType: layer.mediaType, digest: layer.digest, size: layer.size }, mounts },
        lease,
      );
      if (applied.digest !== diffId) {
        throw system(
          `layers from manifest don't match image configuration: ${applied.digest} is not ${diffId}`,
        );
      }
      await this.#services.call('Snapshots', 'commit', { snapshotter: this.name, name: chain, key }, lease);
    } catch (error) {
      await this.remove(key);
      if (error instanceof EngineError) throw error;
      if (!isAlreadyExists(error)) throw system(unpackFailure(error), error);
    }
  }

  /** A writable snapshot that the garbage collector leaves alone until `remove`. */
  async prepare(key: string, parent: string): Promise<readonly Mount[]> {
    const labels = { 'containerd.io/gc.root': new Date().toISOString() };
    const { mounts } = await this.#services.call<{ mounts: readonly Mount[] }>('Snapshots', 'prepare', {
      snapshotter: this.name,
      key,
      parent,
      labels,
    });
    return mounts;
  }

  async mounts(key: string): Promise<readonly Mount[]> {
    try {
      const answer = await this.#services.call<{ mounts: readonly Mount[] }>('Snapshots', 'mounts', {
        snapshotter: this.name,
        key,
      });
      return answer.mounts;
    } catch (error) {
      if (isNotFound(error)) throw notFound(`no root filesystem ${key}`);
      throw error;
    }
  }

  async remove(key: string): Promise<void> {
    try {
      await this.#services.call('Snapshots', 'remove', { snapshotter: this.name, key });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  /** Bytes of this snapshot alone, without its parents. */
  async usage(key: string): Promise<number> {
    const { size } = await this.#services.call<{ size: number }>('Snapshots', 'usage', {
      snapshotter: this.name,
      key,
    });
    return size;
  }
}

/** containerd's words without what only it can know: `mount callback failed on PATH: archive/tar: invalid tar header`. */
function unpackFailure(error: unknown): string {
  const words = (error as { details?: string }).details ?? String(error);
  return words.replace(/^(failed to extract layer \S+: )?mount callback failed on \S+: /, '');
}
