import type { FastifyInstance } from 'fastify';
import type { TopologyReader } from '../engine/topology.ts';
import { queryFlag } from './query.ts';

/** What `gangway topology` and the page draw. `?counters=1`: only what changes all the time, and the revision. */
export function topologyRoutes(app: FastifyInstance, reader: TopologyReader): void {
  app.get('/gangway/topology', async (request) =>
    queryFlag(request.query, 'counters') ? reader.counters() : reader.read(),
  );
}
