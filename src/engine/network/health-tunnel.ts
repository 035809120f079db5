import { createSocket, type Socket } from 'node:dgram';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Cluster } from '../../cluster/cluster.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { NetnsPath } from '../../model/address.ts';
import { diff } from '../../plan/diff.ts';
import { HEALTH_NETWORK, HEALTH_PORT, healthAddress, healthMtu, planHealth } from '../../plan/health.ts';
import type { OverlayFacts } from '../../plan/overlay.ts';
import type { Resource } from '../../plan/resource.ts';

export interface HealthTunnelOptions {
  readonly cluster: Cluster;
  readonly facts: OverlayFacts;
  readonly kernel: Kernel;
  readonly log: Logger;
  readonly execRoot: string;
}

/** A number that was nobody's in the namespace anyway. */
const PORT = 4789;

/** What is asked of another host's end, and padded to `size` bytes of IP packet. */
export interface HealthQuestion {
  readonly ask: number;
  readonly from: string;
  readonly size: number;
}

/** Comes twice: once small, and once as large as the question was. */
export interface HealthAnswer {
  readonly answer: number;
  readonly kind: 'small' | 'whole';
  readonly size: number;
  /** Who answers. */
  readonly id: string;
  /** Its clock, Unix milliseconds. */
  readonly time: number;
}

/** IPv4 and UDP headers. */
const HEADERS = 28;

export function padded(message: HealthQuestion | HealthAnswer, size: number): Buffer {
  const text = Buffer.from(`${JSON.stringify(message)}\n`);
  return Buffer.concat([text, Buffer.alloc(Math.max(0, size - HEADERS - text.length))]);
}

/** Undefined for what is none of ours. */
export function parseHealth(bytes: Buffer): Partial<HealthQuestion & HealthAnswer> | undefined {
  const end = bytes.indexOf(10);
  try {
    const parsed: unknown = JSON.parse(bytes.subarray(0, end < 0 ? 0 : end).toString());
    return typeof parsed === 'object' && parsed !== null ? parsed : undefined;
  } catch {
    return undefined;
  }
}

/**
 * This host's end of the tunnel by which the hosts of a cluster look at each other: a namespace on an overlay network
 * that no container is on. It is there as long as the host is in a cluster, and answers whoever asks.
 */
export class HealthTunnel {
  readonly netns: NetnsPath;
  readonly #options: HealthTunnelOptions;
  #entries: readonly Resource[] = [];
  #responder: { readonly socket: Socket; readonly namespace: bigint } | undefined;

  constructor(options: HealthTunnelOptions) {
    this.#options = options;
    this.netns = join(options.execRoot, 'netns', 'health') as NetnsPath;
  }

  get mtu(): number {
    return healthMtu(this.#options.facts);
  }

  planned(): readonly Resource[] {
    const { cluster, facts } = this.#options;
    this.#entries = planHealth(facts, this.netns, cluster.node.id, cluster.others());
    return this.#entries;
  }

  wantedLink(name: string): 'bridge' | 'port' | undefined {
    const { bridge, vxlan } = HEALTH_NETWORK.overlay;
    if (name === bridge) return 'bridge';
    return name === vxlan || name === HEALTH_PORT ? 'port' : undefined;
  }

  /** Hosts came, went or moved; also the first time, after the kernel has what was planned. */
  follow(): void {
    const { kernel, log } = this.#options;
    const before = this.#entries;
    for (const failure of kernel.tearDown(diff(this.planned(), before))) {
      log.warn({ err: failure }, 'gangway doctor cannot look at another host');
    }
    this.#respond();
  }

  /** A socket there, for asking the others; the caller owns it. @throws KernelError */
  openSocket(): Socket {
    const socket = createSocket('udp4');
    socket.bind({ fd: this.#options.kernel.wholeDatagramsInside(this.netns, 0) });
    return socket;
  }

  send(socket: Socket, to: string, question: HealthQuestion): void {
    // Larger than this end's MTU, or a full queue: it counts as lost.
    socket.send(padded(question, question.size), PORT, healthAddress(to), () => {});
  }

  close(): void {
    this.#responder?.socket.close();
    this.#responder = undefined;
  }

  #respond(): void {
    const { kernel, log, cluster } = this.#options;
    try {
      const namespace = statSync(this.netns, { bigint: true }).ino;
      if (this.#responder?.namespace === namespace) return;
      this.close();
      const socket = createSocket('udp4');
      socket.on('error', (error) => log.warn({ err: error }, 'other hosts cannot look at this one'));
      socket.on('message', (bytes, { address, port }) => {
        const question = parseHealth(bytes);
        if (typeof question?.ask !== 'number') return;
        const size = bytes.length + HEADERS;
        const answer = { answer: question.ask, size, id: cluster.node.id, time: Date.now() };
        socket.send(padded({ ...answer, kind: 'small' }, 0), port, address, () => {});
        socket.send(padded({ ...answer, kind: 'whole' }, size), port, address, () => {});
      });
      socket.bind({ fd: kernel.wholeDatagramsInside(this.netns, PORT) });
      socket.unref();
      this.#responder = { socket, namespace };
    } catch (error) {
      log.warn({ err: error }, 'other hosts cannot look at this one');
    }
  }
}
