import {
  type Answer,
  type DecodedPacket,
  decode,
  encode,
  encodingLength,
  type Question,
  RECURSION_DESIRED,
} from 'dns-packet';

/** Response codes (RFC 1035 §4.1.1, RFC 6895). */
export const RCODE = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const;

const QR = 1 << 15;
const AA = 1 << 10;
const TC = 1 << 9;
const RA = 1 << 7;
const HEADER_BYTES = 12;
/** RFC 1035 §2.3.4: what a client without EDNS takes in a datagram. */
const PLAIN_UDP_BYTES = 512;
/** What is offered and given with EDNS (RFC 6891 §6.2.5): the way is the loopback of a sandbox, nothing is fragmented. */
const LARGEST_UDP_BYTES = 4096;

export interface Query {
  readonly packet: DecodedPacket;
  readonly question: Question;
  /** Bytes the client takes in one datagram. */
  readonly udpBytes: number;
}

/** Undefined when it is no query that can be answered: wrong bytes, a response, or not exactly one question. */
export function parseQuery(bytes: Buffer): Query | undefined {
  let packet: DecodedPacket;
  try {
    packet = decode(bytes);
  } catch {
    return undefined;
  }
  const [question, ...more] = packet.questions ?? [];
  if (packet.type !== 'query' || question === undefined || more.length > 0) return undefined;
  const opt = (packet.additionals ?? []).find((record) => record.type === 'OPT');
  const offered = opt?.type === 'OPT' ? opt.udpPayloadSize : PLAIN_UDP_BYTES;
  return { packet, question, udpBytes: Math.min(Math.max(offered, PLAIN_UDP_BYTES), LARGEST_UDP_BYTES) };
}

export interface Reply {
  readonly rcode: number;
  readonly answers?: readonly Answer[];
  readonly authorities?: readonly Answer[];
  /** The answer is ours, not an upstream's. */
  readonly authoritative?: boolean;
}

/**
 * @param limit bytes; of a longer answer as many records are given as there is room for, marked as truncated: a client
 * asks again by TCP (RFC 2181 §9), and one that cannot (musl before 1.2.4) has some addresses instead of none
 */
export function formatReply(query: Query, reply: Reply, limit: number): Buffer {
  const flags =
    ((query.packet.flags ?? 0) & RECURSION_DESIRED) | QR | RA | (reply.authoritative ? AA : 0) | reply.rcode;
  const edns = (query.packet.additionals ?? []).some((record) => record.type === 'OPT');
  const message = {
    type: 'response' as const,
    id: query.packet.id ?? 0,
    flags,
    questions: [query.question],
    answers: [...(reply.answers ?? [])],
    authorities: [...(reply.authorities ?? [])],
    additionals: edns
      ? [
          {
            type: 'OPT' as const,
            name: '.' as const,
            udpPayloadSize: LARGEST_UDP_BYTES,
            flags: 0,
            options: [],
          } as unknown as Answer,
        ]
      : [],
  };
  const bytes = encode(message);
  if (bytes.length <= limit) return bytes;
  const cut = (count: number) => ({
    ...message,
    flags: flags | TC,
    answers: message.answers.slice(0, count),
    authorities: [],
  });
  let fits = 0;
  for (let tooMany = message.answers.length + 1; tooMany - fits > 1; ) {
    const middle = (fits + tooMany) >> 1;
    if (encodingLength(cut(middle)) <= limit) fits = middle;
    else tooMany = middle;
  }
  return encode(cut(fits));
}

/** The answer to bytes that are no query, as far as there is an id to answer to. */
export function formatError(bytes: Buffer): Buffer | undefined {
  if (bytes.length < HEADER_BYTES || (bytes[2] ?? 0) & 0x80) return undefined;
  const answer = Buffer.alloc(HEADER_BYTES);
  bytes.copy(answer, 0, 0, 2);
  answer.writeUInt16BE(QR | RA | RCODE.FORMERR, 2);
  return answer;
}

/** The response code of raw bytes, and whether they are truncated; no further parsing. */
export function peekReply(bytes: Buffer): { readonly rcode: number; readonly truncated: boolean } {
  const flags = bytes.readUInt16BE(2);
  return { rcode: flags & 0x0f, truncated: (flags & TC) !== 0 };
}

/** Whether an upstream's datagram answers this query: same id, a response, the same question (RFC 5452 §9.1). */
export function answersQuery(bytes: Buffer, query: Buffer): boolean {
  if (
    bytes.length < HEADER_BYTES ||
    bytes.readUInt16BE(0) !== query.readUInt16BE(0) ||
    !((bytes[2] ?? 0) & 0x80)
  )
    return false;
  if (bytes.readUInt16BE(4) !== 1) return (bytes[3] ?? 0) % 16 !== RCODE.NOERROR;
  const end = questionEnd(query);
  return (
    bytes.length >= end && equalFold(bytes.subarray(HEADER_BYTES, end), query.subarray(HEADER_BYTES, end))
  );
}

function questionEnd(query: Buffer): number {
  let at = HEADER_BYTES;
  while (at < query.length && query[at] !== 0) at += (query[at] ?? 0) + 1;
  return Math.min(at + 5, query.length);
}

function equalFold(a: Buffer, b: Buffer): boolean {
  return a.toString('latin1').toLowerCase() === b.toString('latin1').toLowerCase();
}
