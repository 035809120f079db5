import { pino } from 'pino';
import { Cluster } from '../src/cluster/cluster.ts';
import { ClusterStore } from '../src/cluster/cluster-store.ts';
import { Store } from '../src/engine/store.ts';
import type { Ip } from '../src/model/address.ts';
import { endpoint, spec } from '../test/cluster/store.ts';
import { networks, partsOf, sizes } from './cluster-layout.ts';

/** Some of the simulated hosts, in a process of their own; told what to do by its parent. */
export type Order =
  | { readonly do: 'begin'; readonly first: number; readonly count: number; readonly store: string }
  | { readonly do: 'networks' | 'publish' | 'join' | 'leave' | 'usage' }
  /** A container starts, or ends, on this host. */
  | {
      readonly do: 'start' | 'end';
      readonly host: number;
      readonly network: string;
      readonly number: number;
    };

export type Report =
  | { readonly kind: 'done'; readonly usage: Usage }
  /** A host has heard of an endpoint; `at` in nanoseconds of the machine's monotonic clock. */
  | { readonly kind: 'heard'; readonly endpoint: string; readonly at: bigint };

export interface Usage {
  /** Of the process so far, in seconds. */
  readonly cpu: number;
  /** Bytes. */
  readonly rss: number;
  readonly heap: number;
}

const log = pino({ level: 'silent' });
const clusters = new Map<number, Cluster>();
/** Endpoints that are waited for everywhere. */
let measuring = false;

function tell(report: Report): void {
  process.send?.(report);
}

function usage(collected: boolean): Usage {
  // What is no more of use is not counted.
  if (collected) globalThis.gc?.();
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed } = process.memoryUsage();
  return { cpu: (user + system) / 1e6, rss, heap: heapUsed };
}

async function until(what: string, probe: () => boolean): Promise<void> {
  const end = Date.now() + 300_000;
  while (!probe()) {
    if (Date.now() > end) throw new Error(`waited 300 s in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const all = (probe: (cluster: Cluster, host: number) => boolean): boolean =>
  [...clusters].every(([host, cluster]) => probe(cluster, host));

function begin(host: number, store: string): void {
  const cluster = new Cluster({
    remote: new ClusterStore({ hosts: [store], prefix: 'bench' }, log),
    local: new Store(':memory:'),
    node: { id: `node-${host}`, name: `host${host}`, address: `192.0.2.${host % 250}` as Ip },
    log,
  });
  clusters.set(host, cluster);
  cluster.start({
    networkCame() {},
    networkWent() {},
    blockLost() {},
    remotesChanged(_, endpointIds) {
      if (!measuring || endpointIds === 'any') return;
      const at = process.hrtime.bigint();
      for (const id of endpointIds) tell({ kind: 'heard', endpoint: id, at });
    },
  });
}

/** A few at a time: a process that is a hundred hosts is late for all of them. */
async function inWaves(
  hosts: readonly number[],
  size: number,
  act: (host: number) => void,
  done: (host: number) => boolean,
): Promise<void> {
  for (let i = 0; i < hosts.length; i += size) {
    const wave = hosts.slice(i, i + size);
    for (const host of wave) act(host);
    await until('simulated hosts', () => wave.every(done));
  }
}

async function carryOut(order: Order): Promise<void> {
  switch (order.do) {
    case 'begin':
      return inWaves(
        Array.from({ length: order.count }, (_, i) => order.first + i),
        20,
        (host) => begin(host, order.store),
        (host) => clusters.get(host)?.status().state === 'connected',
      );
    case 'networks': {
      const [[, first] = []] = clusters;
      for (const [i, name] of networks().entries()) {
        await first?.createNetwork(name, (_, vni) => spec(name, name, `10.${i}.0.0/16`, vni));
      }
      return;
    }
    case 'publish':
      for (const [host, cluster] of clusters) {
        let number = host * 100;
        for (const { network, endpoints } of partsOf(host)) {
          for (let i = 0; i < endpoints; i++) cluster.publish(endpoint(network, number++));
        }
      }
      return until('the endpoints to be written', () => all((each) => each.status().waiting === 0));
    case 'join': {
      const whole = sizes();
      await inWaves(
        [...clusters.keys()],
        5,
        (host) => {
          for (const { network } of partsOf(host)) clusters.get(host)?.join(network);
        },
        (host) =>
          partsOf(host).every(({ network, endpoints }) => {
            const others = (whole.get(network)?.endpoints ?? 0) - endpoints;
            return (clusters.get(host)?.remotes(network).length ?? 0) >= others;
          }),
      );
      measuring = true;
      return;
    }
    case 'leave':
      for (const cluster of clusters.values()) cluster.close();
      return;
    case 'start':
      clusters.get(order.host)?.publish(endpoint(order.network, order.number));
      return;
    case 'end':
      clusters.get(order.host)?.withdraw(order.network, `endpoint-${order.number}`);
      return;
    case 'usage':
  }
}

process.on('message', (order: Order) => {
  carryOut(order).then(
    () => tell({ kind: 'done', usage: usage(order.do === 'usage') }),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});
