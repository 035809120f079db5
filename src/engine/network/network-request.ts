import { z } from 'zod';
import {
  contains,
  formatPrefix,
  type InterfaceAddress,
  type Ipv4,
  ipv4ToNumber,
  numberToIpv4,
  type Prefix,
  parseIfName,
  parseIpv4,
  parsePrefix,
} from '../../model/address.ts';
import {
  type EngineError,
  forbidden,
  invalid,
  notFound,
  notImplemented,
  system,
} from '../../model/errors.ts';
import type { BridgeSettings } from '../../model/network.ts';
import { AddressPool } from '../../plan/ipam.ts';

const PREDEFINED = new Set(['bridge', 'host', 'none', 'default']);

const map = z.record(z.string(), z.string()).nullish();
const body = z.looseObject({
  Name: z.string(),
  CheckDuplicate: z.boolean().nullish(),
  Driver: z.string().nullish(),
  Scope: z.string().nullish(),
  Internal: z.boolean().nullish(),
  Attachable: z.boolean().nullish(),
  Ingress: z.boolean().nullish(),
  ConfigOnly: z.boolean().nullish(),
  ConfigFrom: z.looseObject({ Network: z.string().nullish() }).nullish(),
  EnableIPv4: z.boolean().nullish(),
  EnableIPv6: z.boolean().nullish(),
  Options: map,
  Labels: map,
  IPAM: z
    .looseObject({
      Driver: z.string().nullish(),
      Options: map,
      Config: z
        .array(
          z.looseObject({
            Subnet: z.string().nullish(),
            IPRange: z.string().nullish(),
            Gateway: z.string().nullish(),
            AuxiliaryAddresses: map,
          }),
        )
        .nullish(),
    })
    .nullish(),
});

/** What a user wants of a new bridge network; absent members are the engine's to choose. */
export interface NetworkWish {
  readonly name: string;
  readonly internal: boolean;
  readonly attachable: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
  readonly subnet?: Prefix;
  readonly gateway?: Ipv4;
  readonly ipRange?: Prefix;
  readonly auxAddresses: Readonly<Record<string, Ipv4>>;
  readonly bridge: Partial<Pick<BridgeSettings, 'ifName' | 'mtu' | 'icc' | 'egress' | 'hostBinding'>>;
}

/** The body of `POST /networks/create`. @throws EngineError in Docker's words */
export function parseNetworkRequest(given: unknown): NetworkWish {
  const parsed = body.safeParse(given ?? {});
  if (!parsed.success) throw invalid(`invalid network config:\n${z.prettifyError(parsed.error)}`);
  const request = parsed.data;
  if (request.Name.trim() === '') throw invalid('invalid name: name is empty');
  if (PREDEFINED.has(request.Name)) {
    throw forbidden(`operation is not permitted on predefined ${request.Name} network `);
  }
  if ((request.Scope ?? 'local') === 'swarm')
    throw forbidden('cannot create a swarm scoped network when swarm is not active');
  checkDriver(request.Driver || 'bridge');
  if (request.ConfigOnly || request.ConfigFrom?.Network) throw notImplemented('a config-only network');
  if (request.Ingress) throw notImplemented('an ingress network');
  if (request.EnableIPv6) throw notImplemented('IPv6 on a network');
  if (request.EnableIPv4 === false) throw notImplemented('a network without IPv4');
  const ipamDriver = request.IPAM?.Driver || 'default';
  if (ipamDriver !== 'default') throw notFound(`plugin "${ipamDriver}" not found`);
  const configs = request.IPAM?.Config ?? [];
  if (configs.length > 1) throw forbidden("bridge driver doesn't support multiple subnets");
  const [config] = configs;
  return {
    name: request.Name,
    internal: request.Internal ?? false,
    attachable: request.Attachable ?? false,
    labels: request.Labels ?? {},
    options: request.Options ?? {},
    ...parseIpam({
      subnet: config?.Subnet || undefined,
      range: config?.IPRange || undefined,
      gateway: config?.Gateway || undefined,
      aux: config?.AuxiliaryAddresses ?? {},
    }),
    bridge: parseOptions(request.Options ?? {}),
  };
}

function checkDriver(driver: string): void {
  if (driver === 'bridge') return;
  if (driver === 'overlay') {
    throw notImplemented('an overlay network (it needs the cluster store, which comes later)');
  }
  if (driver === 'macvlan' || driver === 'ipvlan') throw notImplemented(`the network driver ${driver}`);
  if (driver === 'host' || driver === 'null') {
    throw forbidden(`only one instance of "${driver}" network is allowed`);
  }
  throw notFound(`plugin "${driver}" not found`);
}

function parseIpam(given: {
  readonly subnet: string | undefined;
  readonly range: string | undefined;
  readonly gateway: string | undefined;
  readonly aux: Readonly<Record<string, string>>;
}): Pick<NetworkWish, 'subnet' | 'gateway' | 'ipRange' | 'auxAddresses'> {
  const wrong: string[] = [];
  const attempt = <T>(parse: () => T): T | undefined => {
    try {
      return parse();
    } catch (error) {
      wrong.push(error instanceof Error ? error.message : String(error));
      return undefined;
    }
  };
  const cidr = (what: string, text: string): Prefix => {
    if (text.includes(':')) throw notImplemented('IPv6 on a network');
    try {
      return parsePrefix(text);
    } catch (error) {
      if (error instanceof Error && error.message.includes('it should be'))
        throw invalid(error.message.replace('subnet', what));
      throw invalid(`invalid ${what} ${text}: invalid CIDR block notation`);
    }
  };
  const { range, gateway } = given;
  const subnet = given.subnet === undefined ? undefined : attempt(() => cidr('subnet', given.subnet ?? ''));
  if (given.subnet === undefined && (range !== undefined || gateway !== undefined)) {
    wrong.push('invalid subnet : invalid CIDR block notation');
  }
  const outside = (what: string, text: string, of: string) =>
    `invalid ${what} ${text}: parent subnet ${subnet && formatPrefix(subnet)} doesn't contain ${of}`;
  const ipRange =
    range === undefined || given.subnet === undefined ? undefined : attempt(() => cidr('ip-range', range));
  if (subnet && ipRange && range && !(contains(subnet, ipRange.address) && ipRange.length >= subnet.length)) {
    wrong.push(outside('ip-range', range, 'ip-range'));
  }
  const address = (what: string, text: string): Ipv4 | undefined =>
    attempt(() => {
      let parsed: Ipv4;
      try {
        parsed = parseIpv4(text);
      } catch {
        throw invalid(`invalid ${what} ${text}: invalid address`);
      }
      if (subnet && !contains(subnet, parsed)) throw invalid(outside(what, text, 'this address'));
      return parsed;
    });
  const parsedGateway =
    gateway === undefined || given.subnet === undefined ? undefined : address('gateway', gateway);
  const auxAddresses: Record<string, Ipv4> = {};
  for (const [name, text] of Object.entries(given.aux)) {
    const parsed = address('auxiliary address', text);
    if (parsed !== undefined) auxAddresses[name] = parsed;
  }
  if (wrong.length > 0) throw invalid(`invalid network config:\n${wrong.join('\n')}`);
  return {
    ...(subnet && { subnet }),
    ...(parsedGateway && { gateway: parsedGateway }),
    ...(ipRange && { ipRange }),
    auxAddresses,
  };
}

const flag = (name: string, text: string): boolean => {
  if (/^(1|t|true)$/i.test(text)) return true;
  if (/^(0|f|false)$/i.test(text)) return false;
  throw unparsed(name, text, `strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`);
};

const unparsed = (name: string, value: string, why: string): EngineError =>
  invalid(`failed to parse ${name} value: ${value} (${why})`);

function address(name: string, value: string): Ipv4 {
  try {
    return parseIpv4(value);
  } catch {
    throw unparsed(name, value, 'nil ip');
  }
}

/** `com.docker.network.*` (docs.docker.com, "Bridge network driver", "Options"). */
function parseOptions(options: Readonly<Record<string, string>>): NetworkWish['bridge'] {
  const settings: { -readonly [K in keyof NetworkWish['bridge']]: NetworkWish['bridge'][K] } = {};
  for (const [name, value] of Object.entries(options)) {
    switch (name.replace(/^com\.docker\.network\./, '')) {
      case 'bridge.name':
        settings.ifName = parseIfName(value);
        break;
      case 'bridge.enable_icc':
        settings.icc = flag(name, value);
        break;
      case 'bridge.enable_ip_masquerade':
        if (!flag(name, value)) settings.egress = { mode: 'none' };
        break;
      case 'bridge.host_binding_ipv4':
        settings.hostBinding = address(name, value);
        break;
      case 'driver.mtu': {
        const mtu = Number(value);
        if (!/^[-+]?\d+$/.test(value))
          throw unparsed(name, value, `strconv.Atoi: parsing ${JSON.stringify(value)}: invalid syntax`);
        // The least an IPv4 link may have is 68 (RFC 791), the most a bridge has is 65535.
        if (mtu < 68 || mtu > 65_535) throw invalid(`invalid MTU number: ${mtu}`);
        settings.mtu = mtu;
        break;
      }
      case 'host_ipv4':
        settings.egress = { mode: 'snat', to: address(name, value) };
        break;
      default:
        // dockerd keeps what it does not know; what it does know and we do not is said.
        if (name.startsWith('com.docker.network.')) throw notImplemented(`the network option ${name}`);
    }
  }
  return settings;
}

/** The first address of the subnet that a host may have, unless the user chose one. */
export function gatewayOf(subnet: Prefix, chosen: Ipv4 | undefined): InterfaceAddress {
  const first = ipv4ToNumber(subnet.address) + (subnet.length < 31 ? 1 : 0);
  return { address: chosen ?? numberToIpv4(first), length: subnet.length };
}

/** @throws EngineError SYSTEM when the gateway or a reserved address is one that no host can have, or has two owners */
export function checkReserved(subnet: Prefix, gateway: Ipv4, aux: Readonly<Record<string, Ipv4>>): void {
  const pool = new AddressPool(subnet, undefined, []);
  const unusable = new Set(subnet.length < 31 ? edges(subnet) : []);
  const free = (address: Ipv4): boolean => !unusable.has(address) && pool.take(address) === 'taken';
  if (!free(gateway)) throw system(`failed to allocate gateway (${gateway}): Address already in use`);
  for (const [name, address] of Object.entries(aux)) {
    if (!free(address))
      throw system(`failed to allocate secondary ip address (${name}:${address}): Address already in use`);
  }
}

function edges(subnet: Prefix): readonly Ipv4[] {
  const first = ipv4ToNumber(subnet.address);
  return [subnet.address, numberToIpv4(first + 2 ** (32 - subnet.length) - 1)];
}
