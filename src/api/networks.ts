import type { EndpointSettings } from '@docker/node-sdk';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { ContainerConnections } from '../engine/container/connections.ts';
import { endpointSettings } from '../engine/network/endpoint-options.ts';
import type { Networks } from '../engine/network/networks.ts';
import { inspectNetwork, scopeOf } from '../engine/network/settings.ts';
import { renderSteps } from '../explain/picture.ts';
import { explainPublishedPort } from '../explain/published-way.ts';
import { EngineError, errors, invalid } from '../model/errors.ts';
import { booleanFilter, type Filters, labelsMatch, parseFilters } from '../model/filters.ts';
import { isAddressed, type Network } from '../model/network.ts';
import { pathId, queryFlag, queryText } from './query.ts';
import { untilTimes } from './time-query.ts';

const connectBody = z.looseObject({ Container: z.string(), EndpointConfig: endpointSettings.nullish() });
const disconnectBody = z.looseObject({ Container: z.string(), Force: z.boolean().nullish() });

function parse<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body ?? {});
  if (!parsed.success) throw invalid(`invalid request: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}

const PREDEFINED = ['bridge', 'host', 'none'];

function matches(filters: Filters, network: Network, inUse: () => boolean): boolean {
  const any = (key: string, test: (value: string) => boolean): boolean => {
    const values = filters.get(key);
    return values === undefined || [...values].some(test);
  };
  const dangling = danglingFilter(filters);
  return (
    any('id', (id) => network.id.startsWith(id)) &&
    any('name', (name) => network.name.includes(name)) &&
    any('driver', (driver) => network.driver === driver) &&
    any('scope', (scope) => scope === scopeOf(network)) &&
    any('type', (type) => {
      if (type !== 'custom' && type !== 'builtin') throw invalid(`invalid filter: 'type'='${type}'`);
      return (type === 'builtin') === PREDEFINED.includes(network.name);
    }) &&
    (dangling === undefined || dangling === (!inUse() && !PREDEFINED.includes(network.name))) &&
    labelsMatch(filters, network.labels)
  );
}

/** @throws EngineError in Docker's words for this one filter */
function danglingFilter(filters: Filters): boolean | undefined {
  try {
    return booleanFilter(filters, 'dangling');
  } catch {
    throw invalid(`invalid value for filter 'dangling', must be "true" (or "1"), or "false" (or "0")`);
  }
}

/** Networks (docs.docker.com/reference/api/engine, "Network"), and the ways of packets to a container. */
export function networkRoutes(
  app: FastifyInstance,
  networks: Networks,
  connections: ContainerConnections,
): void {
  app.get('/networks', async (request) => {
    const filters = parseFilters(queryText(request.query, 'filters'), [
      'dangling',
      'driver',
      'id',
      'label',
      'label!',
      'name',
      'scope',
      'type',
    ]);
    return networks
      .list()
      .filter((network) => matches(filters, network, () => networks.endpointsOf(network.id).length > 0))
      .map((network) => inspectNetwork(network, undefined));
  });

  app.get('/networks/:id', async (request) => {
    const ref = pathId(request);
    const network = networks.resolve(ref);
    const scope = queryText(request.query, 'scope') ?? '';
    if (scope !== '' && scope !== scopeOf(network)) throw errors.noSuchNetwork(ref);
    const peers = network.driver === 'overlay' ? await networks.cluster.peers(network) : undefined;
    const inspected = inspectNetwork(network, networks.endpointsOf(network.id), peers);
    return queryFlag(request.query, 'verbose') ? { ...inspected, Services: {} } : inspected;
  });

  app.post('/networks/create', async (request, reply) => {
    const network = await networks.create(request.body);
    return reply.code(201).send({ Id: network.id, Warning: '' });
  });

  app.delete('/networks/:id', async (request, reply) => {
    await networks.remove(pathId(request));
    return reply.code(204).send();
  });

  app.post('/networks/prune', async (request) => {
    const filters = parseFilters(queryText(request.query, 'filters'), ['label', 'label!', 'until']);
    const until = untilTimes(filters);
    const deleted: string[] = [];
    for (const network of networks.list()) {
      if (!isAddressed(network) || network.name === 'bridge' || networks.endpointsOf(network.id).length > 0)
        continue;
      if (!labelsMatch(filters, network.labels) || !until.every((time) => Date.parse(network.created) < time))
        continue;
      try {
        await networks.remove(network.id);
      } catch (error) {
        // A container of another host is on it.
        if (error instanceof EngineError && error.code === 'FORBIDDEN') continue;
        throw error;
      }
      deleted.push(network.name);
    }
    networks.publishPrune();
    return { NetworksDeleted: deleted.length > 0 ? deleted : null };
  });

  app.post('/networks/:id/connect', async (request) => {
    const { Container: ref, EndpointConfig: settings } = parse(connectBody, request.body);
    await connections.connect(ref, networks.resolve(pathId(request)), (settings ?? {}) as EndpointSettings);
  });

  app.post('/networks/:id/disconnect', async (request) => {
    // `Force` is for endpoints whose container is gone; there are none here, an endpoint goes with its container.
    const { Container: ref } = parse(disconnectBody, request.body);
    await connections.disconnect(ref, networks.resolve(pathId(request)));
  });

  app.get('/gangway/cluster', async () => networks.cluster.report());

  app.delete('/gangway/cluster/hosts/:id', async (request, reply) => {
    await networks.cluster.forget(pathId(request));
    return reply.code(204).send();
  });

  app.get('/gangway/ways/:id', async (request) => {
    const { endpoints } = connections.endpointsOf(pathId(request));
    const steps = endpoints.flatMap((endpoint) => {
      const network = networks.resolve(endpoint.networkId);
      if (network.driver !== 'bridge') return [];
      return endpoint.published.map((published) => explainPublishedPort(network, endpoint, published));
    });
    return { steps, text: steps.map(renderSteps).join('\n\n') };
  });
}
