import ipaddr from 'ipaddr.js';
import { invalid } from './errors.ts';

declare const brand: unique symbol;
type Brand<T, B extends string> = T & { readonly [brand]: B };

/** A dotted-quad IPv4 address, canonical form. */
export type Ipv4 = Brand<string, 'Ipv4'>;
/** A 48-bit MAC address, lower-case, colon separated. */
export type Mac = Brand<string, 'Mac'>;
/** A Linux interface name: 1 to 15 bytes, no `/`, no white space (net/core/dev.c, dev_valid_name). */
export type IfName = Brand<string, 'IfName'>;
/** An absolute path to a network namespace file that can be opened and given to setns(2). */
export type NetnsPath = Brand<string, 'NetnsPath'>;

/** An IPv4 network: `address` has its host bits cleared, `length` is 0 to 32. */
export interface Prefix {
  readonly address: Ipv4;
  readonly length: number;
}

/** An address together with its on-link prefix length, as an interface carries it (`10.10.10.10/24`). */
export interface InterfaceAddress {
  readonly address: Ipv4;
  readonly length: number;
}

/** @throws EngineError INVALID_PARAMETER */
export function parseIpv4(text: string): Ipv4 {
  if (!ipaddr.IPv4.isValidFourPartDecimal(text)) throw invalid(`invalid IPv4 address: ${text}`);
  return ipaddr.IPv4.parse(text).toString() as Ipv4;
}

/** Parses `A.B.C.D/N`, keeping the host bits. @throws EngineError INVALID_PARAMETER */
export function parseInterfaceAddress(text: string): InterfaceAddress {
  const [address = '', length = '', ...rest] = text.split('/');
  if (rest.length > 0 || !/^\d{1,2}$/.test(length) || Number(length) > 32) {
    throw invalid(`invalid CIDR address: ${text}`);
  }
  return { address: parseIpv4(address), length: Number(length) };
}

/** Parses `A.B.C.D/N` and requires the host bits to be zero. @throws EngineError INVALID_PARAMETER */
export function parsePrefix(text: string): Prefix {
  const given = parseInterfaceAddress(text);
  const prefix = prefixOf(given);
  if (prefix.address !== given.address)
    throw invalid(`invalid subnet ${text}: it should be ${formatPrefix(prefix)}`);
  return prefix;
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

export function ipv4ToNumber(address: Ipv4): number {
  return address.split('.').reduce((sum, octet) => sum * 256 + Number(octet), 0);
}

export function numberToIpv4(value: number): Ipv4 {
  return [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255].join('.') as Ipv4;
}

export function prefixOf(given: InterfaceAddress): Prefix {
  const mask = given.length === 0 ? 0 : (0xffffffff << (32 - given.length)) >>> 0;
  return { address: numberToIpv4((ipv4ToNumber(given.address) & mask) >>> 0), length: given.length };
}

export function formatPrefix(prefix: Prefix | InterfaceAddress): string {
  return `${prefix.address}/${prefix.length}`;
}

export function contains(prefix: Prefix, address: Ipv4): boolean {
  return prefixOf({ address, length: prefix.length }).address === prefix.address;
}

export function overlaps(a: Prefix, b: Prefix): boolean {
  return a.length <= b.length ? contains(a, b.address) : contains(b, a.address);
}
