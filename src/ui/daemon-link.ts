import { type IncomingMessage, request } from 'node:http';
import { ApiFailure } from '../cli/api-client.ts';

export interface DaemonAnswer {
  readonly status: number;
  readonly body: string;
}

/** A line longer than this is no event of ours. */
const LONGEST_LINE = 1 << 16;
const PATIENCE_MS = 30_000;

/** Reads from the daemon's unix socket; never writes. */
export class DaemonLink {
  readonly #socketPath: string;

  /** @param host `unix:///path` @throws ApiFailure for any other kind of address */
  constructor(host: string) {
    const path = /^unix:\/\/(\/.+)$/.exec(host)?.[1];
    if (path === undefined) throw new ApiFailure(`--host wants unix:///path/to/docker.sock, not ${host}`);
    this.#socketPath = path;
  }

  /** `GET path`, whatever its status. @throws ApiFailure with a sentence when nobody answers */
  get(path: string): Promise<DaemonAnswer> {
    return new Promise((resolve, reject) => {
      const call = request({ socketPath: this.#socketPath, path, timeout: PATIENCE_MS }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', (error) => reject(new ApiFailure(error.message)));
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() }),
        );
      });
      call.on('timeout', () => call.destroy(new Error('the daemon does not answer')));
      call.on('error', (error: NodeJS.ErrnoException) => reject(new ApiFailure(this.#whyNot(error))));
      call.end();
    });
  }

  /**
   * The lines of an answer that has no end. @param onOpen when there is one @param onEnd with the status, or 0 when there was no answer
   * @returns ends it
   */
  lines(
    path: string,
    onOpen: () => void,
    onLine: (line: string) => void,
    onEnd: (status: number) => void,
  ): () => void {
    let ended = false;
    const end = (status: number): void => {
      if (ended) return;
      ended = true;
      onEnd(status);
    };
    const call = request({ socketPath: this.#socketPath, path }, (response: IncomingMessage) => {
      const status = response.statusCode ?? 0;
      response.setEncoding('utf8');
      if (status === 200) onOpen();
      let rest = '';
      response.on('data', (chunk: string) => {
        if (status !== 200) return;
        const lines = (rest + chunk).split('\n');
        rest = (lines.pop() ?? '').slice(0, LONGEST_LINE);
        for (const line of lines) if (line.trim() !== '') onLine(line);
      });
      response.on('error', () => end(0));
      response.on('close', () => end(status));
    });
    call.on('error', () => end(0));
    call.end();
    return () => {
      ended = true;
      call.destroy();
    };
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
