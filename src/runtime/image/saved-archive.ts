import type { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { pack } from 'tar-stream';
import { notFound } from '../../model/errors.ts';
import { familiarReference, parseReference, withDefaultTag } from '../registry/reference.ts';
import type { StoredImage } from './image-index.ts';
import type { ImageStore } from './image-store.ts';
import { parseManifest } from './manifest.ts';

/** `docker save`: an OCI layout with manifest.json, which every Docker and containerd can load. */
export async function saveArchive(store: ImageStore, refs: readonly string[]): Promise<Readable> {
  const wanted = new Map<string, { image: StoredImage; tags: Set<string> }>();
  for (const ref of refs) {
    const image = store.resolve(ref);
    const entry = wanted.get(image.id) ?? { image, tags: new Set<string>() };
    const named = image.repoTags.find(
      (tag) => tag === ref || tag === `${ref}:latest` || tag === shortTag(ref),
    );
    if (named !== undefined) entry.tags.add(named);
    wanted.set(image.id, entry);
  }
  if (wanted.size === 0) throw notFound('no image to save');
  const archive = pack();
  write(store, archive, [...wanted.values()]).catch((error) => archive.destroy(error));
  return archive as unknown as Readable;
}

function shortTag(ref: string): string | undefined {
  try {
    return familiarReference(withDefaultTag(parseReference(ref)));
  } catch {
    return undefined;
  }
}

async function write(
  store: ImageStore,
  archive: ReturnType<typeof pack>,
  images: readonly { image: StoredImage; tags: ReadonlySet<string> }[],
): Promise<void> {
  const done = new Set<string>();
  const blobPath = (digest: string): string => `blobs/sha256/${digest.slice(7)}`;
  const addBlob = async (digest: string, size: number): Promise<void> => {
    if (done.has(digest)) return;
    done.add(digest);
    const entry = archive.entry({ name: blobPath(digest), size }) as unknown as Writable;
    await pipeline(store.content.stream(digest), entry);
  };
  const saved = [];
  const index = [];
  for (const { image, tags } of images) {
    const bytes = await store.content.read(image.manifestDigest);
    const manifest = parseManifest(bytes);
    for (const blob of [manifest.config, ...manifest.layers]) await addBlob(blob.digest, blob.size);
    await addBlob(image.manifestDigest, bytes.length);
    saved.push({
      Config: blobPath(image.id),
      RepoTags: [...tags],
      Layers: manifest.layers.map((layer) => blobPath(layer.digest)),
    });
    const target = { mediaType: manifest.mediaType, digest: image.manifestDigest, size: bytes.length };
    if (tags.size === 0) index.push(target);
    for (const tag of tags) {
      index.push({
        ...target,
        annotations: {
          'io.containerd.image.name': tag,
          'org.opencontainers.image.ref.name': tag.slice(tag.lastIndexOf(':') + 1),
        },
      });
    }
  }
  archive.entry(
    { name: 'index.json' },
    JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.index.v1+json',
      manifests: index,
    }),
  );
  archive.entry({ name: 'oci-layout' }, JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  archive.entry({ name: 'manifest.json' }, JSON.stringify(saved));
  archive.finalize();
  for (const { image } of images) store.publish('save', image.id, { name: image.id });
}
