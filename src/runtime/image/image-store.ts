import { randomBytes } from 'node:crypto';
import { setImmediate as tick } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { DaemonConfig } from '../../engine/config.ts';
import type { EventBus } from '../../engine/events.ts';
import { invalid } from '../../model/errors.ts';
import type { Image, Images, Mount, PullOptions } from '../images.ts';
import {
  familiarName,
  familiarReference,
  fullName,
  parseReference,
  type Reference,
  withDefaultTag,
} from '../registry/reference.ts';
import { ContentStore } from './content.ts';
import { familiarNames, ImageIndex, runtimeConfig, type StoredImage } from './image-index.ts';
import { ImageRecords, mediaTypeOf, SIZE_LABEL } from './image-records.ts';
import { ImageRemoval, type ImageUsers, type Removal } from './image-removal.ts';
import { type ImageRecord, ImageServices } from './image-services.ts';
import { type Manifest, parseConfig, parseManifest } from './manifest.ts';
import { pullImage } from './pull.ts';
import { chainId, chainIds, Snapshots } from './snapshots.ts';
import { Turns } from './turns.ts';

const DIGEST_LABEL = 'gangway.repo-digest';

export interface ImageStoreOptions {
  readonly config: DaemonConfig;
  readonly log: Logger;
  readonly events: EventBus;
  /** Path of containerd's socket. */
  readonly address: string;
  readonly users: ImageUsers;
}

/**
 * Images in containerd: its image records are the truth, this class keeps an index of them in memory. A record roots
 * manifest, config, layers and snapshots for the garbage collector; while something is being made a lease does.
 */
export class ImageStore implements Images {
  readonly index = new ImageIndex();
  readonly content: ContentStore;
  readonly snapshots: Snapshots;
  readonly config: DaemonConfig;
  readonly #services: ImageServices;
  readonly #records: ImageRecords;
  readonly #events: EventBus;
  readonly #log: Logger;
  readonly #removals: ImageRemoval;
  /** Records and index change together, one change at a time. */
  readonly #changes = new Turns();

  constructor(options: ImageStoreOptions) {
    this.config = options.config;
    this.#log = options.log;
    this.#events = options.events;
    this.#services = new ImageServices(options.address, options.config.containerdNamespace);
    this.content = new ContentStore(this.#services);
    this.snapshots = new Snapshots(this.#services, 'overlayfs');
    this.#records = new ImageRecords(this.#services, this.content);
    this.#removals = new ImageRemoval({
      index: this.index,
      records: this.#records,
      snapshots: this.snapshots,
      users: options.users,
      changes: this.#changes,
      publish: (action, id) => this.#publish(action, id, { name: id }),
    });
  }

  /** Reads every image record. An image whose content is damaged is left out and logged, never removed. */
  async load(): Promise<void> {
    for (const record of await this.#records.list()) {
      try {
        await this.#admit(record);
      } catch (error) {
        this.#log.error({ err: error, image: record.name }, 'image is damaged');
      }
      await tick();
    }
  }

  resolve(ref: string): StoredImage {
    return this.index.resolve(ref);
  }

  list(): readonly StoredImage[] {
    return this.index.all();
  }

  prepareRootfs(image: Image, key: string): Promise<readonly Mount[]> {
    return this.snapshots.prepare(key, image.chainId);
  }

  rootfsMounts(key: string): Promise<readonly Mount[]> {
    return this.snapshots.mounts(key);
  }

  removeRootfs(key: string): Promise<void> {
    return this.snapshots.remove(key);
  }

  rootfsUsage(key: string): Promise<number> {
    return this.snapshots.usage(key);
  }

  async pull(ref: string, options: PullOptions): Promise<Image> {
    const reference = withDefaultTag(parseReference(ref));
    const image = await this.leased((lease) => pullImage(this, reference, options, lease));
    this.#publish('pull', familiarReference(reference), { name: familiarName(reference) });
    return image;
  }

  /** Runs `body` with a lease that holds whatever it makes; the lease ends with it. */
  async leased<T>(body: (lease: string) => Promise<T>): Promise<T> {
    const id = `gangway-${randomBytes(8).toString('hex')}`;
    // Should the daemon die meanwhile, containerd ends the lease by itself.
    const expire = new Date(Date.now() + 24 * 3600 * 1000).toISOString();
    await this.#services.call('Leases', 'create', { id, labels: { 'containerd.io/gc.expire': expire } });
    try {
      return await body(id);
    } finally {
      await this.#services
        .call('Leases', 'delete', { id })
        .catch((error) => this.#log.warn({ err: error }, 'lease not deleted'));
    }
  }

  /**
   * Makes an image known: everything it needs is in the content store and unpacked under `lease`.
   * @param repoDigest `name@sha256:…` when it came from a registry
   */
  register(
    manifestDigest: string,
    reference: Reference | undefined,
    repoDigest?: string,
  ): Promise<StoredImage> {
    return this.#changes.run('', () => this.#register(manifestDigest, reference, repoDigest));
  }

  async #register(
    manifestDigest: string,
    reference: Reference | undefined,
    repoDigest: string | undefined,
  ): Promise<StoredImage> {
    const bytes = await this.content.read(manifestDigest);
    const manifest = parseManifest(bytes);
    const file = parseConfig(await this.content.read(manifest.config.digest));
    await this.#link(manifestDigest, manifest, chainId(file.rootfs.diff_ids ?? []));
    const sizes = await this.layerSizes({ diffIds: file.rootfs.diff_ids ?? [] });
    const size = sizes.reduce((sum, layer) => sum + layer, 0);
    const record = (name: string): ImageRecord => ({
      name,
      labels: { [SIZE_LABEL]: String(size), ...(repoDigest !== undefined && { [DIGEST_LABEL]: repoDigest }) },
      target: { mediaType: mediaTypeOf(manifest), digest: manifestDigest, size: bytes.length },
    });
    const named = reference?.tag === undefined ? undefined : `${fullName(reference)}:${reference.tag}`;
    const replaced = named === undefined ? undefined : this.index.byName(named);
    const id = manifest.config.digest;
    if (named === undefined) {
      if (this.index.get(id) === undefined || repoDigest !== undefined)
        await this.#records.write(record(this.#records.nameless(id)));
    } else {
      if (replaced !== undefined && replaced.id !== id && replaced.names.size === 1)
        await this.#records.keepNameless(replaced);
      await this.#records.write(record(named));
      if (replaced !== undefined && replaced.id !== id) this.index.forgetName(replaced.id, named);
    }
    await this.#admit(record(named ?? this.#records.nameless(id)));
    if (named !== undefined) await this.#records.drop(this.#records.nameless(id));
    return this.index.resolve(id);
  }

  /** @throws EngineError NOT_FOUND, INVALID_PARAMETER */
  async tag(ref: string, target: Reference): Promise<void> {
    if (target.digest !== undefined) throw invalid('refusing to create a tag with a digest reference');
    const image = this.resolve(ref);
    const digest = image.repoDigests.find((known) => fullName(parseReference(known)) === fullName(target));
    await this.register(image.manifestDigest, withDefaultTag(target), digest);
    this.#publish('tag', image.id, { name: familiarReference(withDefaultTag(target)) });
  }

  /** `docker rmi`. @throws EngineError NOT_FOUND, CONFLICT when containers use it */
  remove(ref: string, options: { readonly force: boolean }): Promise<readonly Removal[]> {
    return this.#removals.remove(ref, options.force);
  }

  /** Removes images nobody uses. @param all also named ones, not just dangling */
  async prune(
    all: boolean,
    matches: (image: StoredImage) => boolean,
  ): Promise<{ removed: readonly Removal[]; reclaimed: number }> {
    const pruned = await this.#removals.prune(all, matches);
    this.#events.publish('image', 'prune', '', { reclaimed: String(pruned.reclaimed) });
    return pruned;
  }

  /** Bytes of the layers that another image has too. */
  async sharedSize(image: StoredImage): Promise<number> {
    const unshared = new Set(this.index.unshared(image));
    const sizes = await this.layerSizes(image);
    const chains = chainIds(image.diffIds);
    return sizes.reduce((sum, size, i) => (unshared.has(chains[i] ?? '') ? sum : sum + size), 0);
  }

  /** Bytes of each layer, from the first up. */
  layerSizes(image: Pick<Image, 'diffIds'>): Promise<readonly number[]> {
    return Promise.all(chainIds(image.diffIds).map((chain) => this.snapshots.usage(chain)));
  }

  close(): void {
    this.#services.close();
  }

  publish(
    action: 'import' | 'load' | 'save' | 'push',
    id: string,
    attributes: Readonly<Record<string, string>>,
  ): void {
    this.#publish(action, id, attributes);
  }

  #publish(action: string, id: string, attributes: Readonly<Record<string, string>>): void {
    this.#events.publish('image', action, id, { ...this.#labels(id), ...attributes });
  }

  #labels(ref: string): Readonly<Record<string, string>> {
    try {
      return this.resolve(ref).config.Labels ?? {};
    } catch {
      return {};
    }
  }

  /** Labels by which containerd's garbage collector follows manifest → config, layers → snapshots (docs/garbage-collection.md). */
  async #link(digest: string, manifest: Manifest, chain: string): Promise<void> {
    const refs: Record<string, string> = { 'containerd.io/gc.ref.content.config': manifest.config.digest };
    manifest.layers.forEach((layer, i) => {
      refs[`containerd.io/gc.ref.content.l.${i}`] = layer.digest;
    });
    await this.content.label(digest, refs);
    if (chain !== '') {
      await this.content.label(manifest.config.digest, {
        [`containerd.io/gc.ref.snapshot.${this.snapshots.name}`]: chain,
      });
    }
  }

  async #admit(record: ImageRecord): Promise<void> {
    const manifest = parseManifest(await this.content.read(record.target.digest));
    const id = manifest.config.digest;
    const file = this.index.get(id)?.file ?? parseConfig(await this.content.read(id));
    const known = this.index.get(id);
    const names = new Set(known?.names ?? []);
    if (!this.#records.isNameless(record)) names.add(record.name);
    const digests = new Set(known?.repoDigests ?? []);
    const digest = record.labels[DIGEST_LABEL];
    if (digest !== undefined) digests.add(digest);
    const diffIds = file.rootfs.diff_ids ?? [];
    this.index.put({
      id,
      manifestDigest: record.target.digest,
      names,
      repoTags: familiarNames(names),
      repoDigests: [...digests],
      config: runtimeConfig(file),
      file,
      architecture: file.architecture,
      os: file.os,
      ...(file.variant !== undefined && { variant: file.variant }),
      ...(file.created != null && { created: file.created }),
      ...(file.author !== undefined && { author: file.author }),
      diffIds,
      chainId: chainId(diffIds),
      size: Number(record.labels[SIZE_LABEL] ?? known?.size ?? 0),
    });
  }
}
