import { conflict, notImplemented } from '../../model/errors.ts';
import { familiarReference, fullReference, parseReference, withDefaultTag } from '../registry/reference.ts';
import type { ImageIndex, StoredImage } from './image-index.ts';
import type { ImageRecords } from './image-records.ts';
import type { Snapshots } from './snapshots.ts';
import type { Turns } from './turns.ts';

/** A container that stands on an image. */
export interface ImageUser {
  readonly id: string;
  readonly running: boolean;
}

export interface ImageUsers {
  usersOf(imageId: string): readonly ImageUser[];
}

/** One line of what `docker rmi` did. */
export interface Removal {
  readonly Untagged?: string;
  readonly Deleted?: string;
}

/**
 * Whether the image may lose its last name (moby daemon/containerd/image_delete.go).
 * @param wish.byId it was named by its id: the image itself is meant, not one of its names
 * @throws EngineError CONFLICT in Docker's words
 */
function checkRemoval(
  image: StoredImage,
  wish: { readonly ref: string; readonly byId: boolean; readonly force: boolean },
  users: readonly ImageUser[],
): void {
  const short = image.id.slice(7, 19);
  const unable = (forced: string, reason: string) =>
    conflict(`conflict: unable to delete ${short} (${forced}) - ${reason}`);
  if (wish.byId && image.names.size > 1 && !wish.force) {
    throw unable('must be forced', 'image is referenced in multiple repositories');
  }
  const running = users.find((user) => user.running);
  if (running !== undefined && wish.byId) {
    const id = running.id.slice(0, 12);
    throw unable('cannot be forced', `image is being used by running container ${id}`);
  }
  const [user] = users;
  if (user === undefined || wish.force) return;
  const id = user.id.slice(0, 12);
  if (wish.byId) throw unable('must be forced', `image is being used by stopped container ${id}`);
  throw conflict(
    `conflict: unable to remove repository reference "${wish.ref}" (must force) - container ${id} is using its referenced image ${short}`,
  );
}

export interface ImageRemovalParts {
  readonly index: ImageIndex;
  readonly records: ImageRecords;
  readonly snapshots: Snapshots;
  readonly users: ImageUsers;
  readonly changes: Turns;
  readonly publish: (action: 'untag' | 'delete', id: string) => void;
}

/** Takes images away: names first, then the image, whose content containerd then collects. */
export class ImageRemoval {
  readonly #parts: ImageRemovalParts;

  constructor(parts: ImageRemovalParts) {
    this.#parts = parts;
  }

  /** @throws EngineError NOT_FOUND, CONFLICT when containers use it */
  async remove(ref: string, force: boolean): Promise<readonly Removal[]> {
    return (await this.#parts.changes.run('', () => this.#remove(ref, force))).removals;
  }

  /** Removes images nobody uses. @param all also named ones */
  async prune(
    all: boolean,
    matches: (image: StoredImage) => boolean,
  ): Promise<{ removed: readonly Removal[]; reclaimed: number }> {
    const { index, users, changes } = this.#parts;
    const removed: Removal[] = [];
    let reclaimed = 0;
    for (const image of index.all()) {
      const isUsed = (): boolean => users.usersOf(image.id).length > 0;
      if ((!all && image.names.size > 0) || isUsed() || !matches(image)) continue;
      await changes.run('', async () => {
        // It may have got a user, or gone, while the one before it was removed.
        if (isUsed() || index.get(image.id) === undefined) return;
        const { removals, freed } = await this.#remove(image.id, true);
        removed.push(...removals);
        reclaimed += freed;
      });
    }
    return { removed, reclaimed };
  }

  /** @returns also the bytes of the layers that nothing needs any more */
  async #remove(ref: string, force: boolean): Promise<{ removals: Removal[]; freed: number }> {
    const { index, records, snapshots } = this.#parts;
    const image = index.resolve(ref);
    const byId = image.id.startsWith(`sha256:${ref.replace(/^sha256:/, '')}`) && !this.#isName(ref);
    const users = this.#parts.users.usersOf(image.id);
    const removals: Removal[] = [];
    if (!byId && image.names.size > 1) {
      const reference = withDefaultTag(parseReference(ref));
      if (reference.digest !== undefined)
        throw notImplemented('removing the digest alone of an image that has several names');
      await this.#untag(image, fullReference(reference), removals);
      return { removals, freed: 0 };
    }
    checkRemoval(image, { ref, byId, force }, users);
    // Under a running container the image only loses its names.
    const stays = users.some((user) => user.running);
    const unshared = users.length > 0 ? [] : index.unshared(image);
    // Without a record containerd may collect them at any moment.
    const sizes = await Promise.all(unshared.map((chain) => snapshots.usage(chain)));
    if (stays) await records.keepNameless(image);
    for (const name of image.names) await this.#untag(image, name, removals);
    for (const digest of image.repoDigests) removals.push({ Untagged: digest });
    if (stays) return { removals, freed: 0 };
    await records.drop(records.nameless(image.id));
    index.delete(image.id);
    for (const id of [image.id, ...unshared]) removals.push({ Deleted: id });
    this.#parts.publish('delete', image.id);
    return { removals, freed: sizes.reduce((sum, size) => sum + size, 0) };
  }

  async #untag(image: StoredImage, name: string, removals: Removal[]): Promise<void> {
    await this.#parts.records.drop(name);
    this.#parts.index.forgetName(image.id, name);
    removals.push({ Untagged: familiarReference(parseReference(name)) });
    this.#parts.publish('untag', image.id);
  }

  #isName(ref: string): boolean {
    try {
      return this.#parts.index.byName(fullReference(withDefaultTag(parseReference(ref)))) !== undefined;
    } catch {
      return false;
    }
  }
}
