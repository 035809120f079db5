import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { Execs } from '../engine/exec/execs.ts';
import { invalid } from '../model/errors.ts';
import { hijackRoute } from './hijack.ts';
import { pathId, queryNumber } from './query.ts';

const startBody = z.looseObject({
  Detach: z.boolean().nullish(),
  Tty: z.boolean().nullish(),
  ConsoleSize: z.tuple([z.number(), z.number()]).nullish(),
});

/** `docker exec` (docs.docker.com/reference/api/engine, "Exec"). */
export function execRoutes(app: FastifyInstance, execs: Execs): void {
  app.post('/containers/:id/exec', async (request, reply) => {
    const exec = execs.create(pathId(request), request.body);
    return reply.code(201).send({ Id: exec.id });
  });

  hijackRoute(app, 'POST', '/exec/:id/start', async ({ params, body, apiMinor, upgrade }) => {
    const exec = execs.get(params.id ?? '');
    const parsed = startBody.safeParse(body ?? {});
    if (!parsed.success) throw invalid(`invalid exec start: ${z.prettifyError(parsed.error)}`);
    const { Detach: detach, Tty: tty, ConsoleSize: consoleSize } = parsed.data;
    const options = { tty: tty ?? false, ...(consoleSize ? { consoleSize } : {}) };
    if (detach) {
      await execs.start(exec, undefined, options);
      return;
    }
    const multiplexed = !exec.config.Tty && apiMinor >= 42;
    const connect = () =>
      upgrade(
        multiplexed ? 'application/vnd.docker.multiplexed-stream' : 'application/vnd.docker.raw-stream',
      );
    await execs.start(exec, connect, options);
  });

  app.post('/exec/:id/resize', async (request, reply) => {
    const exec = execs.get(pathId(request));
    await execs.resize(exec, queryNumber(request.query, 'w') ?? 0, queryNumber(request.query, 'h') ?? 0);
    return reply.code(200).send();
  });

  app.get('/exec/:id/json', async (request) => {
    const exec = execs.get(pathId(request));
    const [entrypoint = '', ...args] = exec.config.Cmd ?? [];
    return {
      ID: exec.id,
      Running: exec.running,
      ExitCode: exec.exitCode,
      ProcessConfig: {
        tty: exec.config.Tty ?? false,
        entrypoint,
        arguments: args,
        privileged: exec.config.Privileged ?? false,
        ...(exec.config.User ? { user: exec.config.User } : {}),
      },
      OpenStdin: exec.config.AttachStdin ?? false,
      OpenStderr: exec.config.AttachStderr ?? false,
      OpenStdout: exec.config.AttachStdout ?? false,
      CanRemove: !exec.running,
      ContainerID: exec.containerId,
      DetachKeys: '',
      Pid: exec.pid,
    };
  });
}
