import { request } from 'node:http';

/** What a request to the API brought. */
export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** A request to the API on its socket as it is, for what no client would send. @param body text is sent as JSON */
export function apiRequest(
  socketPath: string,
  method: string,
  path: string,
  body?: string | Buffer,
  headers: Record<string, string> = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = request(
      {
        socketPath,
        method,
        path,
        headers: body === undefined ? headers : { 'content-type': 'application/json', ...headers },
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
        response.on('error', reject);
      },
    );
    call.setTimeout(30_000, () => call.destroy(new Error(`${method} ${path} hangs`)));
    call.on('error', reject);
    call.end(body);
  });
}
