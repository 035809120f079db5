/**
 * A registry with faults, for the tests, on 127.0.0.1: argument 1 is its port; on argument 2, another port, everything
 * needs a login (Basic: `captain`, `anchor`). The repository's name chooses the fault:
 *   good      none                                 cut       every answer with a layer ends in the middle
 *   cut-once  the first such answer does           lying     a layer's bytes do not have the digest they are asked by
 *   angry     500 to everything                    garbled   the manifest is not JSON
 */
import { createHash, randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';

const digest = (data: Buffer): string => `sha256:${createHash('sha256').update(data).digest('hex')}`;

async function makeLayer(): Promise<Buffer> {
  const tar = pack();
  tar.entry({ name: 'cargo', mode: 0o644 }, randomBytes(2_000_000));
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

const tar = await makeLayer();
const layer = gzipSync(tar);
const config = Buffer.from(
  JSON.stringify({
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
    os: 'linux',
    config: { Cmd: ['/cargo'] },
    rootfs: { type: 'layers', diff_ids: [digest(tar)] },
  }),
);
const manifestType = 'application/vnd.docker.distribution.manifest.v2+json';
const manifest = Buffer.from(
  JSON.stringify({
    schemaVersion: 2,
    mediaType: manifestType,
    config: {
      mediaType: 'application/vnd.docker.container.image.v1+json',
      size: config.length,
      digest: digest(config),
    },
    layers: [
      {
        mediaType: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
        size: layer.length,
        digest: digest(layer),
      },
    ],
  }),
);

let cuts = 0;

function sendLayer(request: IncomingMessage, response: ServerResponse, fault: string): void {
  // A client that goes on where it was cut would get through in the end: `cut` begins anew every time.
  const range = fault === 'cut' ? '' : request.headers.range;
  const from = Number(/^bytes=(\d+)-/.exec(range ?? '')?.[1] ?? 0);
  const whole = fault === 'lying' ? Buffer.concat([layer.subarray(0, -8), Buffer.alloc(8)]) : layer;
  const body = whole.subarray(from);
  const head = {
    'content-length': body.length,
    ...(from > 0 ? { 'content-range': `bytes ${from}-${layer.length - 1}/${layer.length}` } : {}),
  };
  response.writeHead(from > 0 ? 206 : 200, head);
  if (fault === 'cut' || (fault === 'cut-once' && cuts++ === 0)) {
    response.write(body.subarray(0, body.length / 2), () => response.destroy());
  } else {
    response.end(body);
  }
}

const LOGIN = `Basic ${Buffer.from('captain:anchor').toString('base64')}`;

function answer(request: IncomingMessage, response: ServerResponse, locked: boolean): void {
  const path = new URL(request.url ?? '/', 'http://registry').pathname;
  const fail = (status: number, code: string, message: string, headers = {}): void => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify({ errors: [{ code, message }] }));
  };
  const [, fault = '', kind = '', ref = ''] = /^\/v2\/([^/]+)\/(manifests|blobs)\/(.+)$/.exec(path) ?? [];
  console.log(`${request.method} ${path} ${request.headers.range ?? ''}`);
  if (locked && request.headers.authorization !== LOGIN) {
    fail(401, 'UNAUTHORIZED', 'authentication required', { 'www-authenticate': 'Basic realm="harbour"' });
  } else if (path === '/v2/' || path === '/v2') {
    response.writeHead(200, { 'docker-distribution-api-version': 'registry/2.0' }).end('{}');
  } else if (fault === 'angry') {
    fail(500, 'UNKNOWN', 'unknown error');
  } else if (kind === 'manifests' && (ref === 'latest' || ref === digest(manifest))) {
    const body = fault === 'garbled' ? Buffer.from('{"schemaVersion":') : manifest;
    const headers = { 'content-type': manifestType, 'docker-content-digest': digest(body) };
    response.writeHead(200, { ...headers, 'content-length': body.length }).end(body);
  } else if (kind === 'manifests') {
    fail(404, 'MANIFEST_UNKNOWN', 'manifest unknown');
  } else if (kind === 'blobs' && ref === digest(config)) {
    response.writeHead(200, { 'content-length': config.length }).end(config);
  } else if (kind === 'blobs' && ref === digest(layer)) {
    sendLayer(request, response, fault);
  } else {
    fail(404, 'NAME_UNKNOWN', 'repository name not known to registry');
  }
}

const [open, withLogin] = process.argv.slice(2).map(Number);
createServer((request, response) => answer(request, response, true)).listen(withLogin, '127.0.0.1', () => {
  createServer((request, response) => answer(request, response, false)).listen(open, '127.0.0.1', () => {
    console.log('SERVING');
  });
});
