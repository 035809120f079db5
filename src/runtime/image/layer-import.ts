import { createReadStream } from 'node:fs';
import type { PassThrough, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { invalid } from '../../model/errors.ts';
import type { ImageStore } from './image-store.ts';
import type { ManifestDescriptor } from './manifest.ts';
import { chainIds } from './snapshots.ts';

export const LAYER_TYPE = 'application/vnd.oci.image.layer.v1.tar';
const CONFIG_TYPE = 'application/vnd.oci.image.config.v1+json';
const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';

/** A layer in the content store, uncompressed: its digest is its diff id. */
export type ImportedLayer = ManifestDescriptor;

/** Stores a tar (plain, gzip or zstd) as a layer blob. @throws EngineError for other compressions and broken streams */
export async function importLayer(
  store: ImageStore,
  source: Readable,
  ref: string,
  lease: string,
): Promise<ImportedLayer> {
  const blob = await store.content.putStream(await uncompressed(source), ref, lease);
  return { mediaType: LAYER_TYPE, digest: blob.digest, size: blob.size };
}

export function importLayerFile(
  store: ImageStore,
  file: string,
  ref: string,
  lease: string,
): Promise<ImportedLayer> {
  return importLayer(store, createReadStream(file), ref, lease);
}

/** Unpacks imported layers into snapshots and writes config and manifest. @returns the manifest's digest */
export async function assemble(
  store: ImageStore,
  config: Readonly<Record<string, unknown>> | Buffer,
  layers: readonly ImportedLayer[],
  lease: string,
): Promise<string> {
  const diffIds = layers.map((layer) => layer.digest);
  let parent = '';
  for (const [i, chain] of chainIds(diffIds).entries()) {
    const layer = layers[i];
    if (layer !== undefined) await store.snapshots.apply(layer, layer.digest, parent, chain, lease);
    parent = chain;
  }
  const bytes = Buffer.isBuffer(config) ? config : Buffer.from(JSON.stringify(config));
  const configBlob = await store.content.put(bytes, lease);
  const manifest = {
    schemaVersion: 2,
    mediaType: MANIFEST_TYPE,
    config: { mediaType: CONFIG_TYPE, ...configBlob },
    layers,
  };
  return (await store.content.put(Buffer.from(JSON.stringify(manifest)), lease)).digest;
}

/** A tar whatever it is packed in. @throws EngineError INVALID_PARAMETER for xz and bzip2 */
export async function uncompressed(source: Readable): Promise<Readable> {
  const head = await firstBytes(source, 6);
  const magic = head.toString('hex');
  if (magic.startsWith('1f8b')) return through(source, createGunzip());
  if (magic.startsWith('28b52ffd')) return through(source, createZstdDecompress());
  if (magic.startsWith('fd377a585a') || magic.startsWith('425a68')) {
    throw invalid('unsupported compression: import takes tar, tar.gz and tar.zst; unpack xz and bzip2 first');
  }
  return source;
}

function through(source: Readable, decoder: PassThrough | ReturnType<typeof createGunzip>): Readable {
  pipeline(source, decoder as PassThrough).catch((error) => decoder.destroy(error));
  return decoder as PassThrough;
}

/** What the stream begins with, fewer bytes when it is shorter; they stay in the stream. */
async function firstBytes(source: Readable, count: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const look = (): void => {
      const head = source.read(count) as Buffer | null;
      if (head === null) return;
      source.removeListener('end', ended);
      source.removeListener('readable', look);
      source.unshift(head);
      resolve(head);
    };
    const ended = (): void => reject(invalid('archive/tar: unexpected EOF'));
    source.on('readable', look);
    source.once('end', ended);
    source.once('error', reject);
  });
}
