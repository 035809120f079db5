import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { pino } from 'pino';
import { pack } from 'tar-stream';
import type { DaemonConfig } from '../../src/engine/config.ts';
import { EventBus } from '../../src/engine/events.ts';
import { CLONE_NEWNS, unshare } from '../../src/kernel/libc.ts';
import { ContainerdProcess } from '../../src/runtime/containerd-process.ts';
import { inspectDistribution } from '../../src/runtime/image/distribution.ts';
import { ImageStore } from '../../src/runtime/image/image-store.ts';
import { importImage } from '../../src/runtime/image/import.ts';
import { loadArchive } from '../../src/runtime/image/loaded-archive.ts';
import { saveArchive } from '../../src/runtime/image/saved-archive.ts';
import type { Progress } from '../../src/runtime/images.ts';
import { parseReference } from '../../src/runtime/registry/reference.ts';
import { RegistryOfFaults } from './registry-of-faults.ts';

unshare(CLONE_NEWNS);
const root = mkdtempSync(join(tmpdir(), 'gangway-images-'));
const config = {
  dataRoot: join(root, 'data'),
  execRoot: join(root, 'exec'),
  containerdNamespace: 'gangway',
  registryMirrors: [],
  insecureRegistries: [],
  maxConcurrentDownloads: 3,
} as unknown as DaemonConfig;
const log = pino({ level: 'silent' });
const containerd = new ContainerdProcess({ dataRoot: config.dataRoot, execRoot: config.execRoot, log });
let registry: RegistryOfFaults;
let users: { id: string; running: boolean }[] = [];
const open = (): ImageStore =>
  new ImageStore({
    config,
    log,
    events: new EventBus(),
    address: containerd.address,
    users: { usersOf: () => users },
  });
let store: ImageStore;

before(async () => {
  await containerd.start();
  registry = await RegistryOfFaults.start();
  store = open();
  await store.load();
});
after(async () => {
  registry.close();
  store.close();
  await containerd.stop();
  rmSync(root, { recursive: true, force: true });
});

async function tar(files: Readonly<Record<string, Buffer | string>>): Promise<Buffer> {
  const archive = pack();
  for (const [name, content] of Object.entries(files))
    archive.entry({ name, mode: 0o755 }, content as Buffer);
  archive.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of archive as unknown as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const digestOf = (bytes: Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/** Two layers, one gzip and one zstd, behind an index with a foreign platform first. */
async function publish(name: string, tag: string, seed: string): Promise<string> {
  const layers = [
    await tar({ 'etc/one': `one ${seed}` }),
    await tar({ big: randomBytes(600_000), 'etc/two': seed }),
  ];
  const [first = Buffer.alloc(0), second = Buffer.alloc(0)] = layers;
  const file = Buffer.from(
    JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      created: '2026-01-02T03:04:05Z',
      config: { Cmd: ['/bin/true'], Env: ['A=b'] },
      rootfs: { type: 'layers', diff_ids: layers.map(digestOf) },
    }),
  );
  const manifest = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...registry.addBlob(file) },
    layers: [
      { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', ...registry.addBlob(gzipSync(first)) },
      {
        mediaType: 'application/vnd.oci.image.layer.v1.tar+zstd',
        ...registry.addBlob(zstdCompressSync(second)),
      },
    ],
  };
  const made = registry.addManifest(name, `${tag}-amd64`, manifest);
  registry.addManifest(name, tag, {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: [
      {
        mediaType: manifest.mediaType,
        digest: digestOf(Buffer.from('x')),
        size: 1,
        platform: { os: 'linux', architecture: 's390x' },
      },
      { mediaType: manifest.mediaType, ...made, platform: { os: 'linux', architecture: 'amd64' } },
    ],
  } as object & { mediaType: string });
  return digestOf(file);
}

async function pull(
  name: string,
  auth?: { username: string; password: string },
): Promise<{ id: string; lines: Progress[] }> {
  const lines: Progress[] = [];
  const image = await store.pull(`${registry.address}/${name}`, {
    progress: (line) => lines.push(line),
    ...(auth && { auth }),
  });
  return { id: image.id, lines };
}

test('an import is an image whose root filesystem has the files', async () => {
  const id = await importImage(store, {
    source: Readable.from([gzipSync(await tar({ 'bin/hello': 'hello' }))]),
    name: 'hello',
    changes: ['CMD ["/bin/hello"]', 'ENV A=1 B="2 3"', 'EXPOSE 80', 'LABEL x=y'],
    message: '',
    platform: undefined,
    progress: () => undefined,
  });
  const image = store.resolve('hello');
  assert.equal(image.id, id);
  assert.deepEqual(image.repoTags, ['hello:latest']);
  assert.deepEqual(image.config.Env, ['A=1', 'B=2 3']);
  assert.equal(store.resolve(id.slice(7, 19)).id, id);
  const mounts = await store.prepareRootfs(image, 'c1');
  const lower = /lowerdir=([^:,]+)/.exec(mounts[0]?.options.join(',') ?? '')?.[1] ?? mounts[0]?.source ?? '';
  assert.equal(readFileSync(join(lower, 'bin/hello'), 'utf8'), 'hello');
  await store.removeRootfs('c1');
  await store.removeRootfs('c1');
});

test('a pull takes the layers of this platform, gzip and zstd, and is found again after a restart', async () => {
  const id = await publish('team/app', 'v1', 'a');
  const { id: pulled, lines } = await pull('team/app:v1');
  assert.equal(pulled, id);
  const texts = lines.map((line) => line.status);
  assert.equal(texts[0], `Pulling from ${registry.address}/team/app`);
  assert.equal(texts.filter((text) => text === 'Pull complete').length, 2);
  assert.equal(texts.at(-1), `Status: Downloaded newer image for ${registry.address}/team/app:v1`);
  const again = await pull('team/app:v1');
  assert.equal(again.lines.at(-1)?.status, `Status: Image is up to date for ${registry.address}/team/app:v1`);
  const other = open();
  await other.load();
  const found = other.resolve(`${registry.address}/team/app:v1`);
  assert.equal(found.id, id);
  assert.equal(found.repoDigests.length, 1);
  assert.ok(found.size > 600_000);
  assert.equal(other.resolve(found.repoDigests[0] ?? '').id, id);
  other.close();
});

test('a registry tells the platforms of an image that is not here', async () => {
  await publish('team/far', 'v1', 'far');
  const ask = (tag: string) =>
    inspectDistribution(store, parseReference(`${registry.address}/team/far:${tag}`), undefined);
  const index = await ask('v1');
  assert.equal(index.mediaType, 'application/vnd.oci.image.index.v1+json');
  assert.deepEqual(
    index.platforms.map(({ architecture }) => architecture),
    ['s390x', 'amd64'],
  );
  const single = await ask('v1-amd64');
  assert.deepEqual(single.platforms, [{ os: 'linux', architecture: 'amd64' }]);
  assert.equal(registry.manifests.get(`team/far@${single.digest}`)?.bytes.length, single.size);
  await assert.rejects(ask('nothing'), { code: 'NOT_FOUND' });
  assert.equal(
    store.list().some((image) => image.repoTags.some((tag) => tag.includes('team/far'))),
    false,
  );
});

test('a cut download goes on where it stopped', async () => {
  await publish('team/cut', 'v1', 'cut');
  registry.cutAfter = 100_000;
  registry.requests.length = 0;
  await pull('team/cut:v1');
  registry.cutAfter = undefined;
  assert.ok(
    registry.requests.some((request) => / bytes=\d+-$/.test(request)),
    registry.requests.join('\n'),
  );
});

test('pulls of the same layers at the same time all arrive, each tag is known', async () => {
  await publish('team/many', 'v1', 'many');
  const twin = registry.manifests.get('team/many@v1');
  assert.ok(twin);
  registry.manifests.set('team/many@v2', twin);
  registry.requests.length = 0;
  const pulled = await Promise.all(['v1', 'v1', 'v2'].map((tag) => pull(`team/many:${tag}`)));
  assert.equal(new Set(pulled.map(({ id }) => id)).size, 1);
  assert.deepEqual(store.resolve(pulled[0]?.id ?? '').repoTags, [
    `${registry.address}/team/many:v1`,
    `${registry.address}/team/many:v2`,
  ]);
  const blobs = registry.requests.filter((request) => request.includes('/blobs/'));
  assert.equal(blobs.length, new Set(blobs).size, 'a blob was fetched twice');
});

test('bytes that are not what their digest says are refused and leave no image', async () => {
  await publish('team/liar', 'v1', 'liar');
  registry.lying = true;
  await assert.rejects(pull('team/liar:v1'), /image config|verification failed for digest sha256:/);
  registry.lying = false;
  assert.throws(() => store.resolve(`${registry.address}/team/liar:v1`), { message: /^No such image/ });
  await pull('team/liar:v1');
});

test('a token is fetched with the credentials; without them Docker says pull access denied', async () => {
  await publish('team/secret', 'v1', 'secret');
  registry.credentials = 'captain:anchor';
  await assert.rejects(pull('team/secret:v1'), { code: 'UNAUTHORIZED' });
  await pull('team/secret:v1', { username: 'captain', password: 'anchor' });
  registry.credentials = undefined;
  await assert.rejects(pull('team/secret:nothing'), {
    message: /manifest for .*team\/secret:nothing not found: manifest unknown/,
  });
});

test('a tag that moves leaves its old image dangling; removing asks who uses it', async () => {
  const old = await publish('team/moving', 'v1', 'old');
  await pull('team/moving:v1');
  await publish('team/moving', 'v1', 'new');
  await pull('team/moving:v1');
  assert.deepEqual(store.resolve(old).repoTags, []);
  users = [{ id: 'f'.repeat(64), running: true }];
  await assert.rejects(store.remove(old, { force: true }), {
    code: 'CONFLICT',
    message: /cannot be forced/,
  });
  users = [];
  const { removed } = await store.prune(false, () => true);
  assert.ok(removed.some((removal) => removal.Deleted === old));
  assert.throws(() => store.resolve(old), { code: 'NOT_FOUND' });
});

test('save and load carry an image to another store, however soon after its removal', async () => {
  const before = store.resolve('hello');
  const chunks: Buffer[] = [];
  for await (const chunk of await saveArchive(store, ['hello'])) chunks.push(chunk as Buffer);
  await store.remove('hello', { force: false });
  assert.throws(() => store.resolve('hello'));
  const lines: Progress[] = [];
  await loadArchive(store, Readable.from([Buffer.concat(chunks)]), (line) => lines.push(line));
  assert.equal(store.resolve('hello').id, before.id);
  assert.equal(lines.at(-1)?.stream, 'Loaded image: hello:latest\n');
});

test('an OCI layout without manifest.json is loaded, packed by gzip or not', async () => {
  const layer = await tar({ 'bin/sh': 'shell' });
  const file = Buffer.from(
    JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs: { diff_ids: [digestOf(layer)] } }),
  );
  const packed = gzipSync(layer);
  const blob = (bytes: Buffer) => ({ digest: digestOf(bytes), size: bytes.length });
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...blob(file) },
      layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', ...blob(packed) }],
    }),
  );
  const name = { 'io.containerd.image.name': 'docker.io/library/layout:1' };
  const archive = await tar({
    'oci-layout': '{"imageLayoutVersion":"1.0.0"}',
    'index.json': JSON.stringify({
      schemaVersion: 2,
      manifests: [{ ...blob(manifest), annotations: name }],
    }),
    ...Object.fromEntries(
      [packed, file, manifest].map((bytes) => [`blobs/sha256/${digestOf(bytes).slice(7)}`, bytes]),
    ),
  });
  for (const source of [gzipSync(archive), archive]) {
    await loadArchive(store, Readable.from([source]), () => undefined);
    assert.equal(store.resolve('layout:1').id, digestOf(file));
  }
  await assert.rejects(
    loadArchive(store, Readable.from([await tar({ x: 'y' })]), () => undefined),
    { code: 'INVALID_PARAMETER' },
  );
});

test('a removed image takes along the layers that no other image has, and only them', async () => {
  const shared = await tar({ 'etc/shared': 'shared' });
  const imported = async (name: string): Promise<string> =>
    importImage(store, {
      source: Readable.from([shared]),
      name,
      changes: [`LABEL name=${name}`],
      message: '',
      platform: undefined,
      progress: () => undefined,
    });
  const first = await imported('first');
  const second = await imported('second');
  users = [{ id: 'f'.repeat(64), running: false }];
  await assert.rejects(store.remove('first', { force: false }), { code: 'CONFLICT' });
  // A stopped container keeps its root filesystem, not the image.
  assert.deepEqual(await store.remove('first', { force: true }), [
    { Untagged: 'first:latest' },
    { Deleted: first },
  ]);
  users = [];
  assert.deepEqual(await store.remove(second, { force: false }), [
    { Untagged: 'second:latest' },
    { Deleted: second },
    { Deleted: digestOf(shared) },
  ]);
  assert.throws(() => store.resolve('No Name'), { code: 'INVALID_PARAMETER' });
});
