import { createServer } from 'node:http';
import type { Logger } from 'pino';
import { formatSocketAddress } from '../model/address.ts';
import type { Metrics } from './metrics.ts';

/** Serves `GET /metrics`, and nothing else. @returns ends it @throws Error when the address cannot be had */
export function serveMetrics(
  metrics: Pick<Metrics, 'text' | 'contentType'>,
  { host, port }: { readonly host: string; readonly port: number },
  log: Logger,
): Promise<() => Promise<void>> {
  const server = createServer((request, response) => {
    const path = request.url?.split('?')[0];
    if (path !== '/metrics') return void response.writeHead(404).end('the metrics are at /metrics\n');
    if (request.method !== 'GET') return void response.writeHead(405, { Allow: 'GET' }).end();
    metrics.text().then(
      (text) => response.writeHead(200, { 'Content-Type': metrics.contentType }).end(text),
      (error: unknown) => {
        log.error({ err: error }, 'the metrics cannot be read');
        response.writeHead(500).end(`${error instanceof Error ? error.message : error}\n`);
      },
    );
  });
  const where = formatSocketAddress(host, port);
  return new Promise((resolve, reject) => {
    server.once('error', (error) =>
      reject(new Error(`failed to listen on --metrics-addr ${where}: ${error.message}`)),
    );
    server.listen({ host, port }, () => {
      log.info({ address: where }, 'metrics are served');
      resolve(
        () =>
          new Promise((ended) => {
            server.close(() => ended());
            server.closeAllConnections();
          }),
      );
    });
  });
}
