import type { FastifyInstance } from 'fastify';
import { type Container, isRunning } from '../engine/container/container.ts';
import { listChanges } from '../engine/container/files/changes.ts';
import { CONTAINER_FILTERS, filterContainers } from '../engine/container/filter.ts';
import { inspectContainer } from '../engine/container/inspect.ts';
import type { Lifecycle } from '../engine/container/lifecycle.ts';
import { summarize } from '../engine/container/summary.ts';
import { topRows } from '../engine/container/top.ts';
import type { Execs } from '../engine/exec/execs.ts';
import { errors } from '../model/errors.ts';
import { labelsMatch, parseFilters } from '../model/filters.ts';
import { pathId, queryFlag, queryNumber, queryText } from './query.ts';

/** Listing and looking at containers (docs.docker.com/reference/api/engine, "Container"). */
export function containerReadRoutes(app: FastifyInstance, lifecycle: Lifecycle, execs: Execs): void {
  const { containers } = lifecycle;
  const { images } = containers.platform;

  const sizes = async (container: Container): Promise<{ rw: number; rootfs: number }> => {
    const rw = await images.rootfsUsage(container.id).catch(() => 0);
    const image = images.list().find(({ id }) => id === container.imageId);
    return { rw, rootfs: rw + (image?.size ?? 0) };
  };

  app.get('/containers/json', async (request) => {
    const filters = parseFilters(queryText(request.query, 'filters'), CONTAINER_FILTERS);
    const found = filterContainers(containers, filters, {
      all: queryFlag(request.query, 'all'),
      limit: queryNumber(request.query, 'limit') ?? 0,
      labels: (container) => labelsMatch(filters, container.config.Labels),
    });
    const size = queryFlag(request.query, 'size');
    return Promise.all(
      found.map(async (container) =>
        summarize(containers, container, size ? await sizes(container) : undefined),
      ),
    );
  });

  app.get('/containers/:id/json', async (request) => {
    const container = containers.lookUp(pathId(request));
    return inspectContainer(containers, container, {
      execIds: execs.idsOf(container.id),
      rootfs: await images.rootfsMounts(container.id).catch(() => []),
      ...(queryFlag(request.query, 'size') ? { size: await sizes(container) } : {}),
    });
  });

  app.get('/containers/:id/top', async (request) => {
    const container = containers.lookUp(pathId(request));
    if (!isRunning(container)) throw errors.containerNotRunning(container.id);
    const pids = await containers.platform.tasks.pids(container.id);
    return topRows(pids, queryText(request.query, 'ps_args') ?? '');
  });

  app.get('/containers/:id/changes', async (request) => {
    const { id } = containers.lookUp(pathId(request));
    const changes = listChanges(await images.rootfsMounts(id));
    return changes.length > 0 ? changes : null;
  });
}
