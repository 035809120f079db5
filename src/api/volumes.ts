import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { Volumes } from '../engine/volume/volumes.ts';
import { invalid } from '../model/errors.ts';
import { booleanFilter, labelsMatch, parseFilters } from '../model/filters.ts';
import { queryFlag, queryText } from './query.ts';

const createBody = z.looseObject({
  Name: z.string().nullish(),
  Driver: z.string().nullish(),
  DriverOpts: z.record(z.string(), z.string()).nullish(),
  Labels: z.record(z.string(), z.string()).nullish(),
});

/** Named volumes (docs.docker.com/reference/api/engine, "Volume"). */
export function volumeRoutes(app: FastifyInstance, volumes: Volumes): void {
  app.get('/volumes', async (request) => {
    const filters = parseFilters(queryText(request.query, 'filters'), [
      'dangling',
      'driver',
      'label',
      'name',
    ]);
    const dangling = booleanFilter(filters, 'dangling');
    const names = [...(filters.get('name') ?? [])];
    const drivers = filters.get('driver');
    const found = volumes
      .list()
      .filter(
        (volume) =>
          (dangling === undefined || dangling === (volumes.users(volume.name).length === 0)) &&
          (names.length === 0 || names.some((name) => volume.name.includes(name))) &&
          (drivers === undefined || drivers.has(volume.driver)) &&
          labelsMatch(filters, volume.labels ?? undefined),
      );
    return { Volumes: found.map((volume) => volumes.describe(volume)), Warnings: null };
  });

  app.post('/volumes/create', async (request, reply) => {
    const parsed = createBody.safeParse(request.body ?? {});
    if (!parsed.success) throw invalid(`invalid volume: ${z.prettifyError(parsed.error)}`);
    const { Name: name, Driver: driver, DriverOpts: options, Labels: labels } = parsed.data;
    const volume = volumes.create({
      ...(name ? { name } : {}),
      ...(driver ? { driver } : {}),
      ...(options ? { options } : {}),
      ...(labels ? { labels } : {}),
    });
    return reply.code(201).send(volumes.describe(volume));
  });

  app.get('/volumes/:name', async (request) =>
    volumes.describe(volumes.get((request.params as { name: string }).name)),
  );

  app.delete('/volumes/:name', async (request, reply) => {
    volumes.remove((request.params as { name: string }).name, { force: queryFlag(request.query, 'force') });
    return reply.code(204).send();
  });

  app.post('/volumes/prune', async (request) => {
    const filters = parseFilters(queryText(request.query, 'filters'), ['label', 'label!', 'all']);
    // Since 1.42 only anonymous volumes, unless all are asked for.
    const all = request.apiMinor < 42 || booleanFilter(filters, 'all') === true;
    const { removed, reclaimed } = await volumes.prune(
      (volume) => (all || volume.anonymous) && labelsMatch(filters, volume.labels ?? undefined),
    );
    return { VolumesDeleted: removed, SpaceReclaimed: reclaimed };
  });
}
