import { type Ip, ipBytes, isIpv4 } from '../model/address.ts';

/** Lay-out of a message: RFC 1035 §4.1, RFC 3596 §2.2, RFC 6891 §6.1. */
const HEADER = 12;
const OPT_BYTES = 11;
const TYPE = { A: 1, AAAA: 28, OPT: 41 } as const;
const IN = 1;
/** QR, AA, RA; RD is the asker's. */
const FLAGS = 0x8480;
const RD = 0x0100;
const OFFERED_UDP_BYTES = 4096;
const PLAIN_UDP_BYTES = 512;
/** Most names are short, and most containers have one address: what is kept of addresses is little. */
const KEPT_ADDRESSES = 10_000;

/** A question in the form that nearly all have: one name, A or AAAA, with EDNS or without. */
export interface PlainQuestion {
  /** Lower case, without the dot at its end. */
  readonly name: string;
  readonly type: 'A' | 'AAAA';
  /** Where the question ends. */
  readonly end: number;
  readonly edns: boolean;
  /** Bytes the asker takes in a datagram. */
  readonly udpBytes: number;
}

/** Undefined: another form, for the parser that knows them all. */
export function readPlainQuestion(bytes: Buffer): PlainQuestion | undefined {
  if (bytes.length < HEADER + 5 || ((bytes[2] ?? 0) & 0xf8) !== 0) return undefined;
  const additional = bytes.readUInt16BE(10);
  if (bytes.readUInt16BE(4) !== 1 || bytes.readUInt32BE(6) !== 0 || additional > 1) return undefined;
  let at = HEADER;
  let name = '';
  for (let length = bytes[at] ?? 0; length !== 0; length = bytes[at] ?? 0) {
    if (length > 63 || at + 1 + length >= bytes.length) return undefined;
    const label = bytes.toString('latin1', at + 1, at + 1 + length);
    // A dot within a label, or what is no letter of a host's name: not ours to guess.
    if (!/^[\w-]+$/.test(label)) return undefined;
    name += name === '' ? label : `.${label}`;
    at += 1 + length;
  }
  const end = at + 5;
  if (name === '' || name.length > 253 || end > bytes.length || bytes.readUInt16BE(at + 3) !== IN)
    return undefined;
  const type = bytes.readUInt16BE(at + 1);
  if (type !== TYPE.A && type !== TYPE.AAAA) return undefined;
  const edns = additional === 1;
  if (edns ? !isOpt(bytes, end) : bytes.length !== end) return undefined;
  const offered = edns ? bytes.readUInt16BE(end + 3) : PLAIN_UDP_BYTES;
  return {
    name: name.toLowerCase(),
    type: type === TYPE.A ? 'A' : 'AAAA',
    end,
    edns,
    udpBytes: Math.min(Math.max(offered, PLAIN_UDP_BYTES), OFFERED_UDP_BYTES),
  };
}

const isOpt = (bytes: Buffer, at: number): boolean =>
  bytes.length >= at + OPT_BYTES &&
  bytes[at] === 0 &&
  bytes.readUInt16BE(at + 1) === TYPE.OPT &&
  bytes.length === at + OPT_BYTES + bytes.readUInt16BE(at + 9);

const kept = new Map<Ip, Buffer>();
function bytesOf(address: Ip): Buffer {
  let bytes = kept.get(address);
  if (bytes === undefined) {
    if (kept.size >= KEPT_ADDRESSES) kept.clear();
    bytes = ipBytes(address);
    kept.set(address, bytes);
  }
  return bytes;
}

/**
 * The answer to a plain question, with these addresses in this order.
 * @param ttl seconds
 * @param limit bytes; undefined is returned when the answer is longer
 */
export function writePlainAnswer(
  query: Buffer,
  question: PlainQuestion,
  addresses: readonly Ip[],
  ttl: number,
  limit: number,
): Buffer | undefined {
  const { type, end, edns } = question;
  const size = type === 'A' ? 4 : 16;
  const length = end + addresses.length * (12 + size) + (edns ? OPT_BYTES : 0);
  if (length > limit) return undefined;
  const answer = Buffer.allocUnsafe(length);
  query.copy(answer, 0, 0, end);
  answer.writeUInt16BE(FLAGS | (query.readUInt16BE(2) & RD), 2);
  answer.writeUInt16BE(addresses.length, 6);
  answer.writeUInt16BE(0, 8);
  answer.writeUInt16BE(edns ? 1 : 0, 10);
  let at = end;
  for (const address of addresses) {
    // A pointer to the name of the question.
    answer.writeUInt16BE(0xc000 | HEADER, at);
    answer.writeUInt16BE(TYPE[type], at + 2);
    answer.writeUInt16BE(IN, at + 4);
    answer.writeUInt32BE(ttl, at + 6);
    answer.writeUInt16BE(size, at + 10);
    answer.set(bytesOf(address), at + 12);
    at += 12 + size;
  }
  if (edns) {
    answer.fill(0, at, at + OPT_BYTES);
    answer.writeUInt16BE(TYPE.OPT, at + 1);
    answer.writeUInt16BE(OFFERED_UDP_BYTES, at + 3);
  }
  return answer;
}

/** Those of the question's family. */
export function ofType(addresses: readonly Ip[], type: PlainQuestion['type']): readonly Ip[] {
  return addresses.filter((address) => isIpv4(address) === (type === 'A'));
}
