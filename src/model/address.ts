import ipaddr from 'ipaddr.js';
import { invalid } from './errors.ts';

declare const brand: unique symbol;
type Brand<T, B extends string> = T & { readonly [brand]: B };

/** A dotted-quad IPv4 address, canonical form. */
export type Ipv4 = Brand<string, 'Ipv4'>;
/** An IPv6 address in the form of RFC 5952, without a zone. */
export type Ipv6 = Brand<string, 'Ipv6'>;
export type Ip = Ipv4 | Ipv6;
export type Family = 'ipv4' | 'ipv6';
export const FAMILIES: readonly Family[] = ['ipv4', 'ipv6'];
/** A 48-bit MAC address, lower-case, colon separated. */
export type Mac = Brand<string, 'Mac'>;
/** A Linux interface name: 1 to 15 bytes, no `/`, no white space (net/core/dev.c, dev_valid_name). */
export type IfName = Brand<string, 'IfName'>;
/** An absolute path to a network namespace file that can be opened and given to setns(2). */
export type NetnsPath = Brand<string, 'NetnsPath'>;

/** A network: `address` has its host bits cleared, `length` is 0 to 32, or 128 for IPv6. */
export interface Prefix<A extends Ip = Ip> {
  readonly address: A;
  readonly length: number;
}

/** An address together with its on-link prefix length, as an interface carries it (`10.10.10.10/24`). */
export interface InterfaceAddress<A extends Ip = Ip> {
  readonly address: A;
  readonly length: number;
}

/** RFC 8200 §5, bytes: below it the kernel takes IPv6 off the link. */
export const IPV6_LEAST_MTU = 1280;

export const ANY_IPV4 = '0.0.0.0' as Ipv4;
export const ANY_IPV6 = '::' as Ipv6;

export function familyOf(address: Ip): Family {
  return address.includes(':') ? 'ipv6' : 'ipv4';
}

export const isIpv4 = (address: Ip): address is Ipv4 => familyOf(address) === 'ipv4';

/** The bits of an address. */
export const bitsOf = (address: Ip): 32 | 128 => (isIpv4(address) ? 32 : 128);

/** Every address of the host: `0.0.0.0` or `::`. */
export const isAny = (address: Ip): boolean => address === ANY_IPV4 || address === ANY_IPV6;

export const isLoopback = (address: Ip): boolean => address === '::1' || address.startsWith('127.');

/** @throws EngineError INVALID_PARAMETER */
export function parseIpv4(text: string): Ipv4 {
  if (!ipaddr.IPv4.isValidFourPartDecimal(text)) throw invalid(`invalid IPv4 address: ${text}`);
  return ipaddr.IPv4.parse(text).toString() as Ipv4;
}

/** @throws EngineError INVALID_PARAMETER */
export function parseIpv6(text: string): Ipv6 {
  // No zone: an address of the model is one of the whole host.
  if (text.includes('%') || !ipaddr.IPv6.isValid(text)) throw invalid(`invalid IPv6 address: ${text}`);
  return ipaddr.IPv6.parse(text).toRFC5952String() as Ipv6;
}

/** @throws EngineError INVALID_PARAMETER */
export function parseIp(text: string): Ip {
  if (text.includes(':')) return parseIpv6(text);
  if (!ipaddr.IPv4.isValidFourPartDecimal(text)) throw invalid(`invalid IP address: ${text}`);
  return parseIpv4(text);
}

/** Parses `A.B.C.D/N` or `A::B/N`, keeping the host bits. @throws EngineError INVALID_PARAMETER */
export function parseInterfaceAddress(text: string): InterfaceAddress {
  const [address = '', length = '', ...rest] = text.split('/');
  const parsed = parseIpOrUndefined(address);
  if (
    parsed === undefined ||
    rest.length > 0 ||
    !/^\d{1,3}$/.test(length) ||
    Number(length) > bitsOf(parsed)
  ) {
    throw invalid(`invalid CIDR address: ${text}`);
  }
  return { address: parsed, length: Number(length) };
}

/** Parses `ADDRESS/N` and requires the host bits to be zero. @throws EngineError INVALID_PARAMETER */
export function parsePrefix(text: string): Prefix {
  const given = parseInterfaceAddress(text);
  const prefix = prefixOf(given);
  if (prefix.address !== given.address)
    throw invalid(`invalid subnet ${text}: it should be ${formatPrefix(prefix)}`);
  return prefix;
}

function parseIpOrUndefined(text: string): Ip | undefined {
  try {
    return parseIp(text);
  } catch {
    return undefined;
  }
}

/** @throws EngineError INVALID_PARAMETER */
export function parseMac(text: string): Mac {
  if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(text)) throw invalid(`invalid MAC address: ${text}`);
  return text.toLowerCase() as Mac;
}

/** @throws EngineError INVALID_PARAMETER */
export function parseIfName(text: string): IfName {
  if (!/^[^\s/:]{1,15}$/.test(text) || text === '.' || text === '..') {
    throw invalid(
      `invalid interface name: ${JSON.stringify(text)} (1 to 15 characters, no space, '/' or ':')`,
    );
  }
  return text as IfName;
}

/** The bytes of an address, in network order: 4 or 16. */
export function ipBytes(address: Ip): Buffer {
  return Buffer.from(ipaddr.parse(address).toByteArray());
}

export function ipFromBytes(bytes: Buffer): Ip {
  if (bytes.length === 4) return bytes.join('.') as Ipv4;
  const parsed = ipaddr.fromByteArray([...bytes]);
  return (parsed.kind() === 'ipv4'
    ? parsed.toString()
    : (parsed as ipaddr.IPv6).toRFC5952String()) as unknown as Ip;
}

/** @param number 32 bits, the first byte above */
export const ipv4FromNumber = (number: number): Ipv4 =>
  `${number >>> 24}.${(number >>> 16) & 255}.${(number >>> 8) & 255}.${number & 255}` as Ipv4;

export function ipToBigInt(address: Ip): bigint {
  return BigInt(`0x${ipBytes(address).toString('hex')}`);
}

export function bigIntToIp<A extends Ip>(value: bigint, like: A): A {
  const digits = bitsOf(like) / 4;
  return ipFromBytes(Buffer.from(value.toString(16).padStart(digits, '0'), 'hex')) as A;
}

export function prefixOf<A extends Ip>(given: InterfaceAddress<A>): Prefix<A> {
  const free = BigInt(bitsOf(given.address) - given.length);
  return {
    address: bigIntToIp((ipToBigInt(given.address) >> free) << free, given.address),
    length: given.length,
  };
}

export function formatPrefix(prefix: Prefix | InterfaceAddress): string {
  return `${prefix.address}/${prefix.length}`;
}

/** False for an address of the other family. */
export function contains(prefix: Prefix, address: Ip): boolean {
  return (
    familyOf(prefix.address) === familyOf(address) &&
    prefixOf({ address, length: prefix.length }).address === prefix.address
  );
}

/** False for prefixes of different families. */
export function overlaps(a: Prefix, b: Prefix): boolean {
  return a.length <= b.length ? contains(a, b.address) : contains(b, a.address);
}

/** `[::1]:80`, `127.0.0.1:80` (RFC 3986 §3.2.2). */
export function formatSocketAddress(address: string, port: number | string): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
