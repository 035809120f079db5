import {
  contains,
  type Family,
  familyOf,
  formatPrefix,
  type Ip,
  isAny,
  type Prefix,
  parseIp,
  parsePrefix,
} from '../../model/address.ts';
import { forbidden, invalid, system } from '../../model/errors.ts';
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

/** @throws EngineError in Docker's words: every mistake of every entry, in one error */
export function parseIpam(
  configs: readonly IpamConfig[],
  enabled: Readonly<Record<Family, boolean>>,
  driver: string,
): Readonly<Partial<Record<Family, AddressingWish>>> {
  const wrong: string[] = [];
  const found: Partial<Record<Family, AddressingWish>> = {};
  for (const config of configs) {
    const { wish, family } = parseConfig(config, wrong);
    // Docker passes over what belongs to a family that is off.
    if (!enabled[family]) continue;
    if (found[family] !== undefined) throw forbidden(`${driver} driver doesn't support multiple subnets`);
    found[family] = wish;
  }
  if (wrong.length > 0) throw invalid(`invalid network config:\n${wrong.join('\n')}`);
  const none: AddressingWish = { auxAddresses: {} };
  return {
    ...(enabled.ipv4 && { ipv4: found.ipv4 ?? none }),
    ...(enabled.ipv6 && { ipv6: found.ipv6 ?? none }),
  };
}

function parseConfig(
  { subnet: subnetText, range, gateway, aux }: IpamConfig,
  wrong: string[],
): { readonly wish: AddressingWish; readonly family: Family } {
  const attempt = <T>(parse: () => T): T | undefined => {
    try {
      return parse();
    } catch (error) {
      wrong.push(error instanceof Error ? error.message : String(error));
      return undefined;
    }
  };
  const given = subnetText === undefined ? undefined : attempt(() => cidr('subnet', subnetText));
  const size = given !== undefined && isAny(given.address) && given.length > 0 ? given.length : undefined;
  const subnet = size === undefined ? given : undefined;
  if (subnetText === undefined && (range !== undefined || gateway !== undefined)) {
    wrong.push('invalid subnet : invalid CIDR block notation');
  }
  const outside = (what: string, text: string, of: string): string =>
    `invalid ${what} ${text}: parent subnet ${given && formatPrefix(given)} doesn't contain ${of}`;
  const ipRange =
    range === undefined || subnetText === undefined ? undefined : attempt(() => cidr('ip-range', range));
  const holds = (prefix: Prefix): boolean =>
    subnet !== undefined && contains(subnet, prefix.address) && prefix.length >= subnet.length;
  if (given && ipRange && range && !holds(ipRange)) wrong.push(outside('ip-range', range, 'ip-range'));
  const address = (what: string, text: string): Ip | undefined =>
    attempt(() => {
      let parsed: Ip;
      try {
        parsed = parseIp(text);
      } catch {
        throw invalid(`invalid ${what} ${text}: invalid address`);
      }
      if (given && !(subnet && contains(subnet, parsed))) throw invalid(outside(what, text, 'this address'));
      return parsed;
    });
  const parsedGateway =
    gateway === undefined || subnetText === undefined ? undefined : address('gateway', gateway);
  const auxAddresses: Record<string, Ip> = {};
  for (const [name, text] of Object.entries(aux)) {
    const parsed = address('auxiliary address', text);
    if (parsed !== undefined) auxAddresses[name] = parsed;
  }
  return {
    family: given === undefined ? 'ipv4' : familyOf(given.address),
    wish: {
      ...(subnet && { subnet }),
      ...(size !== undefined && { size }),
      ...(parsedGateway && { gateway: parsedGateway }),
      ...(ipRange && { ipRange }),
      auxAddresses,
    },
  };
}

function cidr(what: string, text: string): Prefix {
  try {
    return parsePrefix(text);
  } catch (error) {
    if (error instanceof Error && error.message.includes('it should be'))
      throw invalid(error.message.replace('subnet', what));
    throw invalid(`invalid ${what} ${text}: invalid CIDR block notation`);
  }
}

/** @throws EngineError SYSTEM when the gateway or a reserved address is one that no host can have, or has two owners */
export function checkReserved(subnet: Prefix, gateway: Ip, aux: Readonly<Record<string, Ip>>): void {
  const pool = new AddressPool(subnet, undefined, []);
  const unusable = new Set(familyOf(gateway) === 'ipv4' ? edgeAddresses(subnet) : []);
  const free = (address: Ip): boolean => !unusable.has(address) && pool.take(address) === 'taken';
  if (!free(gateway)) throw system(`failed to allocate gateway (${gateway}): Address already in use`);
  for (const [name, address] of Object.entries(aux)) {
    if (!free(address))
      throw system(`failed to allocate secondary ip address (${name}:${address}): Address already in use`);
  }
}
