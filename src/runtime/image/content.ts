import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { ServiceError } from '@grpc/grpc-js';
import { type EngineError, notFound, system } from '../../model/errors.ts';
import {
  type ImageServices,
  isAlreadyExists,
  isNotFound,
  type WriteRequest,
  type WriteResponse,
} from './image-services.ts';
import { Turns } from './turns.ts';

/** gRPC messages are at most 4 MiB by default; containerd's own client writes 1 MiB at a time. */
const CHUNK = 1 << 20;

export interface Blob {
  readonly digest: string;
  readonly size: number;
}

export const digestOf = (bytes: Uint8Array): string =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

type Labels = Readonly<Record<string, string>>;

/** containerd's content store: blobs by digest, written once and verified. */
export class ContentStore {
  readonly #services: ImageServices;
  readonly #turns = new Turns();

  constructor(services: ImageServices) {
    this.#services = services;
  }

  /** containerd refuses a second writer of an ingest; whoever wants the same one waits, and then finds it written. */
  inTurn<T>(ref: string, body: () => Promise<T>): Promise<T> {
    return this.#turns.run(ref, body);
  }

  /** Bytes of a blob; undefined when it is not there. */
  async size(digest: string): Promise<number | undefined> {
    try {
      const { info } = await this.#services.call<{ info: { size: number } }>('Content', 'info', { digest });
      return info.size;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  /** Whether it is there, and from now on stays as long as the lease. */
  async hold(digest: string, lease: string): Promise<boolean> {
    await this.#services.hold(lease, 'content', digest);
    return (await this.size(digest)) !== undefined;
  }

  /** The whole blob; for manifests and configs, which are small. @throws EngineError NOT_FOUND */
  async read(digest: string): Promise<Buffer> {
    const chunks: Buffer[] = [];
    try {
      for await (const part of this.#services.read(digest)) chunks.push((part as { data: Buffer }).data);
    } catch (error) {
      if (isNotFound(error)) throw notFound(`content ${digest} not found`);
      throw error;
    }
    return Buffer.concat(chunks);
  }

  async *stream(digest: string): AsyncGenerator<Buffer> {
    for await (const part of this.#services.read(digest)) yield (part as { data: Buffer }).data;
  }

  /** Bytes that are in memory. Not an error when they are there already; their labels are then brought up to date. */
  async put(bytes: Buffer, lease: string, labels: Labels = {}): Promise<Blob> {
    const digest = digestOf(bytes);
    const ref = `put-${digest}`;
    return this.inTurn(ref, async () => {
      const writer = await this.open({ ref, expected: digest, total: bytes.length, lease });
      if (writer === undefined) await this.label(digest, labels);
      else {
        await writer.write(bytes.subarray(writer.offset));
        await writer.commit(labels);
      }
      return { digest, size: bytes.length };
    });
  }

  /** A stream of unknown length and digest. */
  async putStream(source: Readable, ref: string, lease: string, labels: Labels = {}): Promise<Blob> {
    const writer = await ContentWriter.open(this.#services, { ref, lease });
    if (writer === undefined) throw system(`ingest ${ref} is taken`);
    const hash = createHash('sha256');
    try {
      for await (const chunk of source) {
        hash.update(chunk as Buffer);
        await writer.write(chunk as Buffer);
      }
      const digest = `sha256:${hash.digest('hex')}`;
      await this.#services.hold(lease, 'content', digest);
      await writer.commit(labels, digest);
      return { digest, size: writer.offset };
    } catch (error) {
      await writer.close();
      await this.abort(ref);
      throw error;
    }
  }

  async label(digest: string, labels: Labels): Promise<void> {
    const paths = Object.keys(labels).map((key) => `labels.${key}`);
    if (paths.length === 0) return;
    await this.#services.call('Content', 'update', { info: { digest, labels }, updateMask: { paths } });
  }

  async abort(ref: string): Promise<void> {
    await this.#services.call('Content', 'abort', { ref }).catch(() => undefined);
  }

  /** @returns undefined when the expected content is there already */
  open(options: {
    ref: string;
    expected: string;
    total: number;
    lease: string;
  }): Promise<ContentWriter | undefined> {
    return ContentWriter.open(this.#services, options);
  }
}

/** One ingest: it keeps its offset over a cut connection, so that a download goes on where it stopped. */
export class ContentWriter {
  readonly #stream: ReturnType<ImageServices['write']>;
  readonly #waiting: { resolve(response: WriteResponse): void; reject(error: unknown): void }[] = [];
  readonly #ref: string;
  readonly #expected: string | undefined;
  readonly #total: number;
  readonly #ended: Promise<void>;
  #failure: unknown;
  /** Bytes the store has. */
  offset = 0;

  private constructor(
    stream: ReturnType<ImageServices['write']>,
    ref: string,
    expected: string | undefined,
    total: number,
  ) {
    this.#stream = stream;
    this.#ref = ref;
    this.#expected = expected;
    this.#total = total;
    stream.on('data', (response: WriteResponse) => this.#waiting.shift()?.resolve(response));
    this.#ended = new Promise((resolve) => stream.once('status', () => resolve()));
    stream.on('error', (error) => this.#fail(error));
    stream.on('end', () => this.#fail(system(`content store closed the ingest ${ref}`)));
  }

  static async open(
    services: ImageServices,
    options: {
      readonly ref: string;
      readonly expected?: string;
      readonly total?: number;
      readonly lease: string;
    },
  ): Promise<ContentWriter | undefined> {
    // Content that is there already is no part of this lease by itself.
    if (options.expected !== undefined) await services.hold(options.lease, 'content', options.expected);
    const writer = new ContentWriter(
      services.write(options.lease),
      options.ref,
      options.expected,
      options.total ?? 0,
    );
    try {
      const { offset } = await writer.#send({ action: 'STAT', ...writer.#target() });
      writer.offset = offset;
      return writer;
    } catch (error) {
      if (isAlreadyExists(error)) return undefined;
      throw error;
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let start = 0; start < bytes.length; start += CHUNK) {
      const data = bytes.subarray(start, start + CHUNK);
      const { offset } = await this.#send({ action: 'WRITE', ...this.#target(), offset: this.offset, data });
      this.offset = offset;
    }
  }

  /** Starts over: what was written so far is overwritten. */
  restart(): void {
    this.offset = 0;
  }

  /** @throws EngineError SYSTEM when the bytes are not what their digest says */
  async commit(labels: Labels = {}, expected: string | undefined = this.#expected): Promise<void> {
    try {
      await this.#send({
        action: 'COMMIT',
        ...this.#target(),
        offset: this.offset,
        total: this.#total || this.offset,
        labels,
        ...(expected !== undefined && { expected }),
      });
    } catch (error) {
      if (!isAlreadyExists(error)) throw verification(error, expected);
    } finally {
      await this.close();
    }
  }

  /** Resolves when containerd has let go of the ingest. */
  async close(): Promise<void> {
    this.#stream.end();
    await this.#ended;
  }

  #target(): Pick<WriteRequest, 'ref' | 'expected' | 'total'> {
    return {
      ref: this.#ref,
      total: this.#total,
      ...(this.#expected !== undefined && { expected: this.#expected }),
    };
  }

  #send(request: WriteRequest): Promise<WriteResponse> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure);
      this.#waiting.push({ resolve, reject });
      this.#stream.write(request);
    });
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    for (const waiting of this.#waiting.splice(0)) waiting.reject(error);
  }
}

function verification(error: unknown, expected: string | undefined): EngineError {
  const words = (error as ServiceError).details ?? String(error);
  return /unexpected commit (digest|size)/.test(words)
    ? system(`filesystem layer verification failed for digest ${expected}`, error)
    : system(words, error);
}
