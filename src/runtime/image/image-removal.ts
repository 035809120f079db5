import { conflict } from '../../model/errors.ts';
import type { StoredImage } from './image-index.ts';

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
export function checkRemoval(
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
