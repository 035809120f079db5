import { createWriteStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, posix } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract } from 'tar-stream';
import { z } from 'zod';
import { EngineError, invalid } from '../../model/errors.ts';
import { uncompressed } from './layer-import.ts';
import { choosePlatform, hostPlatform, isIndex, parseIndex, parseManifest } from './manifest.ts';

/** An image of an archive: names of its files, and what it is to be called. */
export interface ArchivedImage {
  readonly config: string;
  readonly layers: readonly string[];
  readonly tags: readonly string[];
}

const savedManifest = z.array(
  z.object({ Config: z.string(), RepoTags: z.array(z.string()).nullish(), Layers: z.array(z.string()) }),
);

/** containerd's `ctr image export` and buildx write the whole name; the OCI annotation may be just a tag. */
const NAME_ANNOTATIONS = ['io.containerd.image.name', 'org.opencontainers.image.ref.name'];

/** The regular files of a tar, spooled to a directory under names of our own. */
export class ArchiveFiles {
  readonly #paths: ReadonlyMap<string, string>;

  private constructor(paths: ReadonlyMap<string, string>) {
    this.#paths = paths;
  }

  /**
   * Symlinks (older archives share layers by them) stand for what they name.
   * @throws EngineError INVALID_PARAMETER `archive/tar: …`
   */
  static async spool(source: Readable, directory: string): Promise<ArchiveFiles> {
    const files = new Map<string, string>();
    const links = new Map<string, string>();
    try {
      const reader = extract();
      const fed = pipeline(await uncompressed(source), reader);
      fed.catch(() => undefined);
      for await (const entry of reader) {
        const name = posix.normalize(entry.header.name);
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
      if (error instanceof EngineError) throw error;
      throw invalid(`archive/tar: ${error instanceof Error ? error.message : String(error)}`);
    }
    for (const [name, target] of links) {
      const path = files.get(posix.normalize(target));
      if (path !== undefined) files.set(name, path);
    }
    return new ArchiveFiles(files);
  }

  /** Where a file of the archive was spooled to. @throws EngineError INVALID_PARAMETER */
  path(name: string): string {
    const path = this.#paths.get(posix.normalize(name));
    if (path === undefined) throw invalid(`invalid archive: ${name} is missing`);
    return path;
  }

  /** What docker save's manifest.json lists; without one what the OCI index lists. @throws EngineError INVALID_PARAMETER */
  async images(): Promise<readonly ArchivedImage[]> {
    if (!this.#paths.has('manifest.json')) {
      if (this.#paths.has('index.json')) return this.#layoutImages();
      throw invalid('invalid archive: it has neither the manifest.json of docker save nor an OCI index.json');
    }
    const saved = savedManifest.safeParse(parseJson(await readFile(this.path('manifest.json'))));
    if (!saved.success) throw invalid(`invalid archive: manifest.json: ${z.prettifyError(saved.error)}`);
    return saved.data.map((image) => ({
      config: image.Config,
      layers: image.Layers,
      tags: image.RepoTags ?? [],
    }));
  }

  /** opencontainers/image-spec image-layout.md. Of an image for several platforms the host's is taken. */
  async #layoutImages(): Promise<readonly ArchivedImage[]> {
    const images: ArchivedImage[] = [];
    for (const entry of parseIndex(await readFile(this.path('index.json'))).manifests) {
      let bytes = await readFile(this.path(blobName(entry.digest)));
      if (isIndex(entry.mediaType, bytes)) {
        const chosen = choosePlatform(bytes, hostPlatform(), '');
        bytes = await readFile(this.path(blobName(chosen.digest)));
      }
      const manifest = parseManifest(bytes);
      const names = NAME_ANNOTATIONS.map((key) => entry.annotations?.[key]);
      const name = names.find((given) => given !== undefined && /[:/]/.test(given));
      images.push({
        config: blobName(manifest.config.digest),
        layers: manifest.layers.map((layer) => blobName(layer.digest)),
        tags: name === undefined ? [] : [name],
      });
    }
    return images;
  }
}

const blobName = (digest: string): string => `blobs/${digest.replace(':', '/')}`;

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw invalid(
      `invalid archive: manifest.json: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}
