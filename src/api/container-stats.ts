import { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import type { Containers } from '../engine/container/containers.ts';
import { statsOnce, statsStream } from '../engine/container/stats.ts';
import { invalid } from '../model/errors.ts';
import { pathId, queryFlag, queryText } from './query.ts';

/** `docker stats` (docs.docker.com/reference/api/engine, ContainerStats). */
export function containerStatsRoutes(app: FastifyInstance, containers: Containers): void {
  app.get('/containers/:id/stats', async (request, reply) => {
    const stream = queryText(request.query, 'stream') === undefined || queryFlag(request.query, 'stream');
    const oneShot = queryFlag(request.query, 'one-shot');
    if (stream && oneShot) throw invalid('cannot have stream=true and one-shot=true');
    if (!stream)
      return reply.type('application/json').send(await statsOnce(containers, pathId(request), oneShot));
    containers.lookUp(pathId(request));
    const gone = new AbortController();
    reply.raw.once('close', () => gone.abort());
    const lines = async function* (): AsyncGenerator<string> {
      for await (const stats of statsStream(containers, pathId(request), gone.signal))
        yield `${JSON.stringify(stats)}\n`;
    };
    return reply.type('application/json').send(Readable.from(lines()));
  });
}
