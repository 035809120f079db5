import type { EventMessage } from '@docker/node-sdk';
import type { FastifyInstance } from 'fastify';
import type { EventBus } from '../engine/events.ts';
import { invalid } from '../model/errors.ts';
import { eventFilter } from './event-filter.ts';
import { parseTime } from './time-query.ts';
import { STANDING_HEADERS } from './version.ts';

interface Query {
  readonly since?: string;
  readonly until?: string;
  readonly filters?: string;
}

/** A reader that lets as much pile up is gone for all that matters. */
const MAX_BACKLOG = 4 << 20;
/** setTimeout's range is 2^31-1 ms. */
const MAX_TIMER = 2 ** 31 - 1;

export function eventRoutes(app: FastifyInstance, bus: EventBus): void {
  app.get<{ Querystring: Query }>('/events', (request, reply) => {
    const now = Date.now();
    const { since: sinceText, until: untilText } = request.query;
    const since = parseTime(sinceText, now);
    const until = parseTime(untilText, now);
    if (since !== undefined && until !== undefined && since > until) {
      throw invalid(`\`since\` time (${sinceText}) cannot be after \`until\` time (${untilText})`);
    }
    const wants = eventFilter(request.query.filters);
    const nowNs = BigInt(now) * 1_000_000n;

    reply.hijack();
    const out = reply.raw;
    out.writeHead(200, { ...STANDING_HEADERS, 'Content-Type': 'application/json' });
    out.flushHeaders();
    const send = (event: EventMessage): void => {
      if (!wants(event)) return;
      out.write(`${JSON.stringify(event)}\n`);
      if (out.writableLength > MAX_BACKLOG) out.destroy();
    };
    if (since !== undefined || until !== undefined) {
      for (const event of bus.history()) {
        const at = BigInt(event.timeNano ?? 0);
        if ((since === undefined || at >= since) && (until === undefined || at <= until)) send(event);
      }
    }
    if (until !== undefined && until <= nowNs) return void out.end();
    const unsubscribe = bus.subscribe(send);
    const left = until === undefined ? MAX_TIMER : Number((until - nowNs) / 1_000_000n);
    const timer = left < MAX_TIMER ? setTimeout(() => out.end(), left) : undefined;
    out.on('close', () => {
      unsubscribe();
      clearTimeout(timer);
    });
  });
}
