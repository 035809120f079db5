import type { Readable } from 'node:stream';
import { EngineError, notFound, system } from '../../model/errors.ts';
import type { RegistryAuth } from '../images.ts';
import { parseChallenge } from './challenge.ts';
import type { RegistryEndpoint } from './endpoint.ts';
import { familiarName, type Reference } from './reference.ts';
import { networkCause, RegistryUnreachable } from './unreachable.ts';

/** Manifest media types this engine understands, in the order it prefers them. */
const MANIFEST_TYPES = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
] as const;

export interface FetchedManifest {
  readonly bytes: Buffer;
  readonly mediaType: string;
  /** As the registry says; empty when it does not. */
  readonly digest: string;
}

/** The body of a blob response, and the offset it really starts at (a server may ignore Range). */
export interface BlobStream {
  readonly offset: number;
  readonly body: AsyncIterable<Uint8Array>;
  cancel(): void;
}

const REGISTRY_TIMEOUT_MS = 30_000;

/** One registry, one repository, one set of credentials: a pull makes one and forgets it. OCI distribution spec 1.1. */
export class RegistryClient {
  readonly #endpoint: RegistryEndpoint;
  readonly #reference: Reference;
  readonly #auth: RegistryAuth | undefined;
  readonly #actions: string;
  #authorization: string | undefined;

  constructor(
    endpoint: RegistryEndpoint,
    reference: Reference,
    auth: RegistryAuth | undefined,
    actions = 'pull',
  ) {
    this.#endpoint = endpoint;
    this.#reference = reference;
    this.#auth = auth;
    this.#actions = actions;
    if (auth?.registrytoken) this.#authorization = `Bearer ${auth.registrytoken}`;
  }

  /** By tag or digest. @throws EngineError in Docker's words */
  async manifest(version: string, signal?: AbortSignal): Promise<FetchedManifest> {
    const path = `/v2/${this.#reference.path}/manifests/${version}`;
    const response = await this.#request(path, {
      headers: { accept: MANIFEST_TYPES.join(', ') },
      ...(signal && { signal }),
    });
    if (!response.ok) throw await this.#failure(response, version);
    return {
      bytes: Buffer.from(await response.arrayBuffer()),
      mediaType: (response.headers.get('content-type') ?? '').split(';')[0]?.trim() ?? '',
      digest: response.headers.get('docker-content-digest') ?? '',
    };
  }

  /** @param offset where to go on after a cut */
  async blob(digest: string, offset: number, signal?: AbortSignal): Promise<BlobStream> {
    const response = await this.#request(`/v2/${this.#reference.path}/blobs/${digest}`, {
      headers: offset > 0 ? { range: `bytes=${offset}-` } : {},
      ...(signal && { signal }),
    });
    if (!response.ok || response.body === null) throw await this.#failure(response, digest);
    return {
      offset: response.status === 206 ? offset : 0,
      body: response.body as unknown as AsyncIterable<Uint8Array>,
      cancel: () => void response.body?.cancel().catch(() => undefined),
    };
  }

  async hasBlob(digest: string): Promise<boolean> {
    const response = await this.#request(`/v2/${this.#reference.path}/blobs/${digest}`, { method: 'HEAD' });
    return response.ok;
  }

  /** Monolithic upload (distribution spec, "Pushing a blob monolithically": POST then PUT). */
  async uploadBlob(digest: string, size: number, body: () => Readable): Promise<void> {
    const opened = await this.#request(`/v2/${this.#reference.path}/blobs/uploads/`, { method: 'POST' });
    const location = opened.headers.get('location');
    if (opened.status !== 202 || location === null) throw await this.#failure(opened, digest);
    const target = new URL(location, this.#endpoint.url);
    target.searchParams.set('digest', digest);
    const stored = await this.#request(target.toString(), {
      method: 'PUT',
      headers: { 'content-type': 'application/octet-stream', 'content-length': String(size) },
      body: body() as unknown as NonNullable<RequestInit['body']>,
      duplex: 'half',
    });
    if (stored.status !== 201) throw await this.#failure(stored, digest);
  }

  async uploadManifest(version: string, mediaType: string, bytes: Buffer): Promise<void> {
    const response = await this.#request(`/v2/${this.#reference.path}/manifests/${version}`, {
      method: 'PUT',
      headers: { 'content-type': mediaType },
      body: new Uint8Array(bytes),
    });
    if (response.status !== 201) throw await this.#failure(response, version);
  }

  /** `GET /v2/` with these credentials. @throws EngineError UNAUTHORIZED */
  async check(): Promise<void> {
    const response = await this.#request('/v2/', {});
    if (!response.ok) throw await this.#failure(response, '');
  }

  async #request(path: string, init: RequestInit & { duplex?: 'half' }): Promise<Response> {
    const first = await this.#send(path, init);
    // A streamed body is spent by now; its upload was opened with a token already.
    if (first.status !== 401 || init.duplex !== undefined) return first;
    const challenge = parseChallenge(first.headers.get('www-authenticate'));
    if (challenge === undefined) return first;
    await first.body?.cancel();
    if (challenge.scheme === 'basic') {
      if (!this.#auth?.username) {
        const verb = init.method === 'HEAD' ? 'Head' : 'Get';
        // Docker's 500: to a 401 its client would answer by asking for a password, whatever its input is.
        throw system(`${verb} "${first.url}": no basic auth credentials`);
      }
      this.#authorization = this.#basic();
    } else {
      this.#authorization = `Bearer ${await this.#token(challenge.parameters, init.signal ?? undefined)}`;
    }
    return this.#send(path, init);
  }

  async #send(path: string, init: RequestInit & { duplex?: 'half' }): Promise<Response> {
    const url = path.startsWith('http') ? path : this.#endpoint.url + path;
    const headers = new Headers(init.headers);
    headers.set('user-agent', 'gangway');
    if (this.#authorization !== undefined && new URL(url).origin === new URL(this.#endpoint.url).origin) {
      headers.set('authorization', this.#authorization);
    }
    try {
      return await fetch(url, { ...init, headers });
    } catch (error) {
      if (init.signal?.aborted) throw error;
      // Docker asks for this page before any other, so its name stands in the message.
      throw new RegistryUnreachable(`Get "${this.#endpoint.url}/v2/": ${networkCause(error)}`, error);
    }
  }

  #basic(): string {
    return `Basic ${Buffer.from(`${this.#auth?.username ?? ''}:${this.#auth?.password ?? ''}`).toString('base64')}`;
  }

  /** distribution spec, "Token authentication"; with an identity token the OAuth2 refresh form. */
  async #token(parameters: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<string> {
    const realm = parameters.realm;
    if (realm === undefined) throw system('registry sent a Bearer challenge without realm');
    const scope = `repository:${this.#reference.path}:${this.#actions}`;
    const timeout = AbortSignal.timeout(REGISTRY_TIMEOUT_MS);
    const either = signal === undefined ? timeout : AbortSignal.any([signal, timeout]);
    let response: Response;
    try {
      if (this.#auth?.identitytoken) {
        response = await fetch(realm, {
          method: 'POST',
          body: new URLSearchParams({
            grant_type: 'refresh_token',
            service: parameters.service ?? '',
            client_id: 'gangway',
            scope,
            refresh_token: this.#auth.identitytoken,
          }),
          signal: either,
        });
      } else {
        const url = new URL(realm);
        if (parameters.service !== undefined) url.searchParams.set('service', parameters.service);
        url.searchParams.set('scope', scope);
        const headers: Record<string, string> = this.#auth?.username ? { authorization: this.#basic() } : {};
        response = await fetch(url, { headers, signal: either });
      }
    } catch (error) {
      throw system(`Get "${realm}": ${networkCause(error)}`, error);
    }
    if (!response.ok) throw await this.#failure(response, '');
    const body = (await response.json()) as { token?: string; access_token?: string };
    const token = body.token ?? body.access_token;
    if (token === undefined) throw system(`no token in the answer of ${realm}`);
    return token;
  }

  /** Docker's words for what a registry refused (moby distribution/errors.go, translatePullError). */
  async #failure(response: Response, version: string): Promise<EngineError> {
    const words = await registryWords(response);
    const name = familiarName(this.#reference);
    if (response.status === 404 && version !== '' && !version.startsWith('sha256:')) {
      return notFound(
        `manifest for ${name}:${version} not found: ${words || 'manifest unknown: manifest unknown'}`,
      );
    }
    if (response.status === 404) return notFound(words === '' ? `${name}@${version} not found` : words);
    if (response.status === 401 && version === '') {
      return new EngineError('UNAUTHORIZED', words || 'unauthorized: authentication required');
    }
    if (response.status === 401 || response.status === 403) {
      return notFound(
        `pull access denied for ${name}, repository does not exist or may require 'docker login': ${words || 'denied: requested access to the resource is denied'}`,
      );
    }
    if (response.status === 429) return system(words || 'toomanyrequests: rate exceeded');
    return system(words || `received unexpected HTTP status: ${response.status} ${response.statusText}`);
  }
}

async function registryWords(response: Response): Promise<string> {
  try {
    const text = await response.text();
    const parsed = JSON.parse(text) as { errors?: { code?: string; message?: string }[]; details?: string };
    const first = parsed.errors?.[0];
    if (first === undefined) return parsed.details ?? '';
    const code = (first.code ?? '').toLowerCase().replaceAll('_', ' ');
    return `${code}: ${first.message ?? code}`;
  } catch {
    return '';
  }
}
