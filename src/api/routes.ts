import type { FastifyInstance } from 'fastify';
import { ContainerConnections } from '../engine/container/connections.ts';
import { Archive } from '../engine/container/files/archive.ts';
import { Doctor } from '../engine/doctor/doctor.ts';
import type { Parts } from '../engine/parts.ts';
import { TopologyReader } from '../engine/topology.ts';
import { containerArchiveRoutes } from './container-archive.ts';
import { containerLifecycleRoutes } from './container-lifecycle.ts';
import { containerReadRoutes } from './container-read.ts';
import { containerStatsRoutes } from './container-stats.ts';
import { containerStreamRoutes } from './container-stream.ts';
import { distributionRoutes } from './distribution.ts';
import { doctorRoutes } from './doctor.ts';
import { eventRoutes } from './events.ts';
import { execRoutes } from './exec.ts';
import { imageRoutes } from './images.ts';
import { networkRoutes } from './networks.ts';
import { type SystemSources, systemRoutes } from './system.ts';
import { topologyRoutes } from './topology.ts';
import { unsupportedRoutes } from './unsupported.ts';
import { volumeRoutes } from './volumes.ts';
import { watchRoutes } from './watch.ts';
import { whyRoutes } from './why.ts';

/** Every route of the API. */
export function routes(app: FastifyInstance, parts: Parts, system: SystemSources): void {
  systemRoutes(app, system);
  eventRoutes(app, parts.events);
  imageRoutes(app, parts.images);
  distributionRoutes(app, parts.images);
  containerReadRoutes(app, parts.lifecycle, parts.execs);
  containerLifecycleRoutes(app, parts.lifecycle);
  containerStreamRoutes(app, parts.lifecycle);
  containerStatsRoutes(app, parts.containers);
  containerArchiveRoutes(app, new Archive(parts.containers));
  execRoutes(app, parts.execs);
  volumeRoutes(app, parts.containers.volumes);
  networkRoutes(app, parts.networking, new ContainerConnections(parts.lifecycle));
  watchRoutes(app, parts.traffic);
  topologyRoutes(app, new TopologyReader(parts));
  whyRoutes(app, parts);
  doctorRoutes(app, new Doctor(parts));
  unsupportedRoutes(app);
}
