import { request } from 'node:http';
import { createInterface } from 'node:readline';

/** What went wrong, in a sentence for the person at the keyboard. */
export class ApiFailure extends Error {
  override readonly name = 'ApiFailure';
}

/** Speaks to the daemon's API over its unix socket. */
export class ApiClient {
  readonly #socketPath: string;

  /** @param host `unix:///path` @throws ApiFailure for any other kind of address */
  constructor(host: string) {
    const path = /^unix:\/\/(\/.+)$/.exec(host)?.[1];
    if (path === undefined) throw new ApiFailure(`--host wants unix:///path/to/docker.sock, not ${host}`);
    this.#socketPath = path;
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
    return new Promise((resolve, reject) => {
      const call = request({ socketPath: this.#socketPath, path }, (response) => {
        response.setEncoding('utf8');
        response.on('error', () => reject(new ApiFailure('the daemon has ended')));
        if (response.statusCode !== 200) {
          let text = '';
          response.on('data', (chunk: string) => {
            text += chunk;
          });
          response.on('end', () =>
            reject(new ApiFailure(messageOf(text) ?? `the daemon answers ${response.statusCode}`)),
          );
          return;
        }
        const reader = createInterface({ input: response });
        reader.on('line', onLine);
        reader.on('close', resolve);
      });
      call.on('error', (error: NodeJS.ErrnoException) => reject(new ApiFailure(this.#whyNot(error))));
      call.end();
    });
  }

  #ask(method: 'GET' | 'DELETE', path: string): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const call = request({ socketPath: this.#socketPath, method, path }, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('error', reject);
        response.on('end', () => {
          if (response.statusCode === 200) return resolve(JSON.parse(text));
          if (response.statusCode === 204) return resolve(undefined);
          reject(new ApiFailure(messageOf(text) ?? `the daemon answers ${response.statusCode}`));
        });
      });
      call.on('error', (error: NodeJS.ErrnoException) => reject(new ApiFailure(this.#whyNot(error))));
      call.end();
    });
  }

  #whyNot(error: NodeJS.ErrnoException): string {
    switch (error.code) {
      case 'ENOENT':
      case 'ECONNREFUSED':
        return `no daemon answers at ${this.#socketPath}; sudo npm start starts one`;
      case 'EACCES':
        return `${this.#socketPath} is for root and the group docker: try sudo`;
      default:
        return error.message;
    }
  }
}

function messageOf(text: string): string | undefined {
  try {
    const { message } = JSON.parse(text) as { message?: unknown };
    return typeof message === 'string' ? message : undefined;
  } catch {
    return undefined;
  }
}
