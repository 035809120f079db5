import {
  type InterfaceAddress,
  ipv4ToNumber,
  numberToIpv4,
  overlaps,
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

/** The first subnet that overlaps nothing in use; undefined when every source is used up. */
export function chooseSubnet(
  sources: readonly SubnetSource[],
  inUse: readonly (Prefix | InterfaceAddress)[],
): Prefix | undefined {
  const used = inUse.map(prefixOf);
  for (const { base, size } of sources) {
    const step = 2 ** (32 - size);
    const first = ipv4ToNumber(base.address);
    const end = first + 2 ** (32 - base.length);
    for (let value = first; value < end; value += step) {
      const candidate: Prefix = { address: numberToIpv4(value), length: size };
      if (!used.some((other) => overlaps(candidate, other))) return candidate;
    }
  }
  return undefined;
}
