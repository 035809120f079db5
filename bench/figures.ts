import { background, must } from '../test/e2e/process.ts';
import { CHECKOUT, type Contestant, HOST } from './contestant.ts';
import { median } from './median.ts';

export const milliseconds = async (body: () => Promise<unknown>): Promise<number> => {
  const begin = performance.now();
  await body();
  return performance.now() - begin;
};

/** Half the distance between the quartiles, as a share of the median: how much a figure of this run can be trusted. */
export function spread(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN;
  return (at(0.75) - at(0.25)) / 2 / median(values);
}

export const runTrue = (engine: Contestant): Promise<number> =>
  milliseconds(() => engine.dockerOk('run', '--rm', 'busybox', 'true'));

export const runPublished = (engine: Contestant): Promise<number> =>
  milliseconds(() => engine.dockerOk('run', '--rm', '-p', '8080:80', 'busybox', 'true'));

/** Milliseconds to start a container that publishes `count` ports, and the engine's processes more than before. */
export async function publishRange(
  engine: Contestant,
  count: number,
): Promise<{ readonly time: number; readonly processes: number }> {
  const before = engine.processes().length;
  const range = count === 1 ? '20000' : `20000-${20000 + count - 1}`;
  const time = await milliseconds(() =>
    engine.dockerOk('run', '-d', '--name', 'range', '-p', `${range}:${range}`, 'busybox', 'sleep', '1000'),
  );
  const processes = engine.processes().length - before;
  await engine.dockerOk('rm', '-f', 'range');
  return { time, processes };
}

/** Bytes (PSS) of engine processes that one more container costs, its own process not counted. */
export async function memoryPerContainer(engine: Contestant, count: number): Promise<number> {
  const before = engine.memory().pss;
  const names = Array.from({ length: count }, (_, index) => `many-${index}`);
  for (const name of names) await engine.dockerOk('run', '-d', '--name', name, 'busybox', 'sleep', '1000');
  await new Promise((resolve) => setTimeout(resolve, 3000));
  const after = engine.memory().pss;
  await engine.dockerOk('rm', '-f', ...names);
  return (after - before) / count;
}

/** Serves load in a container behind published ports; returns how to measure, and how to end it. */
export async function startLoad(engine: Contestant): Promise<{
  readonly connections: (seconds: number) => Promise<number>;
  readonly gigabits: (seconds: number) => Promise<number>;
  readonly end: () => Promise<void>;
}> {
  await engine.dockerOk(
    'run',
    '-d',
    '--name',
    'load',
    '-p',
    '9000-9001:9000-9001',
    'busybox',
    'sleep',
    '1000',
  );
  const pid = Number(await engine.dockerOk('inspect', '-f', '{{.State.Pid}}', 'load'));
  const program = [process.execPath, `${CHECKOUT}bench/load.ts`];
  const server = await background([...engine.inside(pid), ...program, 'serve', '9000'], 'SERVING');
  const client = async (verb: string, port: number, seconds: number): Promise<number> =>
    Number(await must([...engine.inside('outside'), ...program, verb, HOST, String(port), String(seconds)]));
  return {
    connections: (seconds) => client('connections', 9000, seconds),
    gigabits: (seconds) => client('stream', 9001, seconds),
    end: async () => {
      server.kill('SIGKILL');
      await engine.dockerOk('rm', '-f', 'load');
    },
  };
}
