import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

const digestOf = (bytes: Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/** A Docker v2 registry in this process that can cut, lie and demand a token. */
export class RegistryOfFaults {
  readonly blobs = new Map<string, Buffer>();
  readonly manifests = new Map<string, { readonly bytes: Buffer; readonly type: string }>();
  readonly requests: string[] = [];
  /** Answers a blob's first request with only so many bytes, then cuts the connection. */
  cutAfter: number | undefined;
  /** Serves other bytes than the digest says. */
  lying = false;
  /** `user:password` that the token server wants; undefined: open to all. */
  credentials: string | undefined;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<RegistryOfFaults> {
    const server = createServer();
    const registry = new RegistryOfFaults(server);
    server.on('request', (request, response) => registry.#answer(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return registry;
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  addBlob(bytes: Buffer): { digest: string; size: number } {
    const digest = digestOf(bytes);
    this.blobs.set(digest, bytes);
    return { digest, size: bytes.length };
  }

  addManifest(
    name: string,
    tag: string,
    value: object & { mediaType: string },
  ): { digest: string; size: number } {
    const bytes = Buffer.from(JSON.stringify(value));
    const digest = digestOf(bytes);
    for (const version of [tag, digest])
      this.manifests.set(`${name}@${version}`, { bytes, type: value.mediaType });
    return { digest, size: bytes.length };
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', `http://${this.address}`);
    this.requests.push(
      `${request.method} ${url.pathname}${request.headers.range ? ` ${request.headers.range}` : ''}`,
    );
    if (url.pathname === '/token') {
      this.#token(request, response);
      return;
    }
    if (this.credentials !== undefined && request.headers.authorization !== 'Bearer good') {
      response.setHeader('www-authenticate', `Bearer realm="http://${this.address}/token",service="faults"`);
      refuse(response, 401, 'UNAUTHORIZED', 'authentication required');
      return;
    }
    const [, name = '', kind = '', version = ''] =
      /^\/v2\/(.+)\/(manifests|blobs)\/([^/]+)$/.exec(url.pathname) ?? [];
    if (kind === 'manifests') {
      const manifest = this.manifests.get(`${name}@${version}`);
      if (manifest === undefined) {
        refuse(response, 404, 'MANIFEST_UNKNOWN', 'manifest unknown');
        return;
      }
      response.writeHead(200, { 'content-type': manifest.type });
      response.end(manifest.bytes);
      return;
    }
    const blob = this.blobs.get(version);
    if (blob === undefined) {
      refuse(response, 404, 'BLOB_UNKNOWN', 'blob unknown');
      return;
    }
    this.#blob(request, response, blob);
  }

  #blob(request: IncomingMessage, response: ServerResponse, blob: Buffer): void {
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const body = this.lying ? Buffer.alloc(blob.length, 7) : blob;
    response.writeHead(start > 0 ? 206 : 200, { 'content-length': blob.length - start });
    if (this.cutAfter !== undefined && start === 0 && blob.length > this.cutAfter) {
      response.write(body.subarray(0, this.cutAfter), () => setTimeout(() => response.destroy(), 20));
      return;
    }
    response.end(body.subarray(start));
  }

  #token(request: IncomingMessage, response: ServerResponse): void {
    const given = Buffer.from(
      (request.headers.authorization ?? '').replace(/^Basic /, ''),
      'base64',
    ).toString();
    if (given !== this.credentials) {
      refuse(response, 401, 'UNAUTHORIZED', 'authentication required');
      return;
    }
    response.end(JSON.stringify({ token: 'good' }));
  }
}

function refuse(response: ServerResponse, status: number, code: string, message: string): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ errors: [{ code, message }] }));
}
