import type { ContentStore } from './content.ts';
import type { StoredImage } from './image-index.ts';
import { type ImageRecord, type ImageServices, isAlreadyExists, isNotFound } from './image-services.ts';
import { type Manifest, parseManifest } from './manifest.ts';

/** A record of this prefix keeps an image that has no name (Docker's `<none>:<none>`). */
const DANGLING = 'gangway.invalid/dangling@';
/** A record's label: bytes of all layers unpacked. */
export const SIZE_LABEL = 'gangway.size';

/** containerd's image records: what has one is safe from its garbage collector. */
export class ImageRecords {
  readonly #services: ImageServices;
  readonly #content: ContentStore;

  constructor(services: ImageServices, content: ContentStore) {
    this.#services = services;
    this.#content = content;
  }

  /** Name of the record of an image without a name. */
  nameless(id: string): string {
    return DANGLING + id;
  }

  isNameless(record: ImageRecord): boolean {
    return record.name.startsWith(DANGLING);
  }

  async list(): Promise<readonly ImageRecord[]> {
    return (await this.#services.call<{ images: readonly ImageRecord[] }>('Images', 'list', {})).images;
  }

  /** Keeps an image that is about to lose its last name. */
  async keepNameless(image: StoredImage): Promise<void> {
    const bytes = await this.#content.read(image.manifestDigest);
    await this.write({
      name: this.nameless(image.id),
      labels: { [SIZE_LABEL]: String(image.size) },
      target: {
        mediaType: mediaTypeOf(parseManifest(bytes)),
        digest: image.manifestDigest,
        size: bytes.length,
      },
    });
  }

  /** Makes it, or gives the name to another image. */
  async write(image: ImageRecord): Promise<void> {
    try {
      await this.#services.call('Images', 'create', { image });
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      await this.#services.call('Images', 'update', { image });
    }
  }

  /** Not an error when it is gone already. */
  async drop(name: string): Promise<void> {
    try {
      await this.#services.call('Images', 'delete', { name });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
}

/** OCI manifests may leave it out; containerd's records may not. */
export function mediaTypeOf(manifest: Manifest): string {
  return manifest.mediaType ?? 'application/vnd.oci.image.manifest.v1+json';
}
