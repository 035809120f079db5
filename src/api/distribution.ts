import type { FastifyInstance } from 'fastify';
import { notFound } from '../model/errors.ts';
import { inspectDistribution } from '../runtime/image/distribution.ts';
import type { ImageStore } from '../runtime/image/image-store.ts';
import { checkCredentials } from '../runtime/registry/login.ts';
import { parseReference, withDefaultTag } from '../runtime/registry/reference.ts';
import { authBody, registryAuth } from './registry-auth.ts';

/** What is asked of registries directly (docs.docker.com/reference/api/engine, "Distribution" and `POST /auth`). */
export function distributionRoutes(app: FastifyInstance, images: ImageStore): void {
  app.get<{ Params: { '*': string } }>('/distribution/*', async (request) => {
    const [, name] = /^(.+)\/json$/.exec(decodeURIComponent(request.params['*'])) ?? [];
    if (name === undefined) throw notFound('page not found');
    const reference = withDefaultTag(parseReference(name));
    const found = await inspectDistribution(images, reference, registryAuth(request));
    return {
      Descriptor: { mediaType: found.mediaType, digest: found.digest, size: found.size },
      Platforms: found.platforms,
    };
  });

  app.post('/auth', (request) => checkCredentials(authBody(request.body), images.config));
}
