import { Agent, request } from 'node:http';

/** Docker Engine API over an engine's socket on one kept connection: no start of the docker command in the figures. */
export class Api {
  readonly #socketPath: string;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 4 });

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  /** @returns the JSON that was answered, undefined for an empty body @throws Error for a status of 400 or more */
  call(method: string, path: string, body?: unknown): Promise<unknown> {
    const text = body === undefined ? '' : JSON.stringify(body);
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
    return new Promise((resolve, reject) => {
      const asked = request(
        { socketPath: this.#socketPath, agent: this.#agent, method, path: `/v1.47${path}`, headers },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () => {
            const answer = Buffer.concat(chunks).toString();
            if ((response.statusCode ?? 500) >= 400) {
              reject(new Error(`${method} ${path}: ${response.statusCode} ${answer}`));
            } else resolve(answer === '' ? undefined : JSON.parse(answer));
          });
        },
      );
      asked.on('error', reject);
      asked.end(text);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}
