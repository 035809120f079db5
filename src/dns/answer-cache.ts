import type { Answer, DecodedPacket } from 'dns-packet';

/** What an upstream said, as much as a later client needs of it. */
export interface CachedReply {
  readonly rcode: number;
  readonly answers: readonly Answer[];
  readonly authorities: readonly Answer[];
}

interface Entry {
  readonly reply: CachedReply;
  readonly storedAt: number;
  readonly expiresAt: number;
}

const NOERROR = 0;
const NXDOMAIN = 3;
/** RFC 8767 §5: stale answers go out with a TTL of 30 s … */
const STALE_TTL_SECONDS = 30;
/** … and, as it recommends, for one to three days at most. */
const STALE_LIMIT_MS = 24 * 3600 * 1000;
/** RFC 2308 §5: a negative answer lives no longer than the SOA says; three hours is its recommended ceiling. */
const NEGATIVE_CEILING_SECONDS = 3 * 3600;
const POSITIVE_CEILING_SECONDS = 24 * 3600;

/** Answers of upstreams by question, kept for their TTL and served stale when no upstream answers (RFC 8767). */
export class AnswerCache {
  readonly #entries = new Map<string, Entry>();
  readonly #limit: number;
  readonly #now: () => number;

  /** @param limit entries; the oldest leaves first. @param now milliseconds */
  constructor(limit = 4096, now: () => number = Date.now) {
    this.#limit = limit;
    this.#now = now;
  }

  /** A live answer with its TTLs counted down, or undefined. */
  fresh(key: string): CachedReply | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined || entry.expiresAt <= this.#now()) return undefined;
    const age = Math.floor((this.#now() - entry.storedAt) / 1000);
    return withTtl(entry.reply, (ttl) => Math.max(0, ttl - age));
  }

  /** An answer past its TTL that may still be served because nothing better is to be had. */
  stale(key: string): CachedReply | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined || entry.expiresAt + STALE_LIMIT_MS <= this.#now()) return undefined;
    return withTtl(entry.reply, () => STALE_TTL_SECONDS);
  }

  /** Keeps NOERROR and NXDOMAIN; everything else says nothing about the name. */
  store(key: string, packet: DecodedPacket, rcode: number): void {
    const seconds = lifetime(packet, rcode);
    if (seconds <= 0) return;
    this.#entries.delete(key);
    this.#entries.set(key, {
      reply: { rcode, answers: packet.answers ?? [], authorities: packet.authorities ?? [] },
      storedAt: this.#now(),
      expiresAt: this.#now() + seconds * 1000,
    });
    if (this.#entries.size > this.#limit) {
      const oldest = this.#entries.keys().next();
      if (!oldest.done) this.#entries.delete(oldest.value);
    }
  }
}

function lifetime(packet: DecodedPacket, rcode: number): number {
  if (rcode !== NOERROR && rcode !== NXDOMAIN) return 0;
  const answers = packet.answers ?? [];
  if (rcode === NOERROR && answers.length > 0) {
    return Math.min(POSITIVE_CEILING_SECONDS, ...answers.map((answer) => ttlOf(answer) ?? 0));
  }
  const soa = (packet.authorities ?? []).find((record) => record.type === 'SOA');
  if (soa?.type !== 'SOA') return 0;
  return Math.min(NEGATIVE_CEILING_SECONDS, soa.ttl ?? 0, soa.data.minimum ?? 0);
}

function ttlOf(record: Answer): number | undefined {
  return 'ttl' in record ? record.ttl : undefined;
}

function withTtl(reply: CachedReply, change: (ttl: number) => number): CachedReply {
  const age = (record: Answer): Answer => {
    const ttl = ttlOf(record);
    return ttl === undefined ? record : ({ ...record, ttl: change(ttl) } as Answer);
  };
  return { ...reply, answers: reply.answers.map(age), authorities: reply.authorities.map(age) };
}
