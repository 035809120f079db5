import type { Socket } from 'node:dgram';
import { connect } from 'node:net';
import type { Cluster } from '../../cluster/cluster.ts';
import type { EchoOutcome } from '../../kernel/echo.ts';
import type { Firewall } from '../../kernel/firewall-rules.ts';
import { type Kernel, KernelError } from '../../kernel/kernel.ts';
import type { Ip } from '../../model/address.ts';
import type { ClusterNode } from '../../model/overlay.ts';
import { type HealthTunnel, parseHealth } from '../network/health-tunnel.ts';

/** What came back of packets to the other end, by their size. */
export interface Passed {
  /** Bytes of the packets sent: the MTU of overlay networks. */
  readonly mtu: number;
  /** The largest that came back whole; 0: none. */
  readonly largest: number;
  /** Packets of full size arrive there, and their answers do not come back. */
  readonly arrives: boolean;
}

export interface HostLook {
  readonly node: ClusterNode;
  /** Its lease has not ended, as far as is known. */
  readonly alive: boolean;
  /** Who answered by the tunnel; undefined: nobody. */
  readonly answeredBy: string | undefined;
  readonly passed: Passed | undefined;
  /** How far its clock is ahead of ours, in milliseconds. */
  readonly ahead: number | undefined;
  /** What the host's own address says beside the tunnel, asked from the advertised address and from any. */
  readonly underlay: { readonly advertised: EchoOutcome; readonly any: EchoOutcome } | undefined;
}

/** All that the checks of a cluster need. */
export interface ClusterFacts {
  readonly own: ClusterNode;
  readonly state: 'connecting' | 'connected' | 'away' | 'closed';
  /** Unix milliseconds. */
  readonly since: number;
  readonly localAddresses: readonly string[];
  /** The interface that has the advertised address. */
  readonly uplink: string | undefined;
  readonly hosts: readonly HostLook[];
  /** Of this host. */
  readonly firewall: Firewall;
}

export interface ClusterParts {
  readonly cluster: Cluster;
  readonly tunnel: HealthTunnel;
  readonly kernel: Kernel;
}

const SMALL = 256;
const TRIES = 3;
const WAIT_MS = 600;
const ECHO_MS = 1500;
/** Sizes that are tried at once in search of the largest that passes. */
const FAN = 16;
/** Hosts that are looked at side by side. */
const SIDE_BY_SIDE = 32;

/** Asks every other host, by the tunnel and beside it. Takes some seconds where somebody does not answer. */
export async function clusterFacts({ cluster, tunnel, kernel }: ClusterParts): Promise<ClusterFacts> {
  const { state, since } = cluster.status();
  const { node: own } = cluster;
  tunnel.follow();
  const hosts: HostLook[] = [];
  const asker = new Asker(tunnel, own.id);
  try {
    const queue = [...cluster.others()];
    const look = async (): Promise<void> => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        hosts.push({
          node: next,
          alive: cluster.isAlive(next.id),
          ...(await lookAt(next, own, asker, kernel)),
        });
      }
    };
    await Promise.all(Array.from({ length: SIDE_BY_SIDE }, look));
  } finally {
    asker.close();
  }
  return {
    own,
    state,
    since,
    localAddresses: kernel.host().localAddresses,
    uplink: holder(kernel, own.address),
    hosts: hosts.toSorted((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1)),
    firewall: kernel.firewall(),
  };
}

function holder(kernel: Kernel, address: Ip): string | undefined {
  const { addresses, links } = kernel.inventory();
  const index = addresses.find((each) => each.address === address)?.link;
  return links.find((link) => link.index === index)?.name;
}

const sortKey = ({ node }: HostLook): string => `${node.name} ${node.address}`;

async function lookAt(
  node: ClusterNode,
  own: ClusterNode,
  asker: Asker,
  kernel: Kernel,
): Promise<Omit<HostLook, 'node' | 'alive'>> {
  const small = (await asker.ask(node.id, [SMALL])).get(SMALL);
  if (small?.whole !== true) {
    const [advertised, any] = await Promise.all([
      reach(kernel, node.address, own.address),
      reach(kernel, node.address, undefined),
    ]);
    const { id: answeredBy, ahead } = small ?? {};
    return { answeredBy, ahead, passed: undefined, underlay: { advertised, any } };
  }
  return {
    answeredBy: small.id,
    ahead: small.ahead,
    passed: await asker.largest(node.id),
    underlay: undefined,
  };
}

/** By ICMP, and where that is filtered by whether TCP is at least refused. */
async function reach(kernel: Kernel, to: Ip, from: Ip | undefined): Promise<EchoOutcome> {
  let outcome: EchoOutcome;
  try {
    outcome = await kernel.echo(to, from, ECHO_MS);
  } catch (error) {
    if (error instanceof KernelError && error.errno === 'EADDRNOTAVAIL') return 'no-way';
    throw error;
  }
  if (outcome !== 'silent') return outcome;
  return new Promise((resolve) => {
    const socket = connect({ host: to, port: 4789, ...(from && { localAddress: from }) });
    const end = (answer: EchoOutcome): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(ECHO_MS, () => end('silent'));
    socket.on('connect', () => end('answers'));
    socket.on('error', (error: NodeJS.ErrnoException) =>
      end(error.code === 'ECONNREFUSED' ? 'answers' : 'silent'),
    );
  });
}

interface Heard {
  readonly id: string;
  readonly ahead: number;
  /** The answer of full size came too. */
  readonly whole: boolean;
}

class Asker {
  readonly #tunnel: HealthTunnel;
  readonly #own: string;
  readonly #socket: Socket;
  readonly #open = new Map<number, (answer: ReturnType<typeof parseHealth>) => void>();
  #last = Math.floor(Math.random() * 2 ** 31);

  /** @throws KernelError when this host has no end of the tunnel */
  constructor(tunnel: HealthTunnel, own: string) {
    this.#tunnel = tunnel;
    this.#own = own;
    this.#socket = tunnel.openSocket();
    this.#socket.on('message', (bytes) => {
      const answer = parseHealth(bytes);
      if (answer?.answer !== undefined) this.#open.get(answer.answer)?.(answer);
    });
  }

  close(): void {
    this.#socket.close();
  }

  /** @returns of each size what was heard; a size without an answer is not in it */
  async ask(to: string, sizes: readonly number[], tries = TRIES): Promise<ReadonlyMap<number, Heard>> {
    const heard = new Map<number, Heard>();
    for (let i = 0; i < tries; i++) {
      const left = sizes.filter((size) => heard.get(size)?.whole !== true);
      if (left.length === 0) break;
      await Promise.all(left.map((size) => this.#askOnce(to, size, heard)));
    }
    return heard;
  }

  /** Searches only where packets of full size do not come back. */
  async largest(to: string): Promise<Passed> {
    const { mtu } = this.#tunnel;
    const full = (await this.ask(to, [mtu])).get(mtu);
    if (full?.whole === true) return { mtu, largest: mtu, arrives: true };
    let [passes, fails] = [SMALL, mtu];
    while (fails - passes > 1) {
      const step = Math.max(1, Math.floor((fails - passes) / FAN));
      const sizes: number[] = [];
      for (let size = passes + step; size < fails; size += step) sizes.push(size);
      const heard = await this.ask(to, sizes, 2);
      const good = sizes.filter((size) => heard.get(size)?.whole === true);
      passes = Math.max(passes, ...good);
      fails = Math.min(fails, ...sizes.filter((size) => size > passes));
    }
    return { mtu, largest: passes, arrives: full !== undefined };
  }

  #askOnce(to: string, size: number, heard: Map<number, Heard>): Promise<void> {
    this.#last = (this.#last + 1) % 2 ** 31;
    const number = this.#last;
    const sent = Date.now();
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        this.#open.delete(number);
        resolve();
      };
      const timer = setTimeout(end, WAIT_MS);
      this.#open.set(number, (answer) => {
        const ahead = (answer?.time ?? 0) - (sent + Date.now()) / 2;
        const whole = answer?.kind === 'whole' && answer.size === size;
        heard.set(size, { id: answer?.id ?? '', ahead: heard.get(size)?.ahead ?? ahead, whole });
        if (whole) end();
      });
      this.#tunnel.send(this.#socket, to, { ask: number, from: this.#own, size });
    });
  }
}
