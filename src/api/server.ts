import { type FastifyError, type FastifyInstance, fastify } from 'fastify';
import type { Logger } from 'pino';
import { EngineError } from '../model/errors.ts';
import { readBodies } from './body.ts';
import { apiMinor, STANDING_HEADERS, stripVersion } from './version.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** The API version the client asked for: 24 (1.24) to 51 (1.51). */
    apiMinor: number;
  }
}

function statusOf(error: unknown): number {
  if (error instanceof EngineError) return error.status;
  return (error as Partial<FastifyError>).statusCode ?? 500;
}

/**
 * The API without its routes: versions, headers, bodies and errors as dockerd's. Routes are added by the caller; the
 * listeners (`listen`) hand it their requests through `app.routing`.
 */
export function createApi(log: Logger): FastifyInstance {
  const app = fastify({
    logger: false,
    exposeHeadRoutes: false,
    forceCloseConnections: true,
    // Image names and file paths stand in the path.
    routerOptions: { maxParamLength: 4096, ignoreDuplicateSlashes: true },
    rewriteUrl: stripVersion,
  });
  app.decorateRequest('apiMinor', 51);
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(STANDING_HEADERS);
    log.debug({ method: request.method, url: request.originalUrl }, 'request');
    if (request.is404) return;
    request.apiMinor = apiMinor(request.raw);
  });
  app.addHook('onSend', async (_request, reply, payload) => {
    // Docker's client reads an error's text only when the type is exactly this.
    if (reply.getHeader('content-type') === 'application/json; charset=utf-8') {
      reply.header('content-type', 'application/json');
    }
    return payload;
  });
  readBodies(app);
  app.setNotFoundHandler((_request, reply) => reply.code(404).send({ message: 'page not found' }));
  app.setErrorHandler((error: Error, request, reply) => {
    const status = statusOf(error);
    const about = { method: request.method, url: request.originalUrl, status, err: error };
    if (status >= 500 && !(error instanceof EngineError)) log.error(about, 'request failed');
    else log.debug(about, 'request refused');
    if (reply.raw.headersSent || reply.raw.destroyed) {
      reply.raw.destroy();
      return reply;
    }
    if (status === 304) return reply.code(304).send();
    return reply.code(status).send({ message: error.message });
  });
  return app;
}
