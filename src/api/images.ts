import type { ImageInspect, ImageSummary } from '@docker/node-sdk';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { errors, invalid, notImplemented } from '../model/errors.ts';
import { booleanFilter, type Filters, labelsMatch, parseFilters } from '../model/filters.ts';
import type { StoredImage } from '../runtime/image/image-index.ts';
import type { ImageUsers } from '../runtime/image/image-removal.ts';
import type { ImageStore } from '../runtime/image/image-store.ts';
import { importImage } from '../runtime/image/import.ts';
import { loadArchive } from '../runtime/image/loaded-archive.ts';
import { pushImage } from '../runtime/image/push.ts';
import { saveArchive } from '../runtime/image/saved-archive.ts';
import type { RegistryAuth } from '../runtime/images.ts';
import { checkCredentials } from '../runtime/registry/login.ts';
import { familiarName, parseReference, withDefaultTag } from '../runtime/registry/reference.ts';
import { streamProgress } from './progress-stream.ts';
import { queryFlag, queryText, queryTexts } from './query.ts';
import { parseMoment } from './time-query.ts';

const auth = z.object({
  username: z.string().optional(),
  password: z.string().optional(),
  auth: z.string().optional(),
  identitytoken: z.string().optional(),
  registrytoken: z.string().optional(),
  serveraddress: z.string().optional(),
});

/** `X-Registry-Auth`: base64url JSON. Docker ignores a header it cannot read, and so do we. */
function registryAuth(request: FastifyRequest): RegistryAuth | undefined {
  const header = request.headers['x-registry-auth'];
  if (typeof header !== 'string' || header === '') return undefined;
  try {
    return toAuth(auth.parse(JSON.parse(Buffer.from(header, 'base64').toString('utf8'))));
  } catch {
    return undefined;
  }
}

function toAuth(given: z.infer<typeof auth>): RegistryAuth {
  const [username, ...password] = given.auth
    ? Buffer.from(given.auth, 'base64').toString('utf8').split(':')
    : [];
  const entries = Object.entries({
    username,
    ...(password.length > 0 && { password: password.join(':') }),
    ...given,
  });
  return Object.fromEntries(
    entries.filter(([key, value]) => key !== 'auth' && value !== undefined && value !== ''),
  );
}

const seconds = (time: string | undefined): number =>
  time === undefined ? 0 : Math.floor(Date.parse(time) / 1000) || 0;

function summary(image: StoredImage, containers: number): ImageSummary {
  return {
    Id: image.id,
    ParentId: '',
    RepoTags: [...image.repoTags],
    RepoDigests: [...image.repoDigests],
    Created: seconds(image.created),
    Size: image.size,
    SharedSize: -1,
    Labels: (image.config.Labels ?? null) as Record<string, string>,
    Containers: containers,
  };
}

function inspect(image: StoredImage, snapshotter: string): ImageInspect {
  return {
    Id: image.id,
    RepoTags: [...image.repoTags],
    RepoDigests: [...image.repoDigests],
    Parent: '',
    Comment: image.file.history?.at(-1)?.comment ?? '',
    ...(image.created !== undefined && { Created: image.created }),
    DockerVersion: '',
    Author: image.author ?? '',
    Config: image.config,
    Architecture: image.architecture,
    ...(image.variant !== undefined && { Variant: image.variant }),
    Os: image.os,
    Size: image.size,
    GraphDriver: { Name: snapshotter, Data: {} },
    RootFS: { Type: 'layers', Layers: [...image.diffIds] },
    Metadata: { LastTagTime: '0001-01-01T00:00:00Z' },
  } as ImageInspect;
}

function history(image: StoredImage): readonly object[] {
  const entries: NonNullable<StoredImage['file']['history']> =
    image.file.history ?? image.diffIds.map(() => ({ created: image.created }));
  return entries.toReversed().map((entry, i) => ({
    Id: i === 0 ? image.id : '<missing>',
    Created: seconds(entry.created ?? undefined),
    CreatedBy: entry.created_by ?? '',
    Tags: i === 0 && image.repoTags.length > 0 ? image.repoTags : null,
    Size: entry.empty_layer || i > 0 ? 0 : image.size,
    Comment: entry.comment ?? '',
  }));
}

/** Shell-like patterns of `reference=`, with or without the tag (Go's path.Match). */
function referenceMatches(pattern: string, image: StoredImage): boolean {
  const source = pattern
    .replace(/[.+^${}()|\\]/g, '\\$&')
    .replaceAll('*', '[^/]*')
    .replaceAll('?', '[^/]');
  const expression = new RegExp(`^${source}$`);
  return [...image.repoTags, ...image.repoDigests].some(
    (name) => expression.test(name) || expression.test(name.replace(/[:@][^/]*$/, '')),
  );
}

function listMatches(filters: Filters, images: ImageStore, image: StoredImage): boolean {
  const dangling = booleanFilter(filters, 'dangling');
  if (dangling !== undefined && dangling !== (image.names.size === 0)) return false;
  if (!labelsMatch(filters, image.config.Labels)) return false;
  const references = filters.get('reference');
  if (references !== undefined && ![...references].some((pattern) => referenceMatches(pattern, image)))
    return false;
  for (const ref of filters.get('before') ?? [])
    if (seconds(image.created) >= seconds(images.resolve(ref).created)) return false;
  for (const ref of filters.get('since') ?? [])
    if (seconds(image.created) <= seconds(images.resolve(ref).created)) return false;
  return true;
}

/** The images of the Engine API (docs.docker.com/reference/api/engine, "Image"). */
export function imageRoutes(app: FastifyInstance, images: ImageStore, users: ImageUsers): void {
  app.post('/images/create', async (request, reply) => {
    const from = queryText(request.query, 'fromImage');
    const source = queryText(request.query, 'fromSrc');
    if (from !== undefined && from !== '') {
      const tag = queryText(request.query, 'tag') ?? '';
      const name =
        tag === '' ? from : `${from.replace(/[:@][^/]*$/, '')}${tag.includes(':') ? '@' : ':'}${tag}`;
      withDefaultTag(parseReference(name));
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
      const tag = queryText(request.query, 'tag') ?? '';
      return streamProgress(reply, async (progress) => {
        const id = await importImage(images, {
          source: source === '-' ? request.raw : source,
          name: repo === '' ? undefined : tag === '' ? repo : `${repo}:${tag}`,
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
    streamProgress(reply, (progress) => loadArchive(images, request.raw, progress)),
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
    const filters = parseFilters(queryText(request.query, 'filters'), [
      'dangling',
      'label',
      'label!',
      'before',
      'since',
      'reference',
      'until',
    ]);
    const until = [...(filters.get('until') ?? [])].map((text) =>
      Number((parseMoment(text) ?? 0n) / 1_000_000n),
    );
    return images
      .list()
      .filter(
        (image) =>
          listMatches(filters, images, image) && until.every((time) => seconds(image.created) * 1000 < time),
      )
      .toSorted((a, b) => seconds(b.created) - seconds(a.created))
      .map((image) => summary(image, users.usersOf(image.id).length));
  });

  app.post('/images/prune', async (request) => {
    const filters = parseFilters(queryText(request.query, 'filters'), [
      'dangling',
      'label',
      'label!',
      'until',
    ]);
    const all = booleanFilter(filters, 'dangling') === false;
    const until = [...(filters.get('until') ?? [])].map((text) =>
      Number((parseMoment(text) ?? 0n) / 1_000_000n),
    );
    const { removed, reclaimed } = await images.prune(
      all,
      (image) =>
        labelsMatch(filters, image.config.Labels) &&
        until.every((time) => seconds(image.created) * 1000 < time),
    );
    return { ImagesDeleted: removed.length > 0 ? removed : null, SpaceReclaimed: reclaimed };
  });

  app.post('/auth', async (request) => {
    const given = auth.safeParse(request.body);
    if (!given.success) throw invalid(z.prettifyError(given.error));
    return checkCredentials(toAuth(given.data), images.config);
  });

  // Names have slashes (`registry:5000/team/app`), so the last segment decides what is asked of the name before it.
  app.get('/images/*', async (request, reply) => {
    const { name, verb } = split(request);
    if (verb === 'json') return inspect(images.resolve(name), images.snapshots.name);
    if (verb === 'history') return history(images.resolve(name));
    if (verb === 'get') return reply.type('application/x-tar').send(await saveArchive(images, [name]));
    return pageNotFound(reply);
  });

  app.post('/images/*', async (request, reply) => {
    const { name, verb } = split(request);
    if (verb === 'tag') {
      const tag = queryText(request.query, 'tag') ?? '';
      const repo = queryText(request.query, 'repo') ?? '';
      await images.tag(name, withDefaultTag(parseReference(tag === '' ? repo : `${repo}:${tag}`)));
      return reply.code(201).send();
    }
    if (verb === 'push') {
      const tag = queryText(request.query, 'tag') ?? '';
      const reference = withDefaultTag(parseReference(tag === '' ? name : `${name}:${tag}`));
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
