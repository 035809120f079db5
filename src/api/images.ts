import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { errors, invalid, notImplemented } from '../model/errors.ts';
import { booleanFilter, labelsMatch, parseFilters } from '../model/filters.ts';
import type { ImageStore } from '../runtime/image/image-store.ts';
import { importImage } from '../runtime/image/import.ts';
import { loadArchive } from '../runtime/image/loaded-archive.ts';
import { pushImage } from '../runtime/image/push.ts';
import { saveArchive } from '../runtime/image/saved-archive.ts';
import {
  familiarName,
  familiarReference,
  parseReference,
  parseTagged,
  type Reference,
  withDefaultTag,
} from '../runtime/registry/reference.ts';
import { createdBefore, history, inspect, listedNames, listMatches, seconds, summary } from './image-view.ts';
import { streamProgress } from './progress-stream.ts';
import { queryFlag, queryText, queryTexts } from './query.ts';
import { registryAuth } from './registry-auth.ts';
import { untilTimes } from './time-query.ts';

const LIST_FILTERS = ['dangling', 'label', 'label!', 'before', 'since', 'reference', 'until'];
const PRUNE_FILTERS = ['dangling', 'label', 'label!', 'until'];

/** `name` with the tag or digest that the request has apart from it. @throws EngineError INVALID_PARAMETER */
function requested(request: FastifyRequest, name: string): Reference {
  const tag = queryText(request.query, 'tag') ?? '';
  if (!tag.includes(':')) return withDefaultTag(parseTagged(name, tag));
  const { domain, path } = parseReference(name);
  return parseReference(`${domain}/${path}@${tag}`);
}

/** The images of the Engine API (docs.docker.com/reference/api/engine, "Image"). */
export function imageRoutes(app: FastifyInstance, images: ImageStore): void {
  app.post('/images/create', async (request, reply) => {
    const from = queryText(request.query, 'fromImage');
    const source = queryText(request.query, 'fromSrc');
    if (from !== undefined && from !== '') {
      const name = familiarReference(requested(request, from));
      const credentials = registryAuth(request);
      const platform = queryText(request.query, 'platform');
      return streamProgress(reply, async (progress, signal) => {
        await images.pull(name, {
          progress,
          signal,
          ...(credentials !== undefined && { auth: credentials }),
          ...(platform !== undefined && { platform }),
        });
      });
    }
    if (source !== undefined) {
      const repo = queryText(request.query, 'repo') ?? '';
      const name = repo === '' ? undefined : familiarReference(requested(request, repo));
      return streamProgress(reply, async (progress) => {
        const id = await importImage(images, {
          source: source === '-' ? request.raw : source,
          name,
          changes: queryTexts(request.query, 'changes'),
          message: queryText(request.query, 'message') ?? '',
          platform: queryText(request.query, 'platform'),
          progress,
        });
        progress({ status: id });
      });
    }
    throw invalid('fromImage or fromSrc is required');
  });

  app.post('/images/load', async (request, reply) =>
    streamProgress(reply, (progress) => {
      const quiet = queryFlag(request.query, 'quiet');
      return loadArchive(images, request.raw, (line) => {
        if (!quiet || 'stream' in line) progress(line);
      });
    }),
  );

  app.get('/images/get', async (request, reply) => {
    const archive = await saveArchive(
      images,
      queryTexts(request.query, 'names').flatMap((names) => names.split(',')),
    );
    return reply.type('application/x-tar').send(archive);
  });

  app.get('/images/search', async () => {
    throw notImplemented('searching a registry');
  });

  app.get('/images/json', async (request) => {
    const filters = parseFilters(queryText(request.query, 'filters'), LIST_FILTERS);
    const until = untilTimes(filters);
    const wantsShared = queryFlag(request.query, 'shared-size');
    const listed = images
      .list()
      .filter((image) => listMatches(filters, images, image) && createdBefore(image, until))
      .toSorted((a, b) => seconds(b.created) - seconds(a.created));
    return Promise.all(
      listed.map(async (image) =>
        summary(image, listedNames(filters, image), wantsShared ? await images.sharedSize(image) : -1),
      ),
    );
  });

  app.post('/images/prune', async (request) => {
    const filters = parseFilters(queryText(request.query, 'filters'), PRUNE_FILTERS);
    const until = untilTimes(filters);
    const { removed, reclaimed } = await images.prune(
      booleanFilter(filters, 'dangling') === false,
      (image) => labelsMatch(filters, image.config.Labels) && createdBefore(image, until),
    );
    return { ImagesDeleted: removed.length > 0 ? removed : null, SpaceReclaimed: reclaimed };
  });

  // Names have slashes (`registry:5000/team/app`), so the last segment decides what is asked of the name before it.
  app.get('/images/*', async (request, reply) => {
    const { name, verb } = split(request);
    if (verb === 'json') return inspect(images.resolve(name), images.snapshots.name);
    if (verb === 'history') {
      const image = images.resolve(name);
      return history(image, await images.layerSizes(image));
    }
    if (verb === 'get') return reply.type('application/x-tar').send(await saveArchive(images, [name]));
    return pageNotFound(reply);
  });

  app.post('/images/*', async (request, reply) => {
    const { name, verb } = split(request);
    if (verb === 'tag') {
      await images.tag(name, requested(request, queryText(request.query, 'repo') ?? ''));
      return reply.code(201).send();
    }
    if (verb === 'push') {
      const reference = requested(request, name);
      const image = images.index.byName(`${reference.domain}/${reference.path}:${reference.tag}`);
      if (image === undefined) throw errors.imageNotLocal(familiarName(reference));
      const credentials = registryAuth(request);
      return streamProgress(reply, (progress) => pushImage(images, image, reference, credentials, progress));
    }
    return pageNotFound(reply);
  });

  app.delete('/images/*', async (request) => {
    const name = decodeURIComponent((request.params as { '*': string })['*']);
    return images.remove(name, {
      force: queryFlag(request.query, 'force'),
    });
  });
}

function split(request: FastifyRequest): { name: string; verb: string } {
  const path = decodeURIComponent((request.params as { '*': string })['*']);
  const slash = path.lastIndexOf('/');
  return { name: path.slice(0, Math.max(slash, 0)), verb: path.slice(slash + 1) };
}

function pageNotFound(reply: FastifyReply): FastifyReply {
  return reply.code(404).send({ message: 'page not found' });
}
