import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import type { ClusterListener } from '../../src/cluster/changes.ts';
import { Cluster } from '../../src/cluster/cluster.ts';
import { ClusterStore } from '../../src/cluster/cluster-store.ts';
import type { ClusterStoreConfig } from '../../src/cluster/store-members.ts';
import { Store } from '../../src/engine/store.ts';
import type { Ip, Ipv4, Ipv6, Mac, Prefix } from '../../src/model/address.ts';
import { parsePrefix } from '../../src/model/address.ts';
import type { OverlaySpec, OverlaySubnet, RemoteEndpoint } from '../../src/model/overlay.ts';
import { CACHE } from '../e2e/engine-under-test.ts';

const log = pino({ level: 'silent' });

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

export interface EtcdOptions {
  readonly members?: number;
  /** Files of a server certificate for 127.0.0.1, and of who signs clients. */
  readonly tls?: { readonly ca: string; readonly cert: string; readonly key: string };
}

/** A real etcd on loopback, of one member or more. */
export class Etcd {
  readonly directory = mkdtempSync(join(tmpdir(), 'gangway-etcd-'));
  readonly #options: EtcdOptions;
  readonly #children: (ChildProcess | undefined)[] = [];
  #ports: readonly (readonly [client: number, peer: number])[] = [];

  constructor(options: EtcdOptions = {}) {
    this.#options = options;
  }

  get hosts(): readonly string[] {
    return this.#ports.map(([client]) => `127.0.0.1:${client}`);
  }

  /** Of those that run. */
  get pids(): readonly number[] {
    return this.#children.flatMap((child) => (child?.pid === undefined ? [] : [child.pid]));
  }

  /** Of the first member's database, in bytes. */
  size(): number {
    return statSync(join(this.directory, 'm0/member/snap/db')).size;
  }

  async start(): Promise<void> {
    const { members = 1, tls } = this.#options;
    if (this.#ports.length === 0) {
      for (let i = 0; i < members; i++) this.#ports = [...this.#ports, [await freePort(), await freePort()]];
    }
    const scheme = tls === undefined ? 'http' : 'https';
    const peers = this.#ports.map(([, peer], i) => `m${i}=http://127.0.0.1:${peer}`);
    for (const [i, [client, peer]] of this.#ports.entries()) {
      if (this.#children[i]?.exitCode === null) continue;
      const url = `${scheme}://127.0.0.1:${client}`;
      this.#children[i] = spawn(
        join(CACHE, 'etcd'),
        [
          ...['--name', `m${i}`, '--data-dir', join(this.directory, `m${i}`)],
          ...['--listen-client-urls', url, '--advertise-client-urls', url],
          ...['--listen-peer-urls', `http://127.0.0.1:${peer}`],
          ...['--initial-advertise-peer-urls', `http://127.0.0.1:${peer}`, '--initial-cluster', peers.join()],
          ...(tls === undefined
            ? []
            : [
                '--cert-file',
                tls.cert,
                '--key-file',
                tls.key,
                '--trusted-ca-file',
                tls.ca,
                '--client-cert-auth',
              ]),
        ],
        { stdio: 'ignore' },
      );
    }
    if (tls === undefined) {
      const probe = this.client();
      await answering(probe);
      probe.close();
    }
  }

  client(more: Partial<ClusterStoreConfig> = {}): ClusterStore {
    return new ClusterStore({ hosts: this.hosts, prefix: 'test', ...more }, log);
  }

  async stop(member?: number): Promise<void> {
    for (const [i, child] of this.#children.entries()) {
      if (child === undefined || child.exitCode !== null || (member !== undefined && member !== i)) continue;
      this.#children[i] = undefined;
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await ended;
    }
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** An etcd takes seconds to begin on a busy machine, and a client's next try may be as far off. */
export async function answering(client: ClusterStore, milliseconds = 30_000): Promise<void> {
  const end = Date.now() + milliseconds;
  for (;;) {
    try {
      await client.list('nets/');
      return;
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

/** A host of the cluster without a kernel. */
export function member(
  etcd: Etcd,
  number: number,
  local = new Store(':memory:'),
  forgetAfterMs?: number,
): Cluster {
  return new Cluster({
    remote: etcd.client(),
    local,
    node: { id: `node-${number}`, name: `host${number}`, address: `192.0.2.${number % 250}` as Ip },
    log,
    ...(forgetAfterMs !== undefined && { forgetAfterMs }),
  });
}

export function begin(cluster: Cluster, listener: Partial<ClusterListener> = {}): Promise<void> {
  cluster.start({ networkCame() {}, networkWent() {}, remotesChanged() {}, blockLost() {}, ...listener });
  return until(() => cluster.status().state === 'connected');
}

export async function until(probe: () => boolean, milliseconds = 30_000): Promise<void> {
  const end = Date.now() + milliseconds;
  while (!probe()) {
    if (Date.now() > end) throw new Error(`waited ${milliseconds} ms in vain`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export function spec(id: string, name: string, subnet: string, vni: number, subnet6?: string): OverlaySpec {
  return {
    id,
    name,
    created: '2026-01-01T00:00:00Z',
    labels: {},
    options: {},
    internal: false,
    attachable: false,
    vni,
    ipv4: overlaySubnet<Ipv4>(subnet),
    ...(subnet6 !== undefined && { ipv6: overlaySubnet<Ipv6>(subnet6) }),
  };
}

function overlaySubnet<A extends Ip>(text: string): OverlaySubnet<A> {
  const subnet = parsePrefix(text) as Prefix<A>;
  return { subnet, gateway: subnet.address, auxAddresses: {} };
}

export function endpoint(networkId: string, number: number): Omit<RemoteEndpoint, 'nodeId'> {
  const [high, low] = [number >> 8, number & 255];
  return {
    id: `endpoint-${number}`,
    networkId,
    containerId: `container-${number}`,
    containerName: `c${number}`,
    mac: `02:42:0a:00:${high.toString(16).padStart(2, '0')}:${low.toString(16).padStart(2, '0')}` as Mac,
    ipv4: `10.0.${high}.${low}` as Ipv4,
    names: [`c${number}`],
  };
}
