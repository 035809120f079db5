import { createHash } from 'node:crypto';
import {
  bigIntToIp,
  bitsOf,
  familyOf,
  type InterfaceAddress,
  type Ip,
  ipFromBytes,
  ipToBigInt,
  isIpv4,
  type Prefix,
  parsePrefix,
  prefixOf,
} from '../model/address.ts';

export interface SubnetSource {
  readonly base: Prefix;
  /** Prefix length of the subnets cut from it. */
  readonly size: number;
}

const source = (text: string, size: number): SubnetSource => ({ base: parsePrefix(text), size });

/**
 * Docker's own pools (libnetwork ipamutils), which end after 31 networks, and then a thousand smaller ones: a host does
 * not run out of networks before it runs out of bridges.
 */
export const DEFAULT_SOURCES: readonly SubnetSource[] = [
  source('172.17.0.0/16', 16),
  source('172.18.0.0/16', 16),
  source('172.19.0.0/16', 16),
  source('172.20.0.0/14', 16),
  source('172.24.0.0/14', 16),
  source('172.28.0.0/14', 16),
  source('192.168.0.0/16', 20),
  source('10.208.0.0/12', 22),
];

/** Subnets of IPv6 are /64: what stateless configuration and many programs take for granted (RFC 7421). */
const IPV6_SIZE = 64;

/**
 * A /48 of unique local addresses (RFC 4193) that is this host's own and stays the same: its global id is made from
 * `hostId` (machine-id(5)). 65,536 networks.
 */
export function uniqueLocalSource(hostId: string): SubnetSource {
  const digest = createHash('sha256').update(`gangway ${hostId}`).digest();
  const bytes = Buffer.concat([Buffer.from([0xfd]), digest.subarray(0, 5), Buffer.alloc(10)]);
  return { base: { address: ipFromBytes(bytes), length: 48 }, size: IPV6_SIZE };
}

/**
 * The first subnet that overlaps nothing in use; undefined when every source is used up. O(n log n) in what is in use.
 * @param like an address of the wanted family
 * @param size prefix length instead of the sources' own; sources smaller than that are passed over
 */
export function chooseSubnet<A extends Ip>(
  sources: readonly SubnetSource[],
  inUse: readonly (Prefix | InterfaceAddress)[],
  like: A,
  size?: number,
): Prefix<A> | undefined {
  const family = familyOf(like);
  const used = inUse
    .filter(({ address }) => familyOf(address) === family)
    .map(span)
    .toSorted((a, b) => (a.first < b.first ? -1 : 1));
  for (const candidate of sources) {
    const length = size ?? candidate.size;
    if (familyOf(candidate.base.address) !== family || length < candidate.base.length) continue;
    const { first, last } = span(candidate.base);
    const step = 1n << BigInt(bitsOf(like) - length);
    let value = first;
    // From left to right: what is in use pushes the candidate to the next multiple behind it.
    for (const other of used) {
      if (other.last < value) continue;
      if (other.first >= value + step) break;
      value += ((other.last - value) / step + 1n) * step;
    }
    if (value <= last) return { address: bigIntToIp(value, like), length };
  }
  return undefined;
}

function span(of: Prefix | InterfaceAddress): { readonly first: bigint; readonly last: bigint } {
  const first = ipToBigInt(prefixOf(of).address);
  return { first, last: first + (1n << BigInt(bitsOf(of.address) - of.length)) - 1n };
}

/** The first address of the subnet that a host may have. */
export function firstAddress<A extends Ip>(subnet: Prefix<A>): A {
  const wide = subnet.length < bitsOf(subnet.address) - 1;
  return bigIntToIp(ipToBigInt(subnet.address) + (wide ? 1n : 0n), subnet.address);
}

/** Addresses of the subnet that no host can have. */
export function edgeAddresses<A extends Ip>(subnet: Prefix<A>): readonly A[] {
  if (subnet.length >= bitsOf(subnet.address) - 1) return [];
  const { first, last } = span(subnet);
  return [first, ...(isIpv4(subnet.address) ? [last] : [])].map((value) => bigIntToIp(value, subnet.address));
}
