import type { DaemonConfig } from '../engine/config.ts';
import {
  ANY_IPV4,
  bitsOf,
  contains,
  familyOf,
  type InterfaceAddress,
  type Ip,
  type Ipv4,
  type Ipv6,
  parseIfName,
  parseInterfaceAddress,
  parseIp,
  parseIpv4,
  parseIpv6,
  prefixOf,
} from '../model/address.ts';
import { EngineError, invalid } from '../model/errors.ts';
import type { OptionReader } from './option-reader.ts';
import * as values from './values.ts';
import { ConfigError } from './values.ts';

/** Of the default bridge, and for all networks. @throws ConfigError naming the option */
export function networkConfig(read: OptionReader): DaemonConfig['network'] {
  const bridgeName = read.text('bridge');
  const bridge = bridgeName === 'none' ? 'none' : named('bridge name', bridgeName, parseIfName);
  const bip = named('bip', read.text('bip'), ipv4Cidr);
  const bip6 = named('bip6', read.text('bip6'), ipv6Cidr);
  if (bridge !== undefined && bridge !== 'none' && bip !== undefined) {
    throw new ConfigError('You specified -b & --bip, mutually exclusive options. Please specify only one');
  }
  const fixed = named('fixed-cidr', read.text('fixed-cidr'), ipv4Cidr);
  const fixed6 = named('fixed-cidr-v6', read.text('fixed-cidr-v6'), ipv6Cidr);
  const gateway = named('default-gateway', read.text('default-gateway'), parseIpv4);
  const gateway6 = named('default-gateway-v6', read.text('default-gateway-v6'), parseIpv6);
  checkInside('', bip, fixed, gateway);
  checkInside('-v6', bip6, fixed6, gateway6);
  const mark = named('bridge-accept-fwmark', read.text('bridge-accept-fwmark'), values.firewallMark);
  const mtu = read.number('mtu') ?? 0;
  if (mtu < 0) throw new ConfigError(`invalid default MTU: ${mtu}`);
  if (mtu !== 0 && (mtu < 68 || mtu > 65_535)) {
    throw new ConfigError(`invalid default MTU: ${mtu} (68 to 65535; RFC 791 needs 68)`);
  }
  return {
    ...(bridge === undefined ? {} : { bridge }),
    ...(bip === undefined ? {} : { bip }),
    ...(fixed === undefined ? {} : { fixedCidr: prefixOf(fixed) }),
    ...(gateway === undefined ? {} : { defaultGateway: gateway }),
    ipv6: read.flag('ipv6', false),
    ...(bip6 === undefined ? {} : { bip6 }),
    ...(fixed6 === undefined ? {} : { fixedCidrV6: prefixOf(fixed6) }),
    ...(gateway6 === undefined ? {} : { defaultGatewayV6: gateway6 }),
    dns: read.list('dns').map(values.ip),
    dnsSearch: read.list('dns-search'),
    dnsOpts: read.list('dns-opts'),
    ip: named('ip', read.text('ip'), parseIp) ?? ANY_IPV4,
    ...(mtu === 0 ? {} : { mtu }),
    icc: read.flag('icc', true),
    ipMasq: read.flag('ip-masq', true),
    ipForward: read.flag('ip-forward', true),
    iptables: read.flag('iptables', true),
    ip6tables: read.flag('iptables', true) && read.flag('ip6tables', true),
    allowDirectRouting: read.flag('allow-direct-routing', false),
    ...(mark && { bridgeAcceptFwmark: mark }),
    hostGatewayIps: read.list('host-gateway-ips').map(values.ip),
    defaultNetworkOpts: read.record<Readonly<Record<string, string>>>('default-network-opts'),
    defaultAddressPools: read.pools().map(({ base, size }) => {
      const prefix = named('default address pool', base, parseInterfaceAddress) as InterfaceAddress;
      if (size < prefix.length || size > bitsOf(prefix.address)) {
        throw new ConfigError(`invalid default address pool: size ${size} does not fit into ${base}`);
      }
      return { base: prefixOf(prefix), size };
    }),
  };
}

function ipv4Cidr(text: string): InterfaceAddress<Ipv4> {
  const parsed = parseInterfaceAddress(text);
  if (familyOf(parsed.address) !== 'ipv4') throw invalid(`${text} is not an IPv4 address`);
  return parsed as InterfaceAddress<Ipv4>;
}

function ipv6Cidr(text: string): InterfaceAddress<Ipv6> {
  const parsed = parseInterfaceAddress(text);
  if (familyOf(parsed.address) !== 'ipv6') throw invalid(`${text} is not an IPv6 address`);
  return parsed as InterfaceAddress<Ipv6>;
}

/** @param suffix of the options' names */
function checkInside(
  suffix: '' | '-v6',
  bip: InterfaceAddress | undefined,
  fixed: InterfaceAddress | undefined,
  gateway: Ip | undefined,
): void {
  if (bip === undefined) return;
  const subnet = prefixOf(bip);
  if (fixed !== undefined && (fixed.length < subnet.length || !contains(subnet, fixed.address))) {
    throw new ConfigError(
      `invalid fixed-cidr${suffix}: ${fixed.address}/${fixed.length} is not part of the bridge's subnet ${subnet.address}/${subnet.length}`,
    );
  }
  if (gateway !== undefined && !contains(subnet, gateway)) {
    throw new ConfigError(
      `invalid default-gateway${suffix}: ${gateway} is not in the bridge's subnet ${subnet.address}/${subnet.length}`,
    );
  }
}

/** Parses an address option; the option's name goes into the error. */
function named<T>(name: string, text: string | undefined, parse: (text: string) => T): T | undefined {
  if (text === undefined) return undefined;
  try {
    return parse(text);
  } catch (error) {
    if (error instanceof EngineError || error instanceof ConfigError) {
      throw new ConfigError(`invalid ${name}: ${error.message}`);
    }
    throw error;
  }
}
