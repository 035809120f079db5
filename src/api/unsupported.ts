import type { FastifyInstance, HTTPMethods } from 'fastify';
import { errors, notFound, notImplemented, unavailable } from '../model/errors.ts';

type Route = readonly [method: HTTPMethods, path: string];

/** A node that is in no swarm answers all of these alike (moby daemon/cluster). */
const SWARM: readonly Route[] = [
  ['GET', '/swarm'],
  ['POST', '/swarm/init'],
  ['POST', '/swarm/join'],
  ['POST', '/swarm/update'],
  ['GET', '/swarm/unlockkey'],
  ['POST', '/swarm/unlock'],
  ...(['nodes', 'services', 'tasks', 'secrets', 'configs'] as const).flatMap((kind): Route[] => [
    ['GET', `/${kind}`],
    ['GET', `/${kind}/:id`],
  ]),
  ...(['services', 'secrets', 'configs'] as const).map((kind): Route => ['POST', `/${kind}/create`]),
  ...(['nodes', 'services', 'secrets', 'configs'] as const).flatMap((kind): Route[] => [
    ['DELETE', `/${kind}/:id`],
    ['POST', `/${kind}/:id/update`],
  ]),
  ['GET', '/services/:id/logs'],
  ['GET', '/tasks/:id/logs'],
];

const MISSING: readonly (readonly [...Route, what: string])[] = [
  ['POST', '/build', 'building images'],
  ['POST', '/build/prune', 'building images'],
  ['POST', '/build/cancel', 'building images'],
  ['POST', '/session', 'building images with BuildKit'],
  ['POST', '/grpc', 'building images with BuildKit'],
  ['GET', '/containers/:id/attach/ws', 'attaching by websocket'],
  ['POST', '/commit', 'making an image of a container (commit)'],
  ['GET', '/plugins/privileges', 'installing plugins'],
  ['POST', '/plugins/pull', 'installing plugins'],
  ['POST', '/plugins/create', 'installing plugins'],
];

/** Parts of Docker's API that are not here: each answers Docker's own refusal or 501 with a sentence. */
export function unsupportedRoutes(app: FastifyInstance): void {
  for (const [method, url] of SWARM) {
    app.route({
      method,
      url,
      handler: async () => {
        throw errors.swarm();
      },
    });
  }
  app.post('/swarm/leave', async () => {
    throw unavailable('This node is not part of a swarm');
  });
  for (const [method, url, what] of MISSING) {
    app.route({
      method,
      url,
      handler: async () => {
        throw notImplemented(what);
      },
    });
  }
  app.get('/plugins', async () => []);
  const noPlugin: readonly Route[] = [
    ['GET', '/plugins/:name/json'],
    ['DELETE', '/plugins/:name'],
    ['POST', '/plugins/:name/enable'],
    ['POST', '/plugins/:name/disable'],
    ['POST', '/plugins/:name/upgrade'],
    ['POST', '/plugins/:name/push'],
    ['POST', '/plugins/:name/set'],
  ];
  for (const [method, url] of noPlugin) {
    app.route<{ Params: { name: string } }>({
      method,
      url,
      handler: async (request) => {
        throw notFound(`plugin "${request.params.name}" not found`);
      },
    });
  }
}
