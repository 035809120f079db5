import { availableParallelism, loadavg } from 'node:os';
import { clusterFigures } from './cluster.ts';
import { Contestant } from './contestant.ts';
import { endpointCost } from './endpoint.ts';
import * as figures from './figures.ts';
import { median } from './median.ts';
import { startNames } from './names.ts';
import { createRemove, startConnecting } from './networks.ts';
import { type StartUp, startCrowd } from './startup.ts';

/** `npm run bench`: Gangway beside the reference engines, interleaved, in under ten minutes. */
const ROUNDS = Number(process.env.ROUNDS ?? 15);
/** dockerd runs two processes for every port: a thousand would eat gigabytes. */
const RANGE = { gangway: 1000, dockerd: 200, podman: 200 } as const;

if (process.getuid?.() !== 0) {
  console.error('The bench makes network namespaces: sudo npm run bench');
  process.exit(1);
}

/** ONLY=networks,names,startup,basics chooses among the figures; ONLY=cluster is another bench, without containers. */
const only = process.env.ONLY?.split(',');
if (only?.includes('cluster')) {
  await clusterFigures();
  if (only.length === 1) process.exit();
}

/** ENGINES=gangway,dockerd chooses among those there are. */
const chosen = process.env.ENGINES?.split(',');
const names = Contestant.available().filter((name) => chosen?.includes(name) ?? true);
if (names.length === 1) console.log('No reference engines here (PEERS_DIR): Gangway alone is measured.\n');
const engines = names.map((name) => new Contestant(name));
const wants = (part: string): boolean => only?.includes(part) ?? true;
/** The largest spread so far. */
let noise = 0;
const progress = (text: string): void => {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
};

/** One figure of every engine, taken in turn `rounds` times, so that a noisy moment hits all alike. */
async function interleaved(
  what: string,
  rounds: number,
  measure: (engine: Contestant) => Promise<number>,
): Promise<number[][]> {
  const values: number[][] = engines.map(() => []);
  for (let round = 0; round < rounds; round++) {
    progress(`${what}: ${round + 1} of ${rounds}`);
    for (const [index, engine] of engines.entries()) values[index]?.push(await measure(engine));
  }
  progress('');
  return values;
}

const COLUMN = 11;
function row(what: string, values: readonly number[], unit: string, digits = 0): void {
  const cells = values.map((value) => `${value.toFixed(digits)}${unit}`.padStart(COLUMN));
  const [own = Number.NaN] = values;
  const dockerd = values[names.indexOf('dockerd')];
  const ratio = dockerd === undefined ? '' : (own / dockerd).toFixed(2).padStart(COLUMN);
  console.log(`${what.padEnd(32)}${cells.join('')}${ratio}`);
}

async function basics(): Promise<void> {
  const plain = await interleaved('run', ROUNDS, figures.runTrue);
  row('docker run --rm busybox true', plain.map(median), ' ms');
  noise = Math.max(noise, ...plain.map(figures.spread));
  const published = await interleaved('run -p', ROUNDS, figures.runPublished);
  row('the same with -p 8080:80', published.map(median), ' ms');

  const one = await interleaved(
    'one port',
    5,
    async (engine) => (await figures.publishRange(engine, 1)).time,
  );
  const processes: number[] = [];
  const many = await interleaved('a range of ports', 3, async (engine) => {
    const result = await figures.publishRange(engine, RANGE[engine.name as keyof typeof RANGE]);
    processes[engines.indexOf(engine)] = result.processes;
    return result.time;
  });
  row(
    'a range of ports, beyond one',
    many.map((values, index) => median(values) - median(one[index] ?? [])),
    ' ms',
  );
  row('  processes for it', processes, '');
  console.log(`  (${names.map((name) => `${name} ${RANGE[name]} ports`).join(', ')})`);

  await new Promise((resolve) => setTimeout(resolve, 3000));
  const memories = engines.map((engine) => engine.memory());
  const mebi = 1024 * 1024;
  row(
    'idle memory, RSS',
    memories.map((memory) => memory.rss / mebi),
    ' MB',
  );
  row(
    'idle memory, PSS',
    memories.map((memory) => memory.pss / mebi),
    ' MB',
  );
  const perContainer: number[] = [];
  for (const engine of engines) {
    progress(`memory of ${engine.name}`);
    perContainer.push((await figures.memoryPerContainer(engine, 10)) / mebi);
  }
  progress('');
  row('a container more (of 10), PSS', perContainer, ' MB', 1);

  const loads = await Promise.all(engines.map((engine) => figures.startLoad(engine)));
  const connections = await interleaved(
    'connections',
    7,
    async (engine) => (await loads[engines.indexOf(engine)]?.connections(2)) ?? Number.NaN,
  );
  row('connections/s, published port', connections.map(median), '');
  const gigabits = await interleaved(
    'throughput',
    7,
    async (engine) => (await loads[engines.indexOf(engine)]?.gigabits(2)) ?? Number.NaN,
  );
  row('Gbit/s, published port', gigabits.map(median), '', 1);
  for (const load of loads) await load.end();
}

/** Through the API: the start of the docker command is no network's time. */
async function networkFigures(): Promise<void> {
  const made = await interleaved('network create', ROUNDS, createRemove);
  row('network create + rm', made.map(median), ' ms', 1);
  const joining = await Promise.all(engines.map((engine) => startConnecting(engine)));
  const joined = await interleaved(
    'network connect',
    ROUNDS,
    async (engine) => (await joining[engines.indexOf(engine)]?.connectDisconnect()) ?? Number.NaN,
  );
  row('network connect + disconnect', joined.map(median), ' ms', 1);
  for (const each of joining) await each.end();
  noise = Math.max(noise, ...made.map(figures.spread), ...joined.map(figures.spread));
}

async function nameFigures(): Promise<void> {
  const loads = await Promise.all(engines.map((engine) => startNames(engine)));
  const of = (engine: Contestant) => {
    const load = loads[engines.indexOf(engine)];
    if (load === undefined) throw new Error(`no names of ${engine.name}`);
    return load;
  };
  const work: number[][] = engines.map(() => []);
  const asked = await interleaved('names', ROUNDS, async (engine) => {
    const before = engine.processorTime();
    const rate = await of(engine).rate(2);
    work[engines.indexOf(engine)]?.push((engine.processorTime() - before) / (2 * rate));
    return rate;
  });
  const rates = asked.map(median);
  row('answers/s of the embedded DNS', rates, '');
  row('  processor time of each', work.map(median), ' µs', 1);
  noise = Math.max(noise, ...asked.map(figures.spread));
  const lost = engines.map(() => 0);
  const bare: number[][] = engines.map(() => []);
  const late = await interleaved('latency of names', ROUNDS, async (engine) => {
    const at = engines.indexOf(engine);
    const half = (rates[at] ?? 0) / 2;
    bare[at]?.push((await of(engine).latency(1, half, true)).p99 / 1000);
    const { p99, lost: missed } = await of(engine).latency(1, half, false);
    lost[at] = (lost[at] ?? 0) + missed;
    return p99 / 1000;
  });
  row('  p99 at half of that', late.map(median), ' ms', 2);
  row('  p99 of an echo at that rate', bare.map(median), ' ms', 2);
  const best = (values: readonly number[][]) => values.map((each) => Math.min(...each));
  row('  p99, best second', best(late), ' ms', 2);
  row('  of the echo, best second', best(bare), ' ms', 2);
  row('  lost, warming up too', lost, '');
  for (const load of loads) await load.end();
}

async function startUpFigures(): Promise<void> {
  const crowds: (Awaited<ReturnType<typeof startCrowd>> | undefined)[] = [];
  const columns: StartUp[][] = engines.map(() => []);
  try {
    for (const name of names) {
      progress(`200 containers of ${name}`);
      crowds.push(name === 'podman' ? undefined : await startCrowd(name));
    }
    for (let round = 0; round < 5; round++) {
      progress(`killed and started: ${round + 1} of 5`);
      for (const [index, crowd] of crowds.entries()) {
        // dockerd takes the better part of a minute.
        if (crowd !== undefined && (index === 0 || round === 0))
          columns[index]?.push(await crowd.killAndStart());
      }
    }
  } finally {
    for (const crowd of crowds) await crowd?.end();
  }
  progress('');
  const each = (field: 'time' | 'longest') => columns.map((runs) => median(runs.map((run) => run[field])));
  const sum = (field: 'answered' | 'failed' | 'again') =>
    columns.map((runs) => runs.reduce((total, run) => total + run[field], 0));
  row('kill -9 to ready, 200 containers', each('time'), ' ms');
  row('  longest request meanwhile', each('longest'), ' ms', 1);
  row('  requests answered', sum('answered'), '');
  row('  requests failed', sum('failed'), '');
  row('  TCP segments sent again', sum('again'), '');
}

try {
  for (const engine of engines) {
    progress(`starting ${engine.name}`);
    await engine.start();
    await figures.runTrue(engine);
  }
  const heading = [...names, ...(names.includes('dockerd') ? ['to dockerd'] : [])];
  progress('');
  console.log(`${''.padEnd(32)}${heading.map((name) => name.padStart(COLUMN)).join('')}`);

  if (wants('basics')) await basics();
  if (wants('networks')) await networkFigures();
  if (wants('names')) await nameFigures();
  if (wants('startup')) await startUpFigures();

  const cost = await endpointCost();
  console.log(`\nGangway's own network work, ${cost}.`);
  console.log(
    `Medians of up to ${ROUNDS} interleaved rounds on ${availableParallelism()} cores; half the quartile distance of ` +
      `one is up to ${(noise * 100).toFixed(0)} %;\nload average ${loadavg()[0]?.toFixed(1)}.`,
  );
} finally {
  for (const engine of engines) await engine.stop();
}
