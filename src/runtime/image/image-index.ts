import type { ImageConfig } from '@docker/node-sdk';
import { conflict, EngineError, errors } from '../../model/errors.ts';
import type { Image } from '../images.ts';
import {
  familiarReference,
  fullName,
  parseReference,
  type Reference,
  withDefaultTag,
} from '../registry/reference.ts';
import type { ImageConfigFile } from './manifest.ts';
import { chainIds } from './snapshots.ts';

/** What the store knows of an image beyond what its users need. */
export interface StoredImage extends Image {
  readonly file: ImageConfigFile;
  /** Full references (`docker.io/library/busybox:latest`); empty for a dangling image. */
  readonly names: ReadonlySet<string>;
}

/** Every image that is here, in memory, so that resolving a name asks nobody. */
export class ImageIndex {
  readonly #byId = new Map<string, StoredImage>();
  readonly #idOfName = new Map<string, string>();

  put(image: StoredImage): void {
    const before = this.#byId.get(image.id);
    for (const name of before?.names ?? []) this.#idOfName.delete(name);
    this.#byId.set(image.id, image);
    for (const name of image.names) this.#idOfName.set(name, image.id);
  }

  delete(id: string): void {
    const image = this.#byId.get(id);
    this.#byId.delete(id);
    for (const name of image?.names ?? []) if (this.#idOfName.get(name) === id) this.#idOfName.delete(name);
  }

  get(id: string): StoredImage | undefined {
    return this.#byId.get(id);
  }

  byName(fullReference: string): StoredImage | undefined {
    const id = this.#idOfName.get(fullReference);
    return id === undefined ? undefined : this.#byId.get(id);
  }

  all(): readonly StoredImage[] {
    return [...this.#byId.values()];
  }

  /**
   * By full id, name, digest, or id prefix: Docker's order.
   * @throws EngineError NOT_FOUND, CONFLICT for an ambiguous prefix, INVALID_PARAMETER for what is no name at all
   */
  resolve(ref: string): StoredImage {
    const hex = ref.replace(/^sha256:/, '');
    const exact = /^[0-9a-f]{64}$/.test(hex) ? this.#byId.get(`sha256:${hex}`) : undefined;
    if (exact !== undefined) return exact;
    const reference = /^[0-9a-f]{64}$/.test(hex) ? undefined : attempt(ref);
    const named = reference instanceof EngineError ? undefined : this.#named(reference);
    if (named !== undefined) return named;
    if (/^[0-9a-f]{1,64}$/.test(hex)) {
      const found = this.all().filter((image) => image.id.startsWith(`sha256:${hex}`));
      if (found.length > 1) throw conflict(`ambiguous image id prefix: ${ref}`);
      if (found[0] !== undefined) return found[0];
    }
    if (reference instanceof EngineError) throw reference;
    throw errors.noSuchImage(
      ref.includes(':') || ref.includes('@') || /^[0-9a-f]{12,64}$/.test(ref) ? ref : `${ref}:latest`,
    );
  }

  /** Its image loses this name, and stays. */
  forgetName(id: string, fullReference: string): void {
    const image = this.#byId.get(id);
    if (image === undefined) return;
    const names = new Set(image.names);
    names.delete(fullReference);
    this.put({ ...image, names, repoTags: familiarNames(names) });
  }

  /** Layers (chain ids, the topmost first) that no other image has. */
  unshared(image: StoredImage): readonly string[] {
    const others = new Set<string>();
    for (const other of this.#byId.values())
      if (other.id !== image.id) for (const chain of chainIds(other.diffIds)) others.add(chain);
    return chainIds(image.diffIds)
      .filter((chain) => !others.has(chain))
      .reverse();
  }

  #named(reference: Reference | undefined): StoredImage | undefined {
    if (reference === undefined) return undefined;
    const name = fullName(reference);
    if (reference.digest !== undefined) {
      const wanted = `@${reference.digest}`;
      return this.all().find((image) =>
        [...image.repoDigests].some(
          (digest) => digest.endsWith(wanted) && fullName(parseReference(digest)) === name,
        ),
      );
    }
    return this.byName(`${name}:${reference.tag ?? 'latest'}`);
  }
}

/** The config's runtime part in Docker's shape. */
export function runtimeConfig(file: ImageConfigFile): ImageConfig {
  return (file.config ?? {}) as ImageConfig;
}

/** Names as people read them, in alphabetical order. */
export function familiarNames(names: ReadonlySet<string>): string[] {
  return [...names].map((name) => familiarReference(parseReference(name))).sort();
}

/** What is no reference may still be the beginning of an id: the refusal is kept for when it is neither. */
function attempt(ref: string): Reference | EngineError {
  try {
    return withDefaultTag(parseReference(ref));
  } catch (error) {
    if (error instanceof EngineError) return error;
    throw error;
  }
}
