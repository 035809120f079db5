import { PassThrough } from 'node:stream';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { isRunning } from '../engine/container/container.ts';
import { parseCreateRequest, parseUpdateRequest } from '../engine/container/create-request.ts';
import type { Lifecycle } from '../engine/container/lifecycle.ts';
import { updateContainer } from '../engine/container/update.ts';
import type { WaitCondition } from '../engine/container/waiters.ts';
import { invalid } from '../model/errors.ts';
import { labelsMatch, parseFilters } from '../model/filters.ts';
import { pathId, queryFlag, queryNumber, queryText } from './query.ts';
import { untilTimes } from './time-query.ts';

/** Creating, starting, ending and removing (docs.docker.com/reference/api/engine, "Container"). */
export function containerLifecycleRoutes(app: FastifyInstance, lifecycle: Lifecycle): void {
  const { containers } = lifecycle;

  app.post('/containers/create', async (request, reply) => {
    const { id, warnings } = await containers.create(
      queryText(request.query, 'name'),
      parseCreateRequest(request.body),
    );
    return reply.code(201).send({ Id: id, Warnings: warnings });
  });

  app.post('/containers/:id/start', async (request, reply) => {
    await lifecycle.start(pathId(request));
    return reply.code(204).send();
  });

  const stopOptions = (request: FastifyRequest) => {
    const timeout = queryNumber(request.query, 't');
    const signal = queryText(request.query, 'signal');
    return { ...(timeout === undefined ? {} : { timeout }), ...(signal ? { signal } : {}) };
  };

  app.post('/containers/:id/stop', async (request, reply) => {
    await lifecycle.stop(pathId(request), stopOptions(request));
    return reply.code(204).send();
  });

  app.post('/containers/:id/restart', async (request, reply) => {
    await lifecycle.restart(pathId(request), stopOptions(request));
    return reply.code(204).send();
  });

  app.post('/containers/:id/kill', async (request, reply) => {
    await lifecycle.kill(pathId(request), queryText(request.query, 'signal') ?? '');
    return reply.code(204).send();
  });

  app.post('/containers/:id/pause', async (request, reply) => {
    await lifecycle.signals.pause(pathId(request));
    return reply.code(204).send();
  });

  app.post('/containers/:id/unpause', async (request, reply) => {
    await lifecycle.signals.unpause(pathId(request));
    return reply.code(204).send();
  });

  app.post('/containers/:id/rename', async (request, reply) => {
    const { id } = containers.lookUp(pathId(request));
    containers.rename(id, queryText(request.query, 'name') ?? '');
    return reply.code(204).send();
  });

  app.post('/containers/:id/resize', async (request, reply) => {
    const container = containers.lookUp(pathId(request));
    const rows = queryNumber(request.query, 'h') ?? 0;
    const columns = queryNumber(request.query, 'w') ?? 0;
    if (isRunning(container)) await containers.platform.tasks.resize(container.id, '', columns, rows);
    return reply.code(200).send();
  });

  app.post('/containers/:id/update', async (request) => ({
    Warnings: await updateContainer(lifecycle, pathId(request), parseUpdateRequest(request.body)),
  }));

  // The answer's head goes out at once: the docker CLI asks before it starts the container and waits for it.
  app.post('/containers/:id/wait', async (request, reply) => {
    const condition = (queryText(request.query, 'condition') || 'not-running') as WaitCondition;
    if (!['not-running', 'next-exit', 'removed'].includes(condition)) {
      throw invalid(`invalid condition: "${condition}"`);
    }
    const gone = new AbortController();
    reply.raw.once('close', () => gone.abort());
    const waiting = lifecycle.wait(pathId(request), condition, gone.signal);
    const body = new PassThrough();
    reply.type('application/json').send(body);
    reply.raw.flushHeaders();
    const { statusCode, error } = await waiting;
    body.end(`${JSON.stringify({ StatusCode: statusCode, ...(error && { Error: { Message: error } }) })}\n`);
    return reply;
  });

  app.delete('/containers/:id', async (request, reply) => {
    await lifecycle.remove(pathId(request), {
      force: queryFlag(request.query, 'force'),
      volumes: queryFlag(request.query, 'v'),
    });
    return reply.code(204).send();
  });

  app.post('/containers/prune', async (request) => {
    const filters = parseFilters(queryText(request.query, 'filters'), ['label', 'label!', 'until']);
    const until = untilTimes(filters);
    const deleted: string[] = [];
    let reclaimed = 0;
    for (const container of containers.all()) {
      const { status } = container.state;
      if (status !== 'exited' && status !== 'created' && status !== 'dead') continue;
      if (!labelsMatch(filters, container.config.Labels)) continue;
      if (!until.every((time) => Date.parse(container.created) < time)) continue;
      reclaimed += await containers.platform.images.rootfsUsage(container.id).catch(() => 0);
      await lifecycle.remove(container.id, { force: false, volumes: false });
      deleted.push(container.id);
    }
    containers.platform.events.publish('container', 'prune', '', { reclaimed: String(reclaimed) });
    return { ContainersDeleted: deleted, SpaceReclaimed: reclaimed };
  });
}
