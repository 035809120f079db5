/**
 * Netlink messages, Buffer in and Buffer out (RFC 3549, netlink(7)). Integers are in host order, which is little
 * endian on every machine Node and this engine run on; `u16be` and `u32be` are for the fields defined in network order.
 */

export const NLM_F_REQUEST = 0x01;
export const NLM_F_ACK = 0x04;
export const NLM_F_EXCL = 0x200;
export const NLM_F_REPLACE = 0x100;
export const NLM_F_CREATE = 0x400;
export const NLM_F_DUMP = 0x300;

export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;
const NLM_F_ACK_TLVS = 0x200;
const NLM_F_CAPPED = 0x100;
const NLMSGERR_ATTR_MSG = 1;

const NLA_F_NESTED = 0x8000;
/** Strips NLA_F_NESTED and NLA_F_NET_BYTEORDER. */
const NLA_TYPE_MASK = 0x3fff;
const HEADER = 16;

export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly payload: Buffer;
}

export interface NetlinkFailure {
  /** Positive errno. */
  readonly errno: number;
  /** The kernel's extended acknowledgement, empty without one. */
  readonly text: string;
}

const align = (length: number): number => (length + 3) & ~3;

/** One message with its header; `parts` are the family's fixed header and the attributes. */
export function message(type: number, flags: number, sequence: number, parts: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(HEADER);
  const result = Buffer.concat([header, ...parts]);
  result.writeUInt32LE(result.length, 0);
  result.writeUInt16LE(type, 4);
  result.writeUInt16LE(flags, 6);
  result.writeUInt32LE(sequence, 8);
  return result;
}

export function attribute(type: number, payload: Uint8Array): Buffer {
  const result = Buffer.alloc(align(4 + payload.length));
  result.writeUInt16LE(4 + payload.length, 0);
  result.writeUInt16LE(type, 2);
  result.set(payload, 4);
  return result;
}

export function nested(type: number, ...parts: readonly Buffer[]): Buffer {
  return attribute(type | NLA_F_NESTED, Buffer.concat(parts));
}

export const u8 = (value: number): Buffer => Buffer.from([value]);
export function u32(value: number): Buffer {
  const result = Buffer.alloc(4);
  result.writeUInt32LE(value >>> 0);
  return result;
}
export function u16be(value: number): Buffer {
  const result = Buffer.alloc(2);
  result.writeUInt16BE(value);
  return result;
}
export function u32be(value: number): Buffer {
  const result = Buffer.alloc(4);
  result.writeUInt32BE(value >>> 0);
  return result;
}
/** A zero-terminated string. */
export const text = (value: string): Buffer => Buffer.from(`${value}\0`);
export const mac = (address: string): Buffer => Buffer.from(address.replaceAll(':', ''), 'hex');

export const readText = (payload: Buffer): string => payload.toString('utf8').replace(/\0.*$/s, '');
export const readMac = (payload: Buffer): string => (payload.toString('hex').match(/../g) ?? []).join(':');

/** The messages of one datagram; a truncated last one is left out. */
export function parseMessages(datagram: Buffer): NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  let offset = 0;
  while (offset + HEADER <= datagram.length) {
    const length = datagram.readUInt32LE(offset);
    if (length < HEADER || offset + length > datagram.length) break;
    messages.push({
      type: datagram.readUInt16LE(offset + 4),
      flags: datagram.readUInt16LE(offset + 6),
      sequence: datagram.readUInt32LE(offset + 8),
      payload: datagram.subarray(offset + HEADER, offset + length),
    });
    offset += align(length);
  }
  return messages;
}

/** The same where nothing is made: offsets of each message and of its end. */
export function visitMessages(
  datagram: Buffer,
  size: number,
  visit: (at: number, end: number) => void,
): void {
  for (let at = 0; at + HEADER <= size; ) {
    const length = datagram.readUInt32LE(at);
    if (length < HEADER || at + length > size) return;
    visit(at, at + length);
    at += align(length);
  }
}

/** Attributes from `offset` on; of a repeated one the last counts. */
export function parseAttributes(payload: Buffer, offset = 0): Map<number, Buffer> {
  const attributes = new Map<number, Buffer>();
  let at = offset;
  while (at + 4 <= payload.length) {
    const length = payload.readUInt16LE(at);
    if (length < 4 || at + length > payload.length) break;
    attributes.set(payload.readUInt16LE(at + 2) & NLA_TYPE_MASK, payload.subarray(at + 4, at + length));
    at += align(length);
  }
  return attributes;
}

/** The first attribute of a type, without looking at the ones after it: for dumps of thousands. */
export function readIn(payload: Buffer | undefined, type: number, offset = 0): Buffer | undefined {
  let at = offset;
  while (payload !== undefined && at + 4 <= payload.length) {
    const length = payload.readUInt16LE(at);
    if (length < 4 || at + length > payload.length) break;
    if ((payload.readUInt16LE(at + 2) & NLA_TYPE_MASK) === type) return payload.subarray(at + 4, at + length);
    at += align(length);
  }
  return undefined;
}

/** Where an attribute is, as offsets into its buffer: nothing is made. For thousands a second. */
export const ATTRIBUTE_HEADER = 4;

/** @returns the offset of the first attribute of this type between `from` and `to`, -1 without one */
export function findAttribute(buffer: Buffer, type: number, from: number, to: number): number {
  for (let at = from; at + ATTRIBUTE_HEADER <= to; ) {
    const length = buffer.readUInt16LE(at);
    if (length < ATTRIBUTE_HEADER || at + length > to) return -1;
    if ((buffer.readUInt16LE(at + 2) & NLA_TYPE_MASK) === type) return at;
    at += align(length);
  }
  return -1;
}

/** The first attribute of this type within the one at `at`; -1 without one, and where `at` is -1. */
export function findNested(buffer: Buffer, type: number, at: number): number {
  return at < 0 ? -1 : findAttribute(buffer, type, at + ATTRIBUTE_HEADER, at + buffer.readUInt16LE(at));
}

/** Attributes that all have the same type. */
export function attributeList(payload: Buffer): readonly Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at + 4 <= payload.length; ) {
    const length = payload.readUInt16LE(at);
    if (length < 4) break;
    found.push(payload.subarray(at + 4, at + length));
    at += align(length);
  }
  return found;
}

/** What an NLMSG_ERROR or NLMSG_DONE message says; undefined when it says success. */
export function failureOf(answer: NetlinkMessage): NetlinkFailure | undefined {
  if (answer.payload.length < 4) return undefined;
  const errno = -answer.payload.readInt32LE(0);
  if (errno === 0) return undefined;
  return { errno, text: extendedText(answer) };
}

function extendedText(answer: NetlinkMessage): string {
  if ((answer.flags & NLM_F_ACK_TLVS) === 0) return '';
  let offset = 4;
  if (answer.type === NLMSG_ERROR) {
    // The failed request follows the errno: whole, or only its header when the kernel capped it.
    const request = (answer.flags & NLM_F_CAPPED) !== 0 ? HEADER : answer.payload.readUInt32LE(4);
    offset += align(request);
  }
  const said = parseAttributes(answer.payload, offset).get(NLMSGERR_ATTR_MSG);
  return said === undefined ? '' : readText(said);
}
