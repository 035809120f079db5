import { existsSync, readFileSync } from 'node:fs';
import {
  type ClientRequest,
  type IncomingMessage,
  type RequestOptions,
  request as requestHttp,
} from 'node:http';
import { request as requestHttps } from 'node:https';
import { createInterface } from 'node:readline';
import type { EngineAddress, TlsFiles } from './docker-context.ts';

/** What went wrong, in a sentence for the person at the keyboard. */
export class ApiFailure extends Error {
  override readonly name = 'ApiFailure';
  /** The daemon's HTTP status; undefined when it did not answer. */
  readonly status: number | undefined;
  constructor(message: string, status?: number) {
    super(message);
    this.status = status;
  }
}

/** Docker's port without TLS, and with it. */
const PORTS = { plain: 2375, tls: 2376 } as const;

/** Hears an answer that has no end by itself. */
export interface LineListener {
  open(): void;
  line(line: string): void;
  /** @param status of the answer, 0 when there was none */
  end(status: number): void;
}

/** Speaks to the daemon's API over its unix socket or TCP. */
export class ApiClient {
  readonly #host: string;
  readonly #options: RequestOptions;
  readonly #tls: boolean;

  /** @throws ApiFailure for any other kind of address */
  constructor({ host, tls }: EngineAddress) {
    this.#host = host;
    const path = /^unix:\/\/(\/.+)$/.exec(host)?.[1];
    this.#tls = path === undefined && (tls !== undefined || host.startsWith('https://'));
    this.#options = path === undefined ? tcpOptions(host, tls) : { socketPath: path };
  }

  /** The parsed JSON answer of `GET path`. @throws ApiFailure with the daemon's words, or that there is none */
  get<T>(path: string): Promise<T> {
    return this.#ask('GET', path) as Promise<T>;
  }

  /** @throws ApiFailure as `get` */
  async delete(path: string): Promise<void> {
    await this.#ask('DELETE', path);
  }

  /** Every line of an answer that goes on, until it ends. @throws ApiFailure as `get`, or when the daemon goes away */
  lines(path: string, onLine: (line: string) => void): Promise<void> {
    return this.#call('GET', path, (response, resolve, reject) => {
      if (response.statusCode !== 200) {
        readAll(response, reject, (text) => reject(failure(text, response)));
        return;
      }
      response.setEncoding('utf8');
      response.on('error', () => reject(new ApiFailure('the daemon has ended')));
      const reader = createInterface({ input: response });
      reader.on('line', onLine);
      reader.on('error', () => reject(new ApiFailure('the daemon has ended')));
      reader.on('close', resolve);
    });
  }

  /** The answer of `GET path` whatever its status. @throws ApiFailure when there is none */
  answer(path: string): Promise<{ readonly status: number; readonly body: string }> {
    return this.#call('GET', path, (response, resolve, reject) =>
      readAll(response, reject, (body) => resolve({ status: response.statusCode ?? 0, body })),
    );
  }

  /** Like `lines`, for who may lose interest. @returns ends it */
  follow(path: string, heard: LineListener): () => void {
    let over = false;
    const end = (status: number): void => {
      if (!over) heard.end(status);
      over = true;
    };
    const call = this.#request('GET', path, (response) => {
      const status = response.statusCode ?? 0;
      response.setEncoding('utf8');
      response.on('error', () => end(0));
      response.on('close', () => end(status));
      if (status !== 200) return void response.resume();
      heard.open();
      const reader = createInterface({ input: response });
      reader.on('line', (line) => {
        if (!over) heard.line(line);
      });
      // It tells the response's errors once more.
      reader.on('error', () => end(0));
    });
    call.on('error', () => end(0));
    return () => {
      over = true;
      call.destroy();
    };
  }

  #ask(method: 'GET' | 'DELETE', path: string): Promise<unknown> {
    return this.#call(method, path, (response, resolve, reject) =>
      readAll(response, reject, (text) => {
        if (response.statusCode === 200) return resolve(JSON.parse(text));
        if (response.statusCode === 204) return resolve(undefined);
        reject(failure(text, response));
      }),
    );
  }

  #call<T>(
    method: 'GET' | 'DELETE',
    path: string,
    onResponse: (
      response: IncomingMessage,
      resolve: (value: T) => void,
      reject: (error: Error) => void,
    ) => void,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const call = this.#request(method, path, (response) => onResponse(response, resolve, reject));
      call.on('error', (error: NodeJS.ErrnoException) => reject(new ApiFailure(this.#whyNot(error))));
    });
  }

  #request(
    method: 'GET' | 'DELETE',
    path: string,
    onResponse: (response: IncomingMessage) => void,
  ): ClientRequest {
    const make = this.#tls ? requestHttps : requestHttp;
    const call = make({ ...this.#options, method, path }, onResponse);
    call.end();
    return call;
  }

  #whyNot(error: NodeJS.ErrnoException): string {
    const where = this.#host.replace(/^unix:\/\//, '');
    switch (error.code) {
      case 'ENOENT':
      case 'ECONNREFUSED':
        return `no daemon answers at ${where}; sudo npm start starts one`;
      case 'EACCES':
        return `${where} is for root and the group docker: try sudo`;
      default:
        return `${where}: ${error.message}`;
    }
  }
}

function tcpOptions(host: string, tls: TlsFiles | undefined): RequestOptions {
  const [, name, port] = /^(?:tcp|https?):\/\/(\[[\da-f:]+\]|[^:/]+)(?::(\d+))?\/?$/i.exec(host) ?? [];
  if (name === undefined) {
    throw new ApiFailure(`--host wants unix:///path/to/docker.sock or tcp://HOST:PORT, not ${host}`);
  }
  const read = (file: string): Buffer | undefined => (existsSync(file) ? readFileSync(file) : undefined);
  return {
    host: name.replace(/^\[(.*)\]$/, '$1'),
    port: port ?? (tls === undefined ? PORTS.plain : PORTS.tls),
    ...(tls && {
      ca: read(tls.ca),
      cert: read(tls.cert),
      key: read(tls.key),
      rejectUnauthorized: tls.verify,
    }),
  };
}

function readAll(
  response: IncomingMessage,
  onError: (error: Error) => void,
  onEnd: (text: string) => void,
): void {
  let text = '';
  response.setEncoding('utf8');
  response.on('data', (chunk: string) => {
    text += chunk;
  });
  response.on('error', onError);
  response.on('end', () => onEnd(text));
}

const failure = (text: string, { statusCode }: IncomingMessage): ApiFailure =>
  new ApiFailure(messageOf(text) ?? `the daemon answers ${statusCode}`, statusCode);

function messageOf(text: string): string | undefined {
  try {
    const { message } = JSON.parse(text) as { message?: unknown };
    return typeof message === 'string' ? message : undefined;
  } catch {
    return undefined;
  }
}
