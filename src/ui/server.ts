import { type FastifyInstance, fastify } from 'fastify';
import type { ApiClient } from '../cli/api-client.ts';
import { type Asset, loadAssets } from './assets.ts';
import type { Feed } from './feed.ts';
import { Gate, type Refusal } from './gate.ts';

/** What of the daemon the page may read, with the query parameters that are handed on. */
const FORWARDED: Readonly<Record<string, readonly string[]>> = {
  '/gangway/topology': [],
  '/gangway/why': ['from', 'to'],
  '/gangway/cluster': [],
  '/gangway/doctor': [],
};
const MOST_LINKS = 2000;
/** A page that lets this much pile up is gone for all that matters. */
const MAX_BACKLOG = 8 << 20;

const HEADERS = {
  'Content-Security-Policy':
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cache-Control': 'no-store',
} as const;

/** A page of its own: a redirect would count as coming from where the link was, and a strict cookie would stay behind. */
const OPENED =
  '<!doctype html><meta charset=utf-8><title>Gangway</title><meta http-equiv="refresh" content="0;url=/"><p><a href="/">Gangway</a>';

export interface PageServer {
  readonly port: number;
  /** A new link that opens the page once. */
  link(): string;
  close(): Promise<void>;
}

/**
 * Serves the page on 127.0.0.1 and nowhere else. @param port 0 takes a free one
 * @throws Error EADDRINUSE, EACCES
 */
export async function servePage(daemon: ApiClient, feed: Feed, port: number): Promise<PageServer> {
  const app = fastify({ logger: false, forceCloseConnections: true, exposeHeadRoutes: false });
  let gate: Gate | undefined;
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(HEADERS);
    const { token } = request.query as { token?: unknown };
    const opens = request.method === 'GET' && request.url.startsWith('/?token=') && typeof token === 'string';
    const foreign = gate?.refuseForeign(request.method, request.headers, opens);
    if (foreign !== undefined) return reply.code(foreign.status).type('text/plain').send(words(foreign));
    const cookie = opens ? gate?.redeem(token) : undefined;
    if (cookie !== undefined) {
      return reply.header('Set-Cookie', cookie).type('text/html; charset=utf-8').send(OPENED);
    }
    const stranger = gate?.refuseStranger(request.headers);
    if (gate === undefined || stranger !== undefined) {
      return reply
        .code(401)
        .type('text/plain')
        .send(stranger === undefined ? '' : words(stranger));
    }
    return undefined;
  });
  app.setNotFoundHandler((_request, reply) =>
    reply.code(404).type('text/plain').send('There is nothing here.\n'),
  );
  pageRoutes(app, loadAssets());
  daemonRoutes(app, daemon);
  liveRoutes(app, feed);
  await app.listen({ host: '127.0.0.1', port });
  const address = app.server.address();
  const chosen = typeof address === 'object' && address !== null ? address.port : port;
  const opened = new Gate(chosen);
  gate = opened;
  return {
    port: chosen,
    link: () => `http://127.0.0.1:${chosen}/?token=${opened.issue()}`,
    close: () => app.close(),
  };
}

const words = ({ sentence }: Refusal): string => `${sentence}\n`;

function pageRoutes(app: FastifyInstance, assets: ReadonlyMap<string, Asset>): void {
  const send = (name: string): Asset | undefined => assets.get(name);
  app.get('/', async (_request, reply) => {
    const page = send('index.html');
    return reply.type(page?.type ?? 'text/plain').send(page?.body ?? 'web/index.html is missing\n');
  });
  // A browser asks for it by itself, when the link was opened and the page that names its icon is not there yet.
  app.get('/favicon.ico', async (_request, reply) => {
    const icon = send('icon.svg');
    return icon === undefined ? reply.callNotFound() : reply.type(icon.type).send(icon.body);
  });
  app.get<{ Params: { name: string } }>('/web/:name', async (request, reply) => {
    const asset = send(request.params.name);
    if (asset === undefined) return reply.callNotFound();
    // Asked for at every load, sent only when it is another.
    reply.headers({ ETag: asset.etag, 'Cache-Control': 'no-cache' });
    if (request.headers['if-none-match'] === asset.etag) return reply.code(304).send();
    return reply.type(asset.type).send(asset.body);
  });
}

function daemonRoutes(app: FastifyInstance, daemon: ApiClient): void {
  for (const [path, keys] of Object.entries(FORWARDED)) {
    app.get(path, async (request, reply) => {
      const query = new URLSearchParams();
      for (const key of keys) {
        const value = (request.query as Record<string, unknown>)[key];
        if (typeof value === 'string') query.set(key, value);
      }
      // The page sends no packets.
      if (path === '/gangway/why') query.set('probe', '0');
      try {
        const { status, body } = await daemon.answer(query.size > 0 ? `${path}?${query}` : path);
        return reply.code(status).type('application/json').send(body);
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        return reply.code(502).type('application/json').send(JSON.stringify({ message }));
      }
    });
  }
}

function liveRoutes(app: FastifyInstance, feed: Feed): void {
  app.get('/history', async (request) => {
    const { link } = request.query as { link?: string | string[] };
    const links = link === undefined ? [] : Array.isArray(link) ? link : [link];
    return feed.history.read(links.slice(0, MOST_LINKS));
  });

  app.get('/live', (_request, reply) => {
    reply.hijack();
    const out = reply.raw;
    out.writeHead(200, { ...HEADERS, 'Content-Type': 'text/event-stream' });
    const end = feed.subscribe((name, message) => {
      out.write(`event: ${name}\ndata: ${JSON.stringify(message)}\n\n`);
      if (out.writableLength > MAX_BACKLOG) out.destroy();
    });
    out.on('close', end);
  });
}
