import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { invalid } from '../../model/errors.ts';
import type { Progress } from '../images.ts';
import { familiarReference, parseReference, withDefaultTag } from '../registry/reference.ts';
import { type ArchivedImage, ArchiveFiles } from './archive-files.ts';
import type { ImageStore } from './image-store.ts';
import { assemble, type ImportedLayer, importLayerFile, LAYER_TYPE } from './layer-import.ts';
import { parseConfig } from './manifest.ts';
import { chainIds } from './snapshots.ts';

/**
 * `docker load`: a tar (plain, gzip or zstd) of `docker save` or any OCI image layout.
 * Entries are spooled to a directory of our own under the data root and read by the names the archive gives them.
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
    const files = await ArchiveFiles.spool(source, directory);
    for (const image of await files.images()) await loadImage(store, files, image, progress);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function loadImage(
  store: ImageStore,
  files: ArchiveFiles,
  image: ArchivedImage,
  progress: (line: Progress) => void,
): Promise<void> {
  return store.leased(async (lease) => {
    const config = await readFile(files.path(image.config));
    const diffIds = parseConfig(config).rootfs.diff_ids ?? [];
    if (diffIds.length !== image.layers.length)
      throw invalid(
        `invalid manifest, layers length mismatch: expected ${image.layers.length}, got ${diffIds.length}`,
      );
    const layers: ImportedLayer[] = [];
    for (const [i, chain] of chainIds(diffIds).entries()) {
      const known = await knownLayer(store, diffIds[i] ?? '', chain, lease);
      if (known !== undefined) {
        layers.push(known);
        continue;
      }
      const ref = `load-${randomBytes(6).toString('hex')}`;
      const layer = await importLayerFile(store, files.path(image.layers[i] ?? ''), ref, lease);
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
    if (image.tags.length === 0) {
      const loaded = await store.register(manifest, undefined);
      progress({ stream: `Loaded image ID: ${loaded.id}\n` });
      store.publish('load', loaded.id, { name: loaded.id });
    }
    for (const tag of image.tags) {
      const reference = withDefaultTag(parseReference(tag));
      const loaded = await store.register(manifest, reference);
      store.publish('load', loaded.id, { name: loaded.id });
      progress({ stream: `Loaded image: ${familiarReference(reference)}\n` });
    }
  });
}

/** A layer that is here unpacked and as a blob needs no loading. */
async function knownLayer(
  store: ImageStore,
  diffId: string,
  chain: string,
  lease: string,
): Promise<ImportedLayer | undefined> {
  if (!(await store.snapshots.hold(chain, lease)) || !(await store.content.hold(diffId, lease)))
    return undefined;
  const size = await store.content.size(diffId);
  return size === undefined ? undefined : { mediaType: LAYER_TYPE, digest: diffId, size };
}
