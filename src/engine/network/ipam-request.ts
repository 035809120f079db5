import {
  contains,
  type Family,
  familyOf,
  formatPrefix,
  type InterfaceAddress,
  type Ip,
  isAny,
  overlaps,
  type Prefix,
  parseInterfaceAddress,
  parseIp,
  prefixOf,
} from '../../model/address.ts';
import { EngineError, errors, forbidden, invalid, invalidAll, system } from '../../model/errors.ts';
import { AddressPool } from '../../plan/ipam.ts';
import { edgeAddresses } from '../../plan/subnet-pool.ts';

/** One entry of `IPAM.Config`. */
export interface IpamConfig {
  readonly subnet: string | undefined;
  readonly range: string | undefined;
  readonly gateway: string | undefined;
  readonly aux: Readonly<Record<string, string>>;
}

/** What a user wants of one family of a network. */
export interface AddressingWish {
  readonly subnet?: Prefix;
  /** `0.0.0.0/24`: a subnet of that size from the pools. */
  readonly size?: number;
  readonly gateway?: Ip;
  readonly ipRange?: Prefix;
  readonly auxAddresses: Readonly<Record<string, Ip>>;
}

/** @throws EngineError in Docker's words: every mistake of every entry, in one error (moby api/types/network/ipam.go) */
export function parseIpam(
  configs: readonly IpamConfig[],
  enabled: Readonly<Record<Family, boolean>>,
  driver: string,
): Readonly<Partial<Record<Family, AddressingWish>>> {
  const wrong: string[] = [];
  const wishes = configs.map((config) => parseConfig(config, enabled.ipv6, wrong));
  if (wrong.length > 0) throw invalidAll('invalid network config:', wrong);
  const found: Partial<Record<Family, AddressingWish>> = {};
  for (const { family, wish } of wishes.filter((each) => each !== undefined)) {
    // Docker passes over what belongs to a family that is off.
    if (!enabled[family]) continue;
    const before = found[family];
    if (before !== undefined) {
      throw before.subnet && wish.subnet && overlaps(before.subnet, wish.subnet)
        ? errors.poolOverlaps()
        : forbidden(`${driver} driver doesn't support multiple subnets`);
    }
    found[family] = wish;
  }
  const none: AddressingWish = { auxAddresses: {} };
  return {
    ...(enabled.ipv4 && { ipv4: found.ipv4 ?? none }),
    ...(enabled.ipv6 && { ipv6: found.ipv6 ?? none }),
  };
}

/** Mistakes go to `wrong`. @returns undefined when the subnet is none, or of IPv6 where that is off */
function parseConfig(
  { subnet: text = '', range, gateway, aux }: IpamConfig,
  ipv6: boolean,
  wrong: string[],
): { readonly wish: AddressingWish; readonly family: Family } | undefined {
  const given = cidr(text);
  if (given === undefined) {
    wrong.push(`invalid subnet ${text}: invalid CIDR block notation`);
    return undefined;
  }
  const family = familyOf(given.address);
  if (family === 'ipv6' && !ipv6) return undefined;
  const parent = prefixOf(given);
  if (parent.address !== given.address)
    wrong.push(`invalid subnet ${text}: it should be ${formatPrefix(parent)}`);
  const size = isAny(parent.address) && parent.length > 0 ? parent.length : undefined;
  const holds = (address: Ip): boolean => size === undefined && contains(parent, address);
  const block = `parent subnet is an ${family === 'ipv4' ? 'IPv4' : 'IPv6'} block`;

  const ipRange = range === undefined ? undefined : cidr(range);
  if (range !== undefined) {
    const mistakes = rangeMistakes(ipRange, given, block, holds);
    wrong.push(...mistakes.map((mistake) => `invalid ip-range ${range}: ${mistake}`));
  }
  const address = (what: string, host: string): Ip | undefined => {
    const parsed = attempt(() => parseIp(host));
    if (parsed === undefined) wrong.push(`invalid ${what}: invalid address`);
    else if (familyOf(parsed) !== family) wrong.push(`invalid ${what}: ${block}`);
    else if (!holds(parsed))
      wrong.push(`invalid ${what}: parent subnet ${formatPrefix(given)} doesn't contain this address`);
    return parsed;
  };
  const parsedGateway = gateway === undefined ? undefined : address(`gateway ${gateway}`, gateway);
  const auxAddresses: Record<string, Ip> = {};
  for (const [name, host] of Object.entries(aux)) {
    const parsed = address(`auxiliary address ${name}`, host);
    if (parsed !== undefined) auxAddresses[name] = parsed;
  }
  return {
    family,
    wish: {
      ...(size === undefined ? { subnet: parent } : { size }),
      ...(parsedGateway && { gateway: parsedGateway }),
      ...(ipRange && { ipRange }),
      auxAddresses,
    },
  };
}

function rangeMistakes(
  range: InterfaceAddress | undefined,
  parent: InterfaceAddress,
  block: string,
  holds: (address: Ip) => boolean,
): readonly string[] {
  if (range === undefined) return ['invalid CIDR block notation'];
  if (familyOf(range.address) !== familyOf(parent.address)) return [block];
  const masked = prefixOf(range);
  const bigger = range.length < parent.length;
  return [
    ...(bigger ? [`CIDR block is bigger than its parent subnet ${formatPrefix(parent)}`] : []),
    ...(masked.address === range.address ? [] : [`it should be ${formatPrefix(masked)}`]),
    ...(bigger || holds(range.address)
      ? []
      : [`parent subnet ${formatPrefix(parent)} doesn't contain ip-range`]),
  ];
}

const cidr = (text: string): InterfaceAddress | undefined => attempt(() => parseInterfaceAddress(text));

function attempt<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (error instanceof EngineError) return undefined;
    throw error;
  }
}

/**
 * @throws EngineError SYSTEM when the gateway or a reserved address is one that no host can have, or has two owners;
 * INVALID_PARAMETER for a subnet of multicast addresses
 */
export function checkReserved(subnet: Prefix, gateway: Ip, aux: Readonly<Record<string, Ip>>): void {
  const ipv6 = familyOf(gateway) === 'ipv6';
  if (ipv6 && subnet.length === 128)
    throw system('failed to allocate gateway (): no available addresses on this pool');
  const pool = new AddressPool(subnet, undefined, []);
  const unusable = new Set(edgeAddresses(subnet));
  const free = (address: Ip): boolean => !unusable.has(address) && pool.take(address) === 'taken';
  if (!free(gateway)) throw system(`failed to allocate gateway (${gateway}): Address already in use`);
  for (const [name, address] of Object.entries(aux)) {
    if (!free(address))
      throw system(`failed to allocate secondary ip address (${name}:${address}): Address already in use`);
  }
  // RFC 4291 §2.7.
  if (ipv6 && /^ff[0-9a-f]{2}:/.test(gateway))
    throw invalid(`multicast subnet '${gateway}/${subnet.length}' is not allowed`);
}
