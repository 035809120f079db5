import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';

interface ImageDescription {
  readonly repository: string;
  readonly tag: string;
  /** Gzipped tar files, lowest first, relative to the description. */
  readonly layers: readonly string[];
  /** The runtime part of the image config (opencontainers/image-spec config.md). */
  readonly config: Readonly<Record<string, unknown>>;
}

const sha256 = (data: Buffer): string => `sha256:${createHash('sha256').update(data).digest('hex')}`;

/** Uploads one blob in one piece (opencontainers/distribution-spec, "Pushing a blob monolithically"). */
async function pushBlob(registry: string, repository: string, blob: Buffer): Promise<void> {
  const digest = sha256(blob);
  const begin = await fetch(`${registry}/v2/${repository}/blobs/uploads/`, { method: 'POST' });
  const location = begin.headers.get('location');
  if (begin.status !== 202 || location === null) throw new Error(`upload refused: ${begin.status}`);
  const url = new URL(location, registry);
  url.searchParams.set('digest', digest);
  const end = await fetch(url, {
    method: 'PUT',
    body: new Uint8Array(blob),
    headers: { 'content-type': 'application/octet-stream' },
  });
  if (end.status !== 201) throw new Error(`blob ${digest} refused: ${end.status} ${await end.text()}`);
}

/** Pushes one image with Docker's schema 2 media types. */
async function pushImage(registry: string, folder: string, image: ImageDescription): Promise<void> {
  const layers = image.layers.map((file) => readFileSync(join(folder, file)));
  const config = Buffer.from(
    JSON.stringify({
      architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
      os: 'linux',
      created: new Date().toISOString(),
      config: {
        Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
        ...image.config,
      },
      rootfs: { type: 'layers', diff_ids: layers.map((layer) => sha256(gunzipSync(layer))) },
      history: layers.map((_, index) => ({ created_by: `layer ${index + 1} of ${image.repository}` })),
    }),
  );
  for (const blob of [...layers, config]) await pushBlob(registry, image.repository, blob);
  const mediaType = 'application/vnd.docker.distribution.manifest.v2+json';
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType,
    config: {
      mediaType: 'application/vnd.docker.container.image.v1+json',
      size: config.length,
      digest: sha256(config),
    },
    layers: layers.map((layer) => ({
      mediaType: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
      size: layer.length,
      digest: sha256(layer),
    })),
  });
  const answer = await fetch(`${registry}/v2/${image.repository}/manifests/${image.tag}`, {
    method: 'PUT',
    body: manifest,
    headers: { 'content-type': mediaType },
  });
  if (answer.status !== 201) throw new Error(`manifest refused: ${answer.status} ${await answer.text()}`);
  console.log(`pushed ${image.repository}:${image.tag}`);
}

async function whenUp(registry: string): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const answer = await fetch(`${registry}/v2/`).catch(() => undefined);
    if (answer?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`no registry answers at ${registry}`);
}

const [registry = '', description = ''] = process.argv.slice(2);
await whenUp(registry);
const images = JSON.parse(readFileSync(description, 'utf8')) as ImageDescription[];
for (const image of images) await pushImage(registry, dirname(description), image);
