import {
  type InterfaceAddress,
  ipv4ToNumber,
  numberToIpv4,
  type Prefix,
  prefixOf,
} from '../model/address.ts';

export interface SubnetSource {
  readonly base: Prefix;
  /** Prefix length of the subnets cut from it. */
  readonly size: number;
}

const source = (text: string, size: number): SubnetSource => {
  const [address = '', length = ''] = text.split('/');
  return { base: { address: address as Prefix['address'], length: Number(length) }, size };
};

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

/** The first subnet that overlaps nothing in use; undefined when every source is used up. O(n log n) in what is in use. */
export function chooseSubnet(
  sources: readonly SubnetSource[],
  inUse: readonly (Prefix | InterfaceAddress)[],
): Prefix | undefined {
  const used = inUse.map(span).toSorted((a, b) => a.first - b.first);
  for (const { base, size } of sources) {
    const { first, last } = span(base);
    const step = 2 ** (32 - size);
    let value = first;
    // From left to right: what is in use pushes the candidate to the next multiple behind it.
    for (const other of used) {
      if (other.last < value) continue;
      if (other.first >= value + step) break;
      value += Math.ceil((other.last + 1 - value) / step) * step;
    }
    if (value <= last) return { address: numberToIpv4(value), length: size };
  }
  return undefined;
}

function span(of: Prefix | InterfaceAddress): { readonly first: number; readonly last: number } {
  const first = ipv4ToNumber(prefixOf(of).address);
  return { first, last: first + 2 ** (32 - of.length) - 1 };
}
