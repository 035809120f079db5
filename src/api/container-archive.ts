import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Archive } from '../engine/container/files/archive.ts';
import type { PathStat } from '../engine/container/files/path-stat.ts';
import { invalid } from '../model/errors.ts';
import { pathId, queryFlag, queryText } from './query.ts';

/** @throws EngineError INVALID_PARAMETER in dockerd's words, blank left out as there */
function pathOf(request: FastifyRequest): string {
  const path = queryText(request.query, 'path');
  if (!path) throw invalid('bad parameter: pathcannot be empty');
  return path;
}

function describe(reply: FastifyReply, stat: PathStat): void {
  reply.header('X-Docker-Container-Path-Stat', Buffer.from(JSON.stringify(stat)).toString('base64'));
}

/** Files from and to containers (docs.docker.com/reference/api/engine, "Container", archive and export). */
export function containerArchiveRoutes(app: FastifyInstance, archive: Archive): void {
  app.head('/containers/:id/archive', async (request, reply) => {
    describe(reply, await archive.stat(pathId(request), pathOf(request)));
    return reply.code(200).send();
  });

  app.get('/containers/:id/archive', { exposeHeadRoute: false }, async (request, reply) => {
    await archive.read(pathId(request), pathOf(request), (stat, tar) => {
      describe(reply, stat);
      reply.raw.once('close', () => tar.destroy());
      reply.type('application/x-tar').send(tar);
    });
    return reply;
  });

  app.put('/containers/:id/archive', async (request, reply) => {
    await archive.write(pathId(request), pathOf(request), request.raw, {
      keepKinds: queryFlag(request.query, 'noOverwriteDirNonDir'),
      copyOwner: queryFlag(request.query, 'copyUIDGID'),
    });
    return reply.code(200).send();
  });

  app.get('/containers/:id/export', { exposeHeadRoute: false }, async (request, reply) => {
    await archive.exportRootfs(pathId(request), (tar) => {
      reply.raw.once('close', () => tar.destroy());
      reply.type('application/octet-stream').send(tar);
    });
    return reply;
  });
}
