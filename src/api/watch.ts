import type { FastifyInstance } from 'fastify';
import type { WatchEvent } from '../model/flow.ts';
import type { TrafficWatch } from '../observe/traffic-watch.ts';
import { type WatchFilter, wants } from '../observe/watch-filter.ts';
import { queryFlag, queryTexts } from './query.ts';
import { STANDING_HEADERS } from './version.ts';

/** A reader that is further behind gets a number in place of events. */
const MAX_BACKLOG = 1 << 20;

/**
 * `GET /gangway/watch?container=NAME&network=NAME&drops=1`: JSON lines (`WatchEvent`) until the client goes. Names are
 * looked up as events come, so a container that does not exist yet may be named.
 */
export function watchRoutes(app: FastifyInstance, traffic: TrafficWatch): void {
  app.get('/gangway/watch', (request, reply) => {
    const filter: WatchFilter = {
      containers: queryTexts(request.query, 'container').map((name) => name.replace(/^\//, '')),
      networks: queryTexts(request.query, 'network'),
      drops: queryFlag(request.query, 'drops'),
    };
    const now = (): string => new Date().toISOString();
    const out = reply.raw;
    let missed = 0;
    const lineOf = (event: WatchEvent): string => `${JSON.stringify(event)}\n`;
    /** What is told together is written together: of each write the reader gets a piece. */
    const write = (lines: readonly string[]): void => {
      if (out.writableLength > MAX_BACKLOG) {
        missed += lines.length;
        return;
      }
      const before = missed > 0 ? lineOf({ time: now(), kind: 'left-out', events: missed }) : '';
      missed = 0;
      const text = before + lines.join('');
      if (text !== '') out.write(text);
    };
    const { missing, stop } = traffic.watch({
      connections: !filter.drops,
      events: (events) => {
        const wanted = events.filter(({ event }) => wants(filter, event));
        if (wanted.length > 0) write(wanted.map(({ line }) => line));
      },
      leftOut: (events) => {
        missed += events;
        write([]);
      },
    });
    reply.hijack();
    out.on('close', stop);
    out.writeHead(200, { ...STANDING_HEADERS, 'Content-Type': 'application/x-ndjson' });
    out.flushHeaders();
    write(missing.map((what) => lineOf({ time: now(), kind: 'missing', what })));
  });
}
