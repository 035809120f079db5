import { createServer, type Server, type ServerResponse } from 'node:http';
import type { LinkCounters, Topology, TopologyCounters } from '../../src/model/topology.ts';

/** `GET /gangway/…` of a daemon with as many containers as one likes, whose counters run. For the page, not for docker. */
export class StandInDaemon implements AsyncDisposable {
  topology: Topology;
  /** Bytes a second of every interface, by name. */
  rate: (link: string, index: number) => readonly [received: number, sent: number];
  why: (query: URLSearchParams) => { readonly status: number; readonly body: unknown } = () => ({
    status: 501,
    body: { message: 'not implemented' },
  });
  /** Undefined: this daemon has no `GET /gangway/watch`. */
  watchers: Set<ServerResponse> | undefined = new Set();
  readonly asked: string[] = [];
  readonly #started = Date.now();
  readonly #server: Server;

  private constructor(topology: Topology) {
    this.topology = topology;
    this.rate = () => [0, 0];
    this.#server = createServer((request, response) => {
      const url = new URL(request.url ?? '/', 'http://daemon');
      this.asked.push(request.url ?? '');
      const answer = (status: number, body: unknown): void => {
        response.writeHead(status, { 'content-type': 'application/json' });
        response.end(JSON.stringify(body));
      };
      switch (url.pathname) {
        case '/gangway/topology':
          answer(200, url.searchParams.has('counters') ? this.counters() : this.topology);
          return;
        case '/gangway/why': {
          const { status, body } = this.why(url.searchParams);
          answer(status, body);
          return;
        }
        case '/gangway/watch':
          if (this.watchers === undefined) break;
          response.writeHead(200, { 'content-type': 'application/json' });
          response.flushHeaders();
          this.watchers.add(response);
          response.on('close', () => this.watchers?.delete(response));
          return;
      }
      answer(404, { message: 'page not found' });
    });
  }

  static async listen(socketPath: string, topology: Topology): Promise<StandInDaemon> {
    const daemon = new StandInDaemon(topology);
    await new Promise<void>((resolve) => daemon.#server.listen(socketPath, resolve));
    return daemon;
  }

  tell(event: object): void {
    for (const watcher of this.watchers ?? []) watcher.write(`${JSON.stringify(event)}\n`);
  }

  counters(): TopologyCounters {
    const time = Date.now();
    const seconds = (time - this.#started) / 1000;
    const names = [
      ...this.topology.hosts.flatMap(({ uplinks }) => uplinks.map(({ ifName }) => ifName)),
      ...this.topology.networks.map(({ device }) => device),
      ...this.topology.endpoints.flatMap(({ hostIfName }) => hostIfName ?? []),
    ];
    const links: Record<string, LinkCounters> = {};
    for (const [i, name] of names.entries()) {
      const [received, sent] = this.rate(name, i);
      links[name] = [Math.round(received * seconds), Math.round(sent * seconds), 0, 0, 0];
    }
    return { time, revision: this.topology.revision, links, ports: {} };
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** `count` containers on `networks` networks, four of which are a project; every tenth is on two of them. */
export function largeTopology(count: number, networks: number): Topology {
  const project = (n: number): string => `project${Math.floor(n / 4) + 1}`;
  const nets: Topology['networks'] = Array.from({ length: networks }, (_, n) => ({
    id: `net${n}`,
    name: `${project(n)}_${['front', 'back', 'ops', 'edge'][n % 4]}`,
    driver: 'bridge',
    project: project(n),
    internal: n % 4 === 1,
    device: `br-${n.toString(16).padStart(12, '0')}`,
    mtu: 1500,
    icc: true,
    families: [
      {
        subnet: `10.${n}.0.0/16`,
        gateway: `10.${n}.0.1`,
        onBridge: true,
        gatewayMode: 'nat',
        egress: n % 4 === 1 ? 'none' : 'masquerade',
      },
    ],
    options: {},
  }));
  const containers: Topology['containers'] = Array.from({ length: count }, (_, n) => ({
    id: `c${n}`,
    name: `service-${n}`,
    image: 'busybox',
    state: n % 50 === 49 ? 'exited' : 'running',
    host: '',
    project: project(n % networks),
    service: `service-${n}`,
    mode: 'own',
    exposed: [],
    networks: [],
  }));
  const endpoint = (n: number, network: number, leg: number): Topology['endpoints'][number] => ({
    id: `e${n}-${leg}`,
    network: `net${network}`,
    container: `c${n}`,
    hostIfName: `veth${(n * 4 + leg).toString(16).padStart(7, '0')}`,
    ifName: `eth${leg}`,
    addresses: [`10.${network}.${Math.floor(n / 200)}.${(n % 200) + 2}/16`],
    mac: '02:42:00:00:00:02',
    gateway: leg === 0,
  });
  const running = containers.flatMap(({ state }, n) => (state === 'running' ? [n] : []));
  const endpoints = running.flatMap((n) => [
    endpoint(n, n % networks, 0),
    ...(n % 10 === 0 && networks > 1 ? [endpoint(n, (n + 1) % networks, 1)] : []),
  ]);
  const ports: Topology['ports'] = running
    .filter((n) => n % 15 === 2)
    .map((n) => ({
      id: `tcp 0.0.0.0 ${8000 + n}`,
      protocol: 'tcp',
      hostIp: '0.0.0.0',
      first: 8000 + n,
      last: 8000 + n,
      container: `c${n}`,
      endpoint: `e${n}-0`,
      address: `10.${n % networks}.0.2`,
      containerPort: 80,
    }));
  const uplink = {
    ifName: 'up0',
    mtu: 1500,
    addresses: ['198.51.100.1/24'],
    gateways: ['198.51.100.2'],
  };
  return {
    revision: `large-${count}-${networks}`,
    hosts: [{ id: '', name: 'large', own: true, alive: true, uplinks: [uplink] }],
    networks: nets,
    containers,
    endpoints,
    ports,
  };
}
