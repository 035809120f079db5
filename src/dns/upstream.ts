import { createSocket, type Socket } from 'node:dgram';
import { connect } from 'node:net';
import { type Family, parseIp } from '../model/address.ts';
import { answersQuery, peekReply, RCODE } from './message.ts';
import { type DnsObserver, NOBODY, type UpstreamOutcome } from './observer.ts';

/** Asks one name server. Rejects when it does not answer in time; the bytes may be any response code. */
export type Exchange = (
  server: string,
  query: Buffer,
  transport: 'udp' | 'tcp',
  signal: AbortSignal,
) => Promise<Buffer>;

/** What the next server is given before it is asked as well. */
const HEAD_START_MS = 150;
/** As resolv.conf(5) uses at most three. */
const MAX_SERVERS = 3;
const GIVE_UP_MS = 4000;
/** A server that failed stays behind the others for so long. */
const PENALTY_MS = 30_000;

/** The name servers behind ours, healthy ones first, asked side by side after a short head start. */
export class Upstreams {
  readonly servers: readonly string[];
  readonly #exchange: Exchange;
  readonly #observer: DnsObserver;
  readonly #failedAt = new Map<string, number>();

  constructor(servers: readonly string[], exchange: Exchange, observer: DnsObserver = NOBODY) {
    this.#observer = observer;
    this.servers = servers.slice(0, MAX_SERVERS).map(canonical);
    this.#exchange = exchange;
  }

  /**
   * The first good answer. SERVFAIL and REFUSED send the question to the next server at once, and are given on only
   * when nobody says better; undefined when nobody answered.
   */
  async ask(query: Buffer, transport: 'udp' | 'tcp'): Promise<Buffer | undefined> {
    const order = this.#order();
    if (order.length === 0) return undefined;
    const stop = new AbortController();
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      stop.abort();
    }, GIVE_UP_MS);
    try {
      return await new Promise<Buffer | undefined>((resolve) => {
        let next = 0;
        let open = 0;
        let poor: Buffer | undefined;
        let headStart: NodeJS.Timeout | undefined;
        const askNext = (): void => {
          clearTimeout(headStart);
          const server = order[next++];
          if (server === undefined) {
            if (open === 0) resolve(poor);
            return;
          }
          open++;
          const begun = performance.now();
          const tell = (outcome: UpstreamOutcome): void =>
            this.#observer.upstream(server, outcome, (performance.now() - begun) / 1000);
          this.#exchange(server, query, transport, stop.signal)
            .then((answer) => {
              const { rcode } = peekReply(answer);
              if (rcode !== RCODE.SERVFAIL && rcode !== RCODE.REFUSED) {
                this.#failedAt.delete(server);
                tell('answered');
                clearTimeout(headStart);
                resolve(answer);
                return;
              }
              poor ??= answer;
              throw new Error('no good answer');
            })
            .catch(() => {
              this.#failedAt.set(server, Date.now());
              if (stop.signal.aborted) {
                tell(late ? 'silent' : 'overtaken');
                return;
              }
              tell('failed');
              open--;
              askNext();
            });
          headStart = setTimeout(askNext, HEAD_START_MS);
        };
        stop.signal.addEventListener('abort', () => {
          clearTimeout(headStart);
          resolve(poor);
        });
        askNext();
      });
    } finally {
      clearTimeout(timer);
      stop.abort();
    }
  }

  #order(): readonly string[] {
    const now = Date.now();
    const failing = (server: string): number =>
      now - (this.#failedAt.get(server) ?? Number.NEGATIVE_INFINITY) < PENALTY_MS ? 1 : 0;
    return this.servers.toSorted((a, b) => failing(a) - failing(b));
  }
}

/** As the kernel writes the sender of an answer; an address with a zone stays as it is. */
function canonical(server: string): string {
  try {
    return parseIp(server);
  } catch {
    return server;
  }
}

const PORT = 53;

/** @param openUdp a datagram socket where the servers can be reached from, on a port of the kernel's choice (RFC 5452) */
export function exchangeBy(openUdp: (family: Family) => Socket): Exchange {
  return (server, query, transport, signal) =>
    transport === 'udp'
      ? askByUdp(openUdp(server.includes(':') ? 'ipv6' : 'ipv4'), server, query, signal)
      : askByTcp(server, query, signal);
}

export const hostExchange: Exchange = exchangeBy((family) =>
  createSocket(family === 'ipv4' ? 'udp4' : 'udp6'),
);

function askByUdp(socket: Socket, server: string, query: Buffer, signal: AbortSignal): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const end = (settle: () => void): void => {
      signal.removeEventListener('abort', onAbort);
      socket.close();
      settle();
    };
    const onAbort = (): void => end(() => reject(new Error(`${server} does not answer`)));
    socket.once('error', (error) => end(() => reject(error)));
    socket.on('message', (bytes, from) => {
      if (from.address === server && from.port === PORT && answersQuery(bytes, query))
        end(() => resolve(bytes));
    });
    signal.addEventListener('abort', onAbort);
    if (signal.aborted) onAbort();
    else socket.send(query, PORT, server);
  });
}

function askByTcp(server: string, query: Buffer, signal: AbortSignal): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: server, port: PORT });
    const chunks: Buffer[] = [];
    const onAbort = (): void => void socket.destroy(new Error(`${server} does not answer`));
    signal.addEventListener('abort', onAbort);
    socket.on('connect', () => {
      const length = Buffer.alloc(2);
      length.writeUInt16BE(query.length);
      socket.write(Buffer.concat([length, query]));
    });
    socket.on('data', (chunk) => {
      chunks.push(chunk);
      const all = Buffer.concat(chunks);
      if (all.length < 2 || all.length < 2 + all.readUInt16BE(0)) return;
      const answer = all.subarray(2, 2 + all.readUInt16BE(0));
      if (answersQuery(answer, query)) resolve(answer);
      socket.destroy();
    });
    socket.on('error', reject);
    socket.on('close', () => {
      signal.removeEventListener('abort', onAbort);
      reject(new Error(`${server} closed the connection`));
    });
  });
}
