import type { Readable } from 'node:stream';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { isRunning } from '../engine/container/container.ts';
import type { Lifecycle } from '../engine/container/lifecycle.ts';
import { conflict, invalid, system } from '../model/errors.ts';
import { JsonFileLog } from '../runtime/log/json-file-log.ts';
import { readLogs } from '../runtime/log/log-reader.ts';
import { parseDetachKeys } from '../runtime/stream/detach-keys.ts';
import { hijackRoute } from './hijack.ts';
import { pathId, queryFlag, queryText } from './query.ts';
import { parseTime } from './time-query.ts';

/** Clients send `0` for none. @throws EngineError INVALID_PARAMETER */
function momentOf(request: FastifyRequest, key: 'since' | 'until'): bigint | undefined {
  const text = queryText(request.query, key);
  return text === '0' ? undefined : parseTime(text);
}

const RAW = 'application/vnd.docker.raw-stream';
const MULTIPLEXED = 'application/vnd.docker.multiplexed-stream';
/** Since 1.42 clients are told which of the two framings they get. */
const TOLD_FRAMING = 42;

/** Logs and attached streams of containers. */
export function containerStreamRoutes(app: FastifyInstance, lifecycle: Lifecycle): void {
  const { containers } = lifecycle;

  app.get('/containers/:id/logs', async (request, reply) => {
    const container = containers.lookUp(pathId(request));
    const flag = (key: string): boolean => queryFlag(request.query, key);
    if (!flag('stdout') && !flag('stderr'))
      throw invalid('Bad parameters: you must choose at least one stream');
    if (container.hostConfig.LogConfig?.Type === 'none') {
      throw system('configured logging driver does not support reading');
    }
    const tail = queryText(request.query, 'tail');
    const since = momentOf(request, 'since');
    const until = momentOf(request, 'until');
    const log = lifecycle.streams.log(container.id);
    const terminal = container.config.Tty ?? false;
    const lines = readLogs({
      path: containers.logPath(container.id),
      stdout: flag('stdout'),
      stderr: flag('stderr'),
      timestamps: flag('timestamps'),
      details: flag('details'),
      framing: terminal ? 'raw' : 'multiplexed',
      ...(since === undefined ? {} : { since }),
      ...(until === undefined ? {} : { until }),
      // Everything that is no number means all, as for dockerd.
      ...(tail !== undefined && /^\d+$/.test(tail) ? { tail: Number(tail) } : {}),
      ...(flag('follow') && log instanceof JsonFileLog ? { follow: log } : {}),
    });
    reply.raw.once('close', () => lines.destroy());
    reply.type(!terminal && request.apiMinor >= TOLD_FRAMING ? MULTIPLEXED : RAW).send(lines);
    reply.raw.flushHeaders();
    return reply;
  });

  hijackRoute(app, 'POST', '/containers/:id/attach', async ({ params, query, apiMinor, upgrade }) => {
    const container = containers.lookUp(params.id ?? '');
    const flag = (key: string): boolean => queryFlag(query, key);
    const detachKeys = parseDetachKeys(query.detachKeys ?? '');
    if (container.state.status === 'paused') {
      throw conflict(`container ${params.id} is paused, unpause the container before attach`);
    }
    if (container.state.status === 'restarting') {
      throw conflict(`container ${params.id} is restarting, wait until the container is running`);
    }
    const terminal = container.config.Tty ?? false;
    const framing = terminal ? 'raw' : 'multiplexed';
    const live = isRunning(container) || ['created', 'exited'].includes(container.state.status);
    const streams = flag('stream') && live ? lifecycle.streams.open(container) : undefined;
    const connection = upgrade(!terminal && apiMinor >= TOLD_FRAMING ? MULTIPLEXED : RAW);
    if (flag('logs')) {
      const past = readLogs({
        path: containers.logPath(container.id),
        stdout: flag('stdout'),
        stderr: flag('stderr'),
        timestamps: false,
        details: false,
        framing,
      });
      for await (const chunk of past) connection.write(chunk as Buffer);
    }
    if (streams === undefined) {
      connection.end();
      return;
    }
    containers.publish(container, 'attach');
    const wantsInput = flag('stdin') && (container.config.OpenStdin ?? false);
    if (!wantsInput) connection.resume();
    streams.attach({
      ...(wantsInput ? { stdin: connection as unknown as Readable } : {}),
      output: connection,
      stdout: flag('stdout'),
      stderr: flag('stderr'),
      framing,
      detachKeys,
      onDetach: () => {
        containers.publish(container, 'detach');
        connection.end();
      },
    });
  });
}
