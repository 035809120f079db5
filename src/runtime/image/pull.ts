import { setTimeout as sleep } from 'node:timers/promises';
import { EngineError, system } from '../../model/errors.ts';
import type { Progress, PullOptions } from '../images.ts';
import { endpointsFor } from '../registry/endpoint.ts';
import { familiarName, familiarReference, fullName, type Reference } from '../registry/reference.ts';
import { type FetchedManifest, RegistryClient } from '../registry/registry-client.ts';
import { RegistryUnreachable } from '../registry/unreachable.ts';
import type { StoredImage } from './image-index.ts';
import type { ImageStore } from './image-store.ts';
import {
  choosePlatform,
  isIndex,
  type ManifestDescriptor,
  parseConfig,
  parseManifest,
  parsePlatform,
} from './manifest.ts';
import { Semaphore } from './semaphore.ts';
import { chainIds } from './snapshots.ts';

/** moby distribution/pull_v2.go gives a layer five tries, waiting 5 s more before each; a cut on a LAN heals sooner. */
const DOWNLOAD_TRIES = 5;
const RETRY_FIRST_MS = 250;
/** Docker redraws a progress bar about ten times a second. */
const PROGRESS_INTERVAL_MS = 100;

/** Pulls one image; everything it writes belongs to `lease`. @throws EngineError in Docker's words */
export async function pullImage(
  store: ImageStore,
  reference: Reference,
  options: PullOptions,
  lease: string,
): Promise<StoredImage> {
  const version = reference.digest ?? reference.tag ?? 'latest';
  const platform = parsePlatform(options.platform);
  const { client, top } = await firstAnswer(store, reference, options);
  const progress = options.progress;
  progress({
    status: `Pulling from ${reference.domain === 'docker.io' ? reference.path : familiarName(reference)}`,
    id: version,
  });
  const topBlob = await store.content.put(top.bytes, lease);
  if (reference.digest !== undefined && reference.digest !== topBlob.digest) {
    throw system(`manifest verification failed for digest ${reference.digest}`);
  }
  let manifestDigest = topBlob.digest;
  let manifestBytes = top.bytes;
  if (isIndex(top.mediaType, top.bytes)) {
    const chosen = choosePlatform(top.bytes, platform, '');
    manifestBytes = (await client.manifest(chosen.digest, options.signal)).bytes;
    const blob = await store.content.put(manifestBytes, lease);
    if (blob.digest !== chosen.digest)
      throw system(`manifest verification failed for digest ${chosen.digest}`);
    manifestDigest = blob.digest;
  }
  const manifest = parseManifest(manifestBytes);
  const before = store.index.byName(`${fullName(reference)}:${reference.tag}`);
  await fetchBlob(store, client, manifest.config, lease, options, () => undefined);
  const file = parseConfig(await store.content.read(manifest.config.digest));
  const diffIds = file.rootfs.diff_ids ?? [];
  if (diffIds.length !== manifest.layers.length)
    throw system('image config and manifest differ in their number of layers');
  await fetchLayers(store, client, manifest.layers, diffIds, lease, options);
  progress({ status: `Digest: ${topBlob.digest}` });
  const image = await store.register(
    manifestDigest,
    reference,
    `${familiarName(reference)}@${topBlob.digest}`,
  );
  progress({
    status:
      before?.id === image.id
        ? `Status: Image is up to date for ${familiarReference(reference)}`
        : `Status: Downloaded newer image for ${familiarReference(reference)}`,
  });
  return image;
}

/** The first endpoint that has the manifest. A mirror that fails is passed over, as Docker does. @throws EngineError */
export async function firstAnswer(
  store: ImageStore,
  reference: Reference,
  options: Pick<PullOptions, 'auth' | 'signal'>,
): Promise<{ client: RegistryClient; top: FetchedManifest }> {
  const version = reference.digest ?? reference.tag ?? 'latest';
  let failure: unknown;
  for (const endpoint of endpointsFor(reference, store.config)) {
    // Credentials are for the registry they were given for, never for a mirror of it.
    const client = new RegistryClient(endpoint, reference, endpoint.mirror ? undefined : options.auth);
    try {
      return { client, top: await client.manifest(version, options.signal) };
    } catch (error) {
      // The words of a registry that answered say more than those of one that could not be reached; the last one
      // that could not is the one the image was to come from.
      if (
        failure === undefined ||
        failure instanceof RegistryUnreachable ||
        !(error instanceof RegistryUnreachable)
      )
        failure = error;
    }
  }
  throw failure;
}

async function fetchLayers(
  store: ImageStore,
  client: RegistryClient,
  layers: readonly ManifestDescriptor[],
  diffIds: readonly string[],
  lease: string,
  options: PullOptions,
): Promise<void> {
  const chains = chainIds(diffIds);
  const here = await Promise.all(
    layers.map(
      async (layer, i) =>
        (await store.snapshots.hold(chains[i] ?? '', lease)) && store.content.hold(layer.digest, lease),
    ),
  );
  const slots = new Semaphore(store.config.maxConcurrentDownloads);
  const stop = new AbortController();
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal]);
  for (const [i, layer] of layers.entries()) {
    options.progress({
      status: here[i] ? 'Already exists' : 'Pulling fs layer',
      progressDetail: {},
      id: shortId(layer),
    });
  }
  const downloads = layers.map((layer, i) =>
    here[i]
      ? Promise.resolve()
      : slots.run(() => fetchBlob(store, client, layer, lease, { ...options, signal }, options.progress)),
  );
  // One failure ends the others; it is reported by the loop below.
  for (const download of downloads) download.catch(() => stop.abort());
  try {
    for (const [i, layer] of layers.entries()) {
      await downloads[i];
      if (here[i]) continue;
      options.progress({
        status: 'Extracting',
        progressDetail: { current: layer.size, total: layer.size },
        id: shortId(layer),
      });
      await store.snapshots.apply(
        layer,
        diffIds[i] ?? '',
        i === 0 ? '' : (chains[i - 1] ?? ''),
        chains[i] ?? '',
        lease,
      );
      options.progress({ status: 'Pull complete', progressDetail: {}, id: shortId(layer) });
    }
  } finally {
    stop.abort();
    await Promise.allSettled(downloads);
  }
}

/** Downloads one blob, once however many pulls want it at the same time. */
function fetchBlob(
  store: ImageStore,
  client: RegistryClient,
  blob: ManifestDescriptor,
  lease: string,
  options: PullOptions,
  progress: (line: Progress) => void,
): Promise<void> {
  const ref = `pull-${blob.digest}`;
  return store.content.inTurn(ref, () => {
    options.signal?.throwIfAborted();
    return download(store, client, blob, ref, lease, options, progress);
  });
}

/** Into the content store, going on after a cut where it stopped. */
async function download(
  store: ImageStore,
  client: RegistryClient,
  blob: ManifestDescriptor,
  ref: string,
  lease: string,
  options: PullOptions,
  progress: (line: Progress) => void,
): Promise<void> {
  const id = shortId(blob);
  const writer = await store.content.open({ ref, expected: blob.digest, total: blob.size, lease });
  if (writer === undefined) return void progress({ status: 'Download complete', progressDetail: {}, id });
  try {
    let last = 0;
    for (let attempt = 1; writer.offset < blob.size || attempt === 1; attempt++) {
      try {
        const stream = await client.blob(blob.digest, writer.offset, options.signal);
        if (stream.offset !== writer.offset) writer.restart();
        for await (const chunk of stream.body) {
          if (writer.offset + chunk.length > blob.size)
            throw system(`filesystem layer verification failed for digest ${blob.digest}`);
          await writer.write(chunk);
          if (Date.now() - last < PROGRESS_INTERVAL_MS) continue;
          last = Date.now();
          progress({
            status: 'Downloading',
            progressDetail: { current: writer.offset, total: blob.size },
            id,
          });
        }
        if (writer.offset < blob.size) throw new Error('unexpected EOF');
      } catch (error) {
        if (options.signal?.aborted || error instanceof EngineError || attempt >= DOWNLOAD_TRIES) {
          throw error instanceof EngineError
            ? error
            : system(
                cutOff(error) ? 'unexpected EOF' : error instanceof Error ? error.message : String(error),
                error,
              );
        }
        const wait = RETRY_FIRST_MS * 2 ** (attempt - 1);
        progress({
          status: `Retrying in ${Math.ceil(wait / 1000)} second${wait > 1000 ? 's' : ''}`,
          progressDetail: {},
          id,
        });
        await sleep(wait, undefined, options.signal === undefined ? {} : { signal: options.signal });
      }
    }
    progress({ status: 'Verifying Checksum', progressDetail: {}, id });
    await writer.commit();
    progress({ status: 'Download complete', progressDetail: {}, id });
  } catch (error) {
    await writer.close();
    await store.content.abort(ref);
    throw error;
  }
}

/** A body that ends before its length, in the words of Node's fetch or of our own count. */
const cutOff = (error: unknown): boolean =>
  error instanceof Error && /^(terminated|unexpected EOF)$/.test(error.message);

const shortId = (blob: ManifestDescriptor): string => blob.digest.slice(7, 19);
