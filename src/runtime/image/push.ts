import { Readable } from 'node:stream';
import { system } from '../../model/errors.ts';
import type { Progress, RegistryAuth } from '../images.ts';
import { endpointsFor } from '../registry/endpoint.ts';
import { familiarName, fullName, type Reference } from '../registry/reference.ts';
import { RegistryClient } from '../registry/registry-client.ts';
import type { StoredImage } from './image-index.ts';
import type { ImageStore } from './image-store.ts';
import { parseManifest } from './manifest.ts';
import { Semaphore } from './semaphore.ts';

/** moby's default of `--max-concurrent-uploads`. */
const CONCURRENT_UPLOADS = 5;

/** `docker push`: blobs the registry lacks, then the manifest. @throws EngineError in Docker's words */
export async function pushImage(
  store: ImageStore,
  image: StoredImage,
  reference: Reference,
  auth: RegistryAuth | undefined,
  progress: (line: Progress) => void,
): Promise<void> {
  progress({ status: `The push refers to repository [${fullName(reference)}]` });
  const bytes = await store.content.read(image.manifestDigest);
  const manifest = parseManifest(bytes);
  const client = await reachable(store, reference, auth);
  const slots = new Semaphore(CONCURRENT_UPLOADS);
  await Promise.all(
    [...manifest.layers, manifest.config].map((blob) =>
      slots.run(async () => {
        const id = blob.digest.slice(7, 19);
        const isLayer = blob !== manifest.config;
        if (isLayer) progress({ status: 'Preparing', progressDetail: {}, id });
        if (await client.hasBlob(blob.digest)) {
          if (isLayer) progress({ status: 'Layer already exists', progressDetail: {}, id });
          return;
        }
        if (isLayer) progress({ status: 'Pushing', progressDetail: { current: 0, total: blob.size }, id });
        await client.uploadBlob(blob.digest, blob.size, () =>
          Readable.from(store.content.stream(blob.digest)),
        );
        if (isLayer) progress({ status: 'Pushed', progressDetail: {}, id });
      }),
    ),
  );
  const tag = reference.tag ?? 'latest';
  await client.uploadManifest(tag, manifest.mediaType ?? 'application/vnd.oci.image.manifest.v1+json', bytes);
  await store.register(image.manifestDigest, reference, `${familiarName(reference)}@${image.manifestDigest}`);
  progress({ status: `${tag}: digest: ${image.manifestDigest} size: ${bytes.length}` });
  progress({ progressDetail: {}, aux: { Tag: tag, Digest: image.manifestDigest, Size: bytes.length } });
  store.publish('push', `${familiarName(reference)}:${tag}`, { name: familiarName(reference) });
}

async function reachable(
  store: ImageStore,
  reference: Reference,
  auth: RegistryAuth | undefined,
): Promise<RegistryClient> {
  let failure: unknown;
  for (const endpoint of endpointsFor(reference, store.config)) {
    if (endpoint.mirror) continue;
    const client = new RegistryClient(endpoint, reference, auth, 'pull,push');
    try {
      await client.check();
      return client;
    } catch (error) {
      failure ??= error;
    }
  }
  throw failure ?? system(`no registry for ${fullName(reference)}`);
}
