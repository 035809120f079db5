import { type ChildProcess, fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Etcd } from '../test/cluster/store.ts';
import type { Order, Report, Usage } from './cluster-hosts.ts';
import { BIG, HOSTS, partsOf, sizes } from './cluster-layout.ts';
import { median } from './median.ts';

const PROCESSES = 4;
const ROUNDS = 50;
const MEBI = 1024 * 1024;

/** Simulated hosts in a process of their own. */
class Hosts {
  readonly #child: ChildProcess;
  readonly #waiting: {
    readonly resolve: (usage: Usage) => void;
    readonly reject: (error: Error) => void;
  }[] = [];
  readonly first: number;
  readonly count: number;

  constructor(first: number, count: number, heard: (endpoint: string, at: bigint) => void) {
    this.first = first;
    this.count = count;
    this.#child = fork(new URL('cluster-hosts.ts', import.meta.url), {
      serialization: 'advanced',
      execArgv: ['--expose-gc', '--max-old-space-size=6000', '--disable-warning=ExperimentalWarning'],
    });
    this.#child.on('message', (report: Report) => {
      if (report.kind === 'heard') heard(report.endpoint, report.at);
      else this.#waiting.shift()?.resolve(report.usage);
    });
    this.#child.on('exit', () => {
      const error = new Error('a process of simulated hosts ended');
      for (const { reject } of this.#waiting.splice(0)) reject(error);
    });
  }

  /** One after the other. */
  order(order: Order): Promise<Usage> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#child.send(order);
    });
  }

  end(): void {
    this.#child.kill('SIGKILL');
  }
}

/** Who has heard of an endpoint, and when. */
class Hearing {
  readonly #waited = new Map<string, { readonly missing: () => void; readonly times: bigint[] }>();

  heard(endpoint: string, at: bigint): void {
    const waiting = this.#waited.get(endpoint);
    if (waiting === undefined) return;
    waiting.times.push(at);
    waiting.missing();
  }

  /** When each of `hosts` others had heard. */
  async all(endpoint: string, hosts: number): Promise<readonly bigint[]> {
    const times: bigint[] = [];
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`${endpoint}: ${times.length} of ${hosts} heard`)),
        60_000,
      );
      const missing = (): void => {
        if (times.length < hosts) return;
        clearTimeout(timer);
        resolve();
      };
      this.#waited.set(endpoint, { missing, times });
    });
    this.#waited.delete(endpoint);
    return times;
  }
}

const seconds = (begin: number): string => `${((performance.now() - begin) / 1000).toFixed(1)} s`;
const quantile = (values: readonly number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.floor(share * (values.length - 1))] ?? Number.NaN;
const row = (what: string, value: string): void => console.log(`${what.padEnd(58)}${value}`);

/** What etcd has used so far: processor seconds, and its memory now in bytes. */
function etcdUsage(pid: number): { readonly cpu: number; readonly rss: number } {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  const ticks = Number(fields[11]) + Number(fields[12]);
  return { cpu: ticks / 100, rss: Number(fields[21]) * 4096 };
}

/** 1,000 hosts with 50,000 endpoints on a real etcd; the hosts are real but for their kernel. Prints what it took. */
export async function clusterFigures(): Promise<void> {
  const etcd = new Etcd();
  const hearing = new Hearing();
  const groups: Hosts[] = [];
  const group = (first: number, count: number): Hosts => {
    const made = new Hosts(first, count, (endpoint, at) => hearing.heard(endpoint, at));
    groups.push(made);
    return made;
  };
  try {
    await etcd.start();
    const [store = ''] = etcd.hosts;
    const [pid = 0] = etcd.pids;
    const reader = etcd.client({ prefix: 'bench' });
    const revision = async (): Promise<number> => Number((await reader.list('none/')).revision);
    const count = Math.ceil(HOSTS / PROCESSES);
    for (let first = 0; first < HOSTS; first += count) group(first, Math.min(count, HOSTS - first));
    const everybody = (order: Order): Promise<readonly Usage[]> =>
      Promise.all(groups.map((each) => each.order(order)));

    let begun = performance.now();
    await Promise.all(
      groups.map(({ first, count }, i) => groups[i]?.order({ do: 'begin', first, count, store })),
    );
    row(`${HOSTS} hosts join, one after the other or together`, seconds(begun));
    await groups[0]?.order({ do: 'networks' });

    begun = performance.now();
    let before = await revision();
    await everybody({ do: 'publish' });
    const whole = [...sizes().values()].reduce((total, { endpoints }) => total + endpoints, 0);
    const rate = (whole / (performance.now() - begun)) * 1000;
    row(`${whole} containers start in one moment`, `${seconds(begun)}, ${rate.toFixed(0)} a second`);
    row('  etcd writes a start', (((await revision()) - before) / whole).toFixed(2));

    begun = performance.now();
    await everybody({ do: 'join' });
    row('all hosts take up all endpoints of their networks', seconds(begun));
    const used = await everybody({ do: 'usage' });
    const rss = used.reduce((total, each) => total + each.rss, 0) / HOSTS;
    row('  memory of one host, its network stack left out', `${(rss / MEBI).toFixed(1)} MB`);
    const etcdNow = etcdUsage(pid);
    row('etcd', `${(etcdNow.rss / MEBI).toFixed(0)} MB, its file ${(etcd.size() / MEBI).toFixed(0)} MB`);

    const homeOf = (host: number): Hosts | undefined =>
      groups.find(({ first, count: size }) => host >= first && host < first + size);
    for (const kind of ['of about 1,000', 'of 5,000'] as const) {
      const until: number[] = [];
      const each: number[] = [];
      before = await revision();
      for (let round = 0; round < ROUNDS; round++) {
        const host = (kind === 'of 5,000' ? round * 4 : round * 13) % HOSTS;
        const network = kind === 'of 5,000' ? BIG : (partsOf(host)[0]?.network ?? '');
        const number = 60_000 + (kind === 'of 5,000' ? ROUNDS : 0) + round;
        const others = (sizes().get(network)?.hosts ?? 0) - 1;
        const heard = hearing.all(`endpoint-${number}`, others);
        const at = process.hrtime.bigint();
        await homeOf(host)?.order({ do: 'start', host, network, number });
        const times = (await heard).map((time) => Number(time - at) / 1e6);
        each.push(...times);
        until.push(Math.max(...times));
      }
      row(
        `a new container on a network ${kind}: known on one`,
        `${median(each).toFixed(0)} ms, p99 ${quantile(each, 0.99).toFixed(0)} ms`,
      );
      row(
        '  on all hosts of the network',
        `${median(until).toFixed(0)} ms, longest ${Math.max(...until).toFixed(0)} ms`,
      );
      row('  etcd writes a start', (((await revision()) - before) / ROUNDS).toFixed(2));
    }

    await joining(group(HOSTS, 1), store);
    reader.close();
  } finally {
    for (const each of groups) each.end();
    await etcd.remove();
  }
}

/** One host more, by itself in its process. */
async function joining(one: Hosts, store: string): Promise<void> {
  const empty = await one.order({ do: 'usage' });
  const begun = performance.now();
  await one.order({ do: 'begin', first: HOSTS, count: 1, store });
  await one.order({ do: 'join' });
  const ready = performance.now() - begun;
  const full = await one.order({ do: 'usage' });
  const known = partsOf(HOSTS).map(({ network }) => sizes().get(network)?.endpoints ?? 0);
  row('a host joins and is ready', `${ready.toFixed(0)} ms (${known.join(' + ')} endpoints)`);
  row('  its processor time for that', `${((full.cpu - empty.cpu) * 1000).toFixed(0)} ms`);
  row(
    '  its mirrors in memory',
    `${((full.heap - empty.heap) / MEBI).toFixed(1)} MB of JavaScript, ${((full.rss - empty.rss) / MEBI).toFixed(1)} MB of RSS`,
  );
}
