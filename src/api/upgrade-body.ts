import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';

/** A JSON body in front of a hijacked stream; Docker's are a few hundred bytes. */
const LIMIT = 1 << 20;

export interface UpgradeBody {
  readonly body: Buffer;
  readonly rest: Buffer;
}

/**
 * Reads the body of a request that asks for an upgrade. Node's parser stops behind the head of such a request, so the
 * body is at the start of the raw connection: Content-Length bytes, or chunks (RFC 9112 section 7.1).
 */
export class BodyReader {
  readonly #length: number | 'chunked';
  #buffer: Buffer = Buffer.alloc(0);

  constructor(request: IncomingMessage) {
    const encoding = request.headers['transfer-encoding'];
    this.#length =
      encoding?.toLowerCase() === 'chunked' ? 'chunked' : Number(request.headers['content-length'] ?? 0);
  }

  /** Rejects when the connection ends inside the body, or the body is malformed or above 1 MiB. */
  async read(socket: Duplex, head: Buffer): Promise<UpgradeBody> {
    this.#buffer = head;
    for (;;) {
      const found = this.#length === 'chunked' ? this.#chunks() : this.#plain(this.#length);
      if (found !== undefined) return found;
      if (this.#buffer.length > LIMIT) throw new Error('request body is too large');
      this.#buffer = Buffer.concat([this.#buffer, await nextChunk(socket)]);
    }
  }

  #plain(length: number): UpgradeBody | undefined {
    if (!Number.isInteger(length) || length > LIMIT) throw new Error('bad Content-Length');
    if (this.#buffer.length < length) return undefined;
    return { body: this.#buffer.subarray(0, length), rest: this.#buffer.subarray(length) };
  }

  #chunks(): UpgradeBody | undefined {
    const parts: Buffer[] = [];
    for (let at = 0; ; ) {
      const lineEnd = this.#buffer.indexOf('\r\n', at);
      if (lineEnd < 0) return undefined;
      const size = Number.parseInt(this.#buffer.toString('latin1', at, lineEnd), 16);
      if (!(size >= 0 && size <= LIMIT)) throw new Error('bad chunk size');
      const start = lineEnd + 2;
      if (size === 0) return this.#afterLastChunk(start, parts);
      if (this.#buffer.length < start + size + 2) return undefined;
      parts.push(this.#buffer.subarray(start, start + size));
      at = start + size + 2;
    }
  }

  /** Trailer fields are skipped up to the empty line. */
  #afterLastChunk(start: number, parts: readonly Buffer[]): UpgradeBody | undefined {
    for (let at = start; ; ) {
      const lineEnd = this.#buffer.indexOf('\r\n', at);
      if (lineEnd < 0) return undefined;
      if (lineEnd === at) return { body: Buffer.concat(parts), rest: this.#buffer.subarray(lineEnd + 2) };
      at = lineEnd + 2;
    }
  }
}

/** The next bytes, leaving the stream paused and without listeners. */
function nextChunk(socket: Duplex): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const done = (): void => {
      socket.off('readable', ready);
      socket.off('end', ended);
      socket.off('close', ended);
    };
    const ready = (): void => {
      const chunk = socket.read() as Buffer | null;
      if (chunk === null) return;
      done();
      resolve(chunk);
    };
    const ended = (): void => {
      done();
      reject(new Error('the connection ended inside the request body'));
    };
    socket.on('readable', ready);
    socket.on('end', ended);
    socket.on('close', ended);
  });
}
