import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join, posix } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract, pack } from 'tar-stream';
import { z } from 'zod';
import { invalid, notFound } from '../../model/errors.ts';
import type { Progress } from '../images.ts';
import { familiarReference, parseReference, withDefaultTag } from '../registry/reference.ts';
import type { StoredImage } from './image-index.ts';
import type { ImageStore } from './image-store.ts';
import { assemble, importLayerFile } from './layer-import.ts';
import { parseConfig, parseManifest } from './manifest.ts';

const savedManifest = z.array(
  z.object({ Config: z.string(), RepoTags: z.array(z.string()).nullish(), Layers: z.array(z.string()) }),
);

/**
 * `docker load`: a tar of `docker save` (manifest.json; since 25 also an OCI layout around the same blobs).
 * Entries are spooled to a directory of our own under the data root and read by the names manifest.json gives them.
 * @throws EngineError INVALID_PARAMETER when it is no such archive
 */
export async function loadArchive(
  store: ImageStore,
  source: Readable,
  progress: (line: Progress) => void,
): Promise<void> {
  const directory = join(store.config.dataRoot, 'tmp', `load-${randomBytes(6).toString('hex')}`);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  try {
    const files = await spool(source, directory);
    const file = (name: string): string => {
      const path = files.get(posix.normalize(name));
      if (path === undefined) throw invalid(`invalid archive: ${name} is missing`);
      return path;
    };
    if (!files.has('manifest.json'))
      throw invalid('invalid archive: manifest.json is missing; only archives of docker save can be loaded');
    const images = savedManifest.safeParse(JSON.parse(await readFile(file('manifest.json'), 'utf8')));
    if (!images.success) throw invalid(`invalid archive: manifest.json: ${z.prettifyError(images.error)}`);
    for (const image of images.data) {
      await store.leased(async (lease) => {
        const config = await readFile(file(image.Config));
        const diffIds = parseConfig(config).rootfs.diff_ids ?? [];
        const layers = [];
        for (const [i, name] of image.Layers.entries()) {
          const layer = await importLayerFile(
            store,
            file(name),
            `load-${randomBytes(6).toString('hex')}`,
            lease,
          );
          if (layer.digest !== diffIds[i])
            throw invalid(`invalid diffID for layer ${i}: expected "${diffIds[i]}", got "${layer.digest}"`);
          layers.push(layer);
          progress({
            status: 'Loading layer',
            progressDetail: { current: layer.size, total: layer.size },
            id: layer.digest.slice(7, 19),
          });
        }
        const manifest = await assemble(store, config, layers, lease);
        const tags = image.RepoTags ?? [];
        if (tags.length === 0) {
          const loaded = await store.register(manifest, undefined);
          progress({ stream: `Loaded image ID: ${loaded.id}\n` });
        }
        for (const tag of tags) {
          const reference = withDefaultTag(parseReference(tag));
          const loaded = await store.register(manifest, reference);
          store.publish('load', loaded.id, { name: loaded.id });
          progress({ stream: `Loaded image: ${familiarReference(reference)}\n` });
        }
      });
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Regular files by normalised name; symlinks (older archives share layers by them) resolved to what they name. */
async function spool(source: Readable, directory: string): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  const links = new Map<string, string>();
  const reader = extract();
  const fed = pipeline(source, reader);
  fed.catch(() => undefined);
  try {
    for await (const entry of reader) {
      const name = posix.normalize(entry.header.name).replace(/^\.\//, '');
      if (entry.header.type === 'file') {
        const path = join(directory, String(files.size));
        await pipeline(entry, createWriteStream(path, { mode: 0o600 }));
        files.set(name, path);
      } else {
        if (entry.header.type === 'symlink' && entry.header.linkname) {
          links.set(name, posix.join(posix.dirname(name), entry.header.linkname));
        }
        entry.resume();
      }
    }
    await fed;
  } catch (error) {
    throw invalid(`archive/tar: ${error instanceof Error ? error.message : String(error)}`);
  }
  for (const [name, target] of links) {
    const path = files.get(posix.normalize(target));
    if (path !== undefined) files.set(name, path);
  }
  return files;
}

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
}
