/**
 * Name servers of every kind, to be run in a namespace that has their addresses: argument 1 is a JSON list of
 * {address, kind}. The honest answer to an A question is TRUTH; other types have none, and a name without a dot is unknown.
 */
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import { type DecodedPacket, decode, encode, type Question } from 'dns-packet';

export const TRUTH = '203.0.113.7';
const LIE = '192.0.2.66';
/**
 * dead: takes questions and says nothing. slow: answers after SLOW_MS. lying: says other ids, other questions and
 * plain rubbish before the truth. truncated: sends to TCP, where it answers.
 */
export type Kind = 'good' | 'dead' | 'slow' | 'lying' | 'truncated' | 'servfail' | 'refused';
export interface Upstream {
  readonly address: string;
  readonly kind: Kind;
}

const SLOW_MS = 3000;
const NXDOMAIN = 3;
const RCODE: Partial<Record<Kind, number>> = { servfail: 2, refused: 5 };
/** Recursion desired and available: without the second glibc passes a server by. */
const RECURSIVE = (1 << 8) | (1 << 7);
const TRUNCATED = 1 << 9;

interface Saying {
  readonly flags?: number;
  readonly data?: string;
  readonly questions?: readonly Question[];
}

function answer(query: DecodedPacket, saying: Saying = {}): Buffer {
  const { flags = 0, data = TRUTH, questions = query.questions ?? [] } = saying;
  const [question] = questions;
  const unknown = question !== undefined && !question.name.includes('.');
  const given = flags === 0 && !unknown && question?.type === 'A';
  return encode({
    type: 'response',
    id: query.id ?? 0,
    flags: flags | RECURSIVE | (unknown ? NXDOMAIN : 0),
    questions: [...questions],
    answers: given ? [{ type: 'A', name: question.name, ttl: 0, data }] : [],
  });
}

/** Everything a server of this kind sends for one datagram, in order. */
function datagrams(kind: Kind, query: DecodedPacket): readonly Buffer[] {
  if (kind === 'dead') return [];
  if (kind === 'truncated') return [answer(query, { flags: TRUNCATED })];
  const truth = answer(query, { flags: RCODE[kind] ?? 0 });
  if (kind !== 'lying') return [truth];
  const other = (query.questions ?? []).map((question) => ({ ...question, name: `x${question.name}` }));
  const noResponse = Buffer.from(answer(query, { data: LIE }));
  noResponse.writeUInt16BE(noResponse.readUInt16BE(2) & 0x7fff, 2);
  return [
    answer({ ...query, id: ((query.id ?? 0) + 1) % 65_536 }, { data: LIE }),
    answer(query, { data: LIE, questions: other }),
    answer(query, { data: LIE, questions: [] }),
    noResponse,
    Buffer.from('rubbish'),
    truth,
  ];
}

function serve({ address, kind }: Upstream): Promise<unknown> {
  const delay = kind === 'slow' ? SLOW_MS : 0;
  const udp = createSocket('udp4');
  udp.on('message', (message, from) => {
    const list = datagrams(kind, decode(message));
    setTimeout(() => {
      for (const bytes of list) udp.send(bytes, from.port, from.address);
    }, delay);
  });
  const tcp = createServer((client) => {
    client.on('error', () => {});
    client.on('data', (bytes) => {
      if (kind === 'dead') return;
      const text = answer(decode(bytes.subarray(2)), { flags: RCODE[kind] ?? 0 });
      const length = Buffer.alloc(2);
      length.writeUInt16BE(text.length);
      setTimeout(() => client.write(Buffer.concat([length, text])), delay);
    });
  });
  return Promise.all([
    new Promise<void>((resolve) => udp.bind(53, address, resolve)),
    new Promise<void>((resolve) => tcp.listen(53, address, resolve)),
  ]);
}

if (import.meta.main) {
  await Promise.all((JSON.parse(process.argv[2] ?? '[]') as Upstream[]).map(serve));
  console.log('SERVING');
}
