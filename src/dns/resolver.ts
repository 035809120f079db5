import { randomInt } from 'node:crypto';
import { decode } from 'dns-packet';
import { type Ip, ipFromBytes } from '../model/address.ts';
import { AnswerCache } from './answer-cache.ts';
import { formatReply, parseQuery, peekReply, type Query, RCODE, type Reply } from './message.ts';
import type { NameTable } from './name-table.ts';
import { type DnsObserver, NOBODY } from './observer.ts';
import { ofType, readPlainQuestion, writePlainAnswer } from './quick-answer.ts';
import type { Upstreams } from './upstream.ts';

/** What a sandbox may know. */
export interface View {
  /** The networks it is on, in the order of their attachment. */
  readonly networkIds: readonly string[];
  /** What others are called here alone (`--link`): lower-case alias to the name of the container. */
  readonly links: ReadonlyMap<string, string>;
  /** The addresses that `host.docker.internal` and `gateway.docker.internal` stand for. */
  readonly gateways: readonly Ip[];
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
  readonly #observer: DnsObserver;

  constructor(names: NameTable, observer: DnsObserver = NOBODY) {
    this.#names = names;
    this.#observer = observer;
  }

  /** @returns undefined when the question is not for us alone to answer: it has to be forwarded */
  local(query: Query, view: View): Reply | undefined {
    const { name, type } = query.question;
    if (type === 'PTR') return this.#reverse(name, view);
    const addresses = this.addresses(name, view);
    if (addresses.length === 0) return undefined;
    // A known name of another family or type has no answer, and is nobody else's (RFC 4074 §4).
    if (type !== 'A' && type !== 'AAAA') return { rcode: RCODE.NOERROR, authoritative: true };
    return {
      rcode: RCODE.NOERROR,
      authoritative: true,
      answers: rotated(ofType(addresses, type)).map((data) => ({ type, name, ttl: LOCAL_TTL_SECONDS, data })),
    };
  }

  /** What `name` stands for among the containers; empty when it has to be asked outside. */
  addresses(name: string, view: Omit<View, 'upstreams'>): readonly Ip[] {
    const target = view.links.get(name.toLowerCase()) ?? name;
    const found = this.#names.find(target, view.networkIds);
    if (found.length > 0) return found;
    return GATEWAY_NAMES.has(name.toLowerCase()) ? view.gateways : [];
  }

  #reverse(name: string, view: View): Reply | undefined {
    const address = addressOf(name);
    if (address === undefined) return undefined;
    const found = this.#names.reverse(address, view.networkIds);
    if (found === undefined) return undefined;
    return {
      rcode: RCODE.NOERROR,
      authoritative: true,
      answers: [{ type: 'PTR', name, ttl: LOCAL_TTL_SECONDS, data: found }],
    };
  }

  /** @returns the answer in wire form, at once where it is ours to give: most questions are, and a promise costs them */
  answer(bytes: Buffer, view: View, transport: 'udp' | 'tcp'): Buffer | Promise<Buffer> | undefined {
    const quick = this.#quickAnswer(bytes, view, transport);
    if (quick !== undefined) {
      this.#observer.question('engine');
      return quick;
    }
    const query = parseQuery(bytes);
    if (query === undefined) return undefined;
    const limit = transport === 'udp' ? query.udpBytes : 65_535;
    const local = this.local(query, view);
    if (local !== undefined) {
      this.#observer.question('engine');
      return formatReply(query, local, limit);
    }
    return this.#forward(bytes, query, view, transport, limit);
  }

  /** What nearly all ask: A or AAAA of a name of ours. Everything else takes the long way. */
  #quickAnswer(bytes: Buffer, view: View, transport: 'udp' | 'tcp'): Buffer | undefined {
    const question = readPlainQuestion(bytes);
    if (question === undefined) return undefined;
    const addresses = this.addresses(question.name, view);
    if (addresses.length === 0) return undefined;
    const limit = transport === 'udp' ? question.udpBytes : 65_535;
    const answers = rotated(ofType(addresses, question.type));
    return writePlainAnswer(bytes, question, answers, LOCAL_TTL_SECONDS, limit);
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
    this.#observer.question(cached === undefined ? 'upstream' : 'cache');
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

/** The address a reverse name speaks of (RFC 1035 §3.5, RFC 3596 §2.5). */
function addressOf(name: string): Ip | undefined {
  const labels = name.toLowerCase().replace(/\.$/, '').split('.');
  const suffix = labels.splice(-2).join('.');
  const digits = labels.toReversed();
  if (suffix === 'in-addr.arpa' && digits.length === 4 && digits.every((each) => /^\d{1,3}$/.test(each)))
    return ipFromBytes(Buffer.from(digits.map(Number)));
  if (suffix === 'ip6.arpa' && digits.length === 32 && digits.every((each) => /^[0-9a-f]$/.test(each)))
    return ipFromBytes(Buffer.from(digits.join(''), 'hex'));
  return undefined;
}

/** Round robin by chance: each asker begins with another address. */
function rotated<T>(list: readonly T[]): readonly T[] {
  if (list.length < 2) return list;
  const start = randomInt(list.length);
  return [...list.slice(start), ...list.slice(0, start)];
}
