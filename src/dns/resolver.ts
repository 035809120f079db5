import { randomInt } from 'node:crypto';
import { decode } from 'dns-packet';
import type { Ipv4 } from '../model/address.ts';
import { AnswerCache } from './answer-cache.ts';
import { formatReply, parseQuery, peekReply, type Query, RCODE, type Reply } from './message.ts';
import type { NameTable } from './name-table.ts';
import type { Upstreams } from './upstream.ts';

/** What a sandbox may know. */
export interface View {
  /** The networks it is on, in the order of their attachment. */
  readonly networkIds: readonly string[];
  /** The address that `host.docker.internal` and `gateway.docker.internal` stand for. */
  readonly gateway: Ipv4 | undefined;
  /** Undefined: no way out (internal networks only). */
  readonly upstreams: Upstreams | undefined;
}

/** A container that is replaced has to be found at once; clients that cache at all keep an answer no longer than this. */
const LOCAL_TTL_SECONDS = 0;
const GATEWAY_NAMES = new Set(['host.docker.internal', 'gateway.docker.internal']);

/** Answers the questions of one daemon's containers: names of their networks itself, everything else by upstreams. */
export class Resolver {
  readonly #names: NameTable;
  readonly #cache = new AnswerCache();

  constructor(names: NameTable) {
    this.#names = names;
  }

  /** @returns undefined when the question is not for us alone to answer: it has to be forwarded */
  local(query: Query, view: View): Reply | undefined {
    const { name, type } = query.question;
    if (type === 'PTR') return this.#reverse(name, view);
    const addresses = this.#addresses(name, view);
    if (addresses.length === 0) return undefined;
    // A known name of another family or type has no answer, and is nobody else's (RFC 4074 §4).
    if (type !== 'A') return { rcode: RCODE.NOERROR, authoritative: true };
    return {
      rcode: RCODE.NOERROR,
      authoritative: true,
      answers: rotated(addresses).map((data) => ({ type: 'A', name, ttl: LOCAL_TTL_SECONDS, data })),
    };
  }

  #addresses(name: string, view: View): readonly Ipv4[] {
    const found = this.#names.find(name, view.networkIds);
    if (found.length > 0 || view.gateway === undefined) return found;
    return GATEWAY_NAMES.has(name.toLowerCase()) ? [view.gateway] : [];
  }

  #reverse(name: string, view: View): Reply | undefined {
    const [, d, c, b, a] = /^(\d+)\.(\d+)\.(\d+)\.(\d+)\.in-addr\.arpa\.?$/i.exec(name) ?? [];
    if (a === undefined) return undefined;
    const found = this.#names.reverse(`${a}.${b}.${c}.${d}` as Ipv4, view.networkIds);
    if (found === undefined) return undefined;
    return {
      rcode: RCODE.NOERROR,
      authoritative: true,
      answers: [{ type: 'PTR', name, ttl: LOCAL_TTL_SECONDS, data: found }],
    };
  }

  /** @returns the answer in wire form */
  async answer(bytes: Buffer, view: View, transport: 'udp' | 'tcp'): Promise<Buffer | undefined> {
    const query = parseQuery(bytes);
    if (query === undefined) return undefined;
    const limit = transport === 'udp' ? query.udpBytes : 65_535;
    const local = this.local(query, view);
    if (local !== undefined) return formatReply(query, local, limit);
    return this.#forward(bytes, query, view, transport, limit);
  }

  async #forward(
    bytes: Buffer,
    query: Query,
    view: View,
    transport: 'udp' | 'tcp',
    limit: number,
  ): Promise<Buffer> {
    const { name, type, class: of } = query.question;
    const servers = view.upstreams?.servers.join() ?? '';
    const key = `${name.toLowerCase()} ${type} ${of ?? 'IN'} ${servers}`;
    const cached = this.#cache.fresh(key);
    if (cached !== undefined) return formatReply(query, cached, limit);
    // An id of our own: the client's may be anything, and guessable (RFC 5452 §9.2).
    const asked = Buffer.from(bytes);
    asked.writeUInt16BE(randomInt(65_536), 0);
    const answer = await view.upstreams?.ask(asked, transport);
    const rcode = answer === undefined ? RCODE.SERVFAIL : peekReply(answer).rcode;
    if (answer === undefined || rcode === RCODE.SERVFAIL) {
      const stale = this.#cache.stale(key);
      if (stale !== undefined) return formatReply(query, stale, limit);
    }
    if (answer === undefined) return formatReply(query, { rcode: RCODE.SERVFAIL }, limit);
    if (!peekReply(answer).truncated) this.#remember(key, answer, rcode);
    const relayed = Buffer.from(answer);
    relayed.writeUInt16BE(query.packet.id ?? 0, 0);
    return relayed;
  }

  #remember(key: string, answer: Buffer, rcode: number): void {
    try {
      this.#cache.store(key, decode(answer), rcode);
    } catch {
      // An answer we cannot read is relayed as it is, and not kept.
    }
  }
}

/** Round robin by chance: each asker begins with another address. */
function rotated<T>(list: readonly T[]): readonly T[] {
  if (list.length < 2) return list;
  const start = randomInt(list.length);
  return [...list.slice(start), ...list.slice(0, start)];
}
