import { createSocket, type Socket } from 'node:dgram';
import { createServer, type Server, type Socket as Stream } from 'node:net';
import { decode, encode } from 'dns-packet';
import type { Logger } from 'pino';
import { type Ip, type NetnsPath, parseIp } from '../model/address.ts';
import { formatError } from './message.ts';
import { NameTable } from './name-table.ts';
import { type DnsObserver, NOBODY } from './observer.ts';
import { Resolver, type View } from './resolver.ts';

/** Where every container on a network of the user's finds its name server (docs.docker.com, "DNS services"). */
export const NAME_SERVER = '127.0.0.11';

/** Sockets bound to NAME_SERVER:53 inside a namespace; made by the kernel edge. */
export type OpenSockets = (netns: NetnsPath) => { readonly udp: number; readonly tcp: number };

interface Listening {
  readonly udp: Socket;
  readonly tcp: Server;
  readonly clients: Set<Stream>;
}

/** RFC 1035 §4.1.1. */
const RECURSION_DESIRED = 1 << 8;
/** A TCP client that says nothing is cut off (RFC 7766 §6.2.3). */
const IDLE_MS = 10_000;

/** The embedded DNS: one process serves every sandbox through sockets that live in its namespace. */
export class NameService {
  readonly names = new NameTable();
  readonly #resolver: Resolver;
  readonly #openSockets: OpenSockets;
  readonly #log: Logger;
  readonly #listening = new Map<string, Listening>();

  constructor(openSockets: OpenSockets, log: Logger, observer: DnsObserver = NOBODY) {
    this.#resolver = new Resolver(this.names, observer);
    this.#openSockets = openSockets;
    this.#log = log;
  }

  known(name: string, view: View): readonly Ip[] {
    return this.#resolver.addresses(name, view);
  }

  /** Addresses of both families, as a sandbox is told them. */
  async askOutside(name: string, view: View): Promise<readonly Ip[]> {
    const found = await Promise.all(
      (['A', 'AAAA'] as const).map(async (type) => {
        const flags = RECURSION_DESIRED;
        const question = encode({ type: 'query', id: 1, flags, questions: [{ type, name }] });
        const answer = await this.#resolver.answer(question, view, 'udp');
        const answers = answer === undefined ? [] : (decode(answer).answers ?? []);
        return answers.flatMap((each) => (each.type === type ? [parseIp(each.data)] : []));
      }),
    );
    return found.flat();
  }

  /** Does nothing when it listens there already. @param view asked anew for every question */
  open(sandboxId: string, netns: NetnsPath, view: () => View): void {
    if (this.#listening.has(sandboxId)) return;
    const fds = this.#openSockets(netns);
    // Askers are addresses already: Node's own lookup would put every answer off by a tick.
    const udp = createSocket({ type: 'udp4', lookup: (address, _options, done) => done(null, address, 4) });
    udp.bind({ fd: fds.udp });
    udp.on('message', (bytes, { port, address }) => {
      this.#answer(bytes, view(), 'udp', (answer) => {
        if (this.#listening.has(sandboxId)) udp.send(answer, port, address);
      });
    });
    udp.on('error', (error) => this.#log.warn({ err: error, sandbox: sandboxId }, 'name service'));
    const clients = new Set<Stream>();
    const tcp = createServer((client) => {
      clients.add(client);
      client.on('close', () => clients.delete(client));
      this.#serve(client, view);
    });
    tcp.on('error', (error) => this.#log.warn({ err: error, sandbox: sandboxId }, 'name service'));
    tcp.listen({ fd: fds.tcp });
    this.#listening.set(sandboxId, { udp, tcp, clients });
  }

  close(sandboxId: string): void {
    const listening = this.#listening.get(sandboxId);
    if (listening === undefined) return;
    this.#listening.delete(sandboxId);
    listening.udp.close();
    listening.tcp.close();
    for (const client of listening.clients) client.destroy();
  }

  closeAll(): void {
    for (const id of [...this.#listening.keys()]) this.close(id);
  }

  /** @param give called at once where the answer is ours, and not at all where there is none */
  #answer(bytes: Buffer, view: View, transport: 'udp' | 'tcp', give: (answer: Buffer) => void): void {
    const failed = (error: unknown): void => this.#log.warn({ err: error }, 'question not answered');
    try {
      const answer = this.#resolver.answer(bytes, view, transport) ?? formatError(bytes);
      if (answer instanceof Promise) answer.then(give).catch(failed);
      else if (answer !== undefined) give(answer);
    } catch (error) {
      failed(error);
    }
  }

  /** RFC 1035 §4.2.2: messages with two bytes of length before them, several on one connection. */
  #serve(client: Stream, view: () => View): void {
    let rest: Buffer = Buffer.alloc(0);
    client.setTimeout(IDLE_MS, () => client.destroy());
    client.on('error', () => client.destroy());
    client.on('data', (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk]);
      while (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE(0)) {
        const end = 2 + rest.readUInt16BE(0);
        const message = Buffer.from(rest.subarray(2, end));
        rest = rest.subarray(end);
        this.#answer(message, view(), 'tcp', (answer) => {
          if (client.destroyed) return;
          const length = Buffer.alloc(2);
          length.writeUInt16BE(answer.length);
          client.write(Buffer.concat([length, answer]));
        });
      }
    });
  }
}
