import type { EndpointSettings } from '@docker/node-sdk';
import { z } from 'zod';
import {
  contains,
  type IfName,
  type InterfaceAddress,
  type Ip,
  isIpv4,
  parseIfName,
  parseIp,
  parseIpv4,
  parseIpv6,
  parseMac,
  parsePrefix,
} from '../../model/address.ts';
import { EngineError, invalid, invalidAll } from '../../model/errors.ts';
import { parseLink } from '../../model/link.ts';
import { type AddressedNetwork, familiesOf } from '../../model/network.ts';

const texts = z.array(z.string()).nullish();
/** `EndpointSettings` of the API, as far as it is read. */
export const endpointSettings = z.looseObject({
  IPAMConfig: z
    .looseObject({
      IPv4Address: z.string().nullish(),
      IPv6Address: z.string().nullish(),
      LinkLocalIPs: texts,
    })
    .nullish(),
  Links: texts,
  Aliases: texts,
  MacAddress: z.string().nullish(),
  GwPriority: z.int().nullish(),
  DriverOpts: z.record(z.string(), z.string()).nullish(),
});

const SYSCTLS = 'com.docker.network.endpoint.sysctls';
const IFNAME = 'com.docker.network.endpoint.ifname';
/** RFC 3927, RFC 4291 §2.5.6. */
const LINK_LOCAL = ['169.254.0.0/16', 'fe80::/10'].map(parsePrefix);

/** What the user gave for one endpoint, beside its addresses. */
export interface EndpointOptions {
  readonly ifName?: IfName;
  /** Names with slashes, `IFNAME` where the interface's name goes. */
  readonly sysctls: Readonly<Record<string, string>>;
  readonly linkLocal: readonly InterfaceAddress[];
}

/**
 * `DriverOpts` and `IPAMConfig.LinkLocalIPs` of an endpoint (docs.docker.com, "docker network connect"). Options of
 * other drivers are passed over, as in Docker.
 * @throws EngineError INVALID_PARAMETER
 */
export function parseEndpointOptions(settings: EndpointSettings): EndpointOptions {
  const { [IFNAME]: ifName } = settings.DriverOpts ?? {};
  const linkLocal = (settings.IPAMConfig?.LinkLocalIPs ?? []).map(parseLinkLocal);
  const wrong = linkLocal.find(({ address }) => !LINK_LOCAL.some((prefix) => contains(prefix, address)));
  if (wrong !== undefined) {
    throw invalid(`failed to set up container networking: invalid link local IP address: ${wrong.address}`);
  }
  return {
    ...(ifName && { ifName: parseIfName(ifName) }),
    sysctls: Object.fromEntries(sysctlsOf(settings).map(parseSysctl)),
    linkLocal,
  };
}

/**
 * What can be told before the network is known: every mistake at once, in Docker's words.
 * @throws EngineError INVALID_PARAMETER
 */
export function checkEndpointSettings(settings: EndpointSettings): void {
  const { IPAMConfig: ipam, MacAddress: mac } = settings;
  if (mac && mistakes(() => parseMac(mac)).length > 0) throw invalid(`invalid MAC address ${mac}`);
  const { IPv4Address: ipv4, IPv6Address: ipv6 } = ipam ?? {};
  const ifName = settings.DriverOpts?.[IFNAME];
  const wrong = [
    ...(ipv4 ? mistakes(() => parseIpv4(ipv4)) : []),
    ...(ipv6 ? mistakes(() => parseIpv6(ipv6)) : []),
    ...(ipam?.LinkLocalIPs ?? []).flatMap((text) => mistakes(() => parseLinkLocal(text))),
    ...sysctlsOf(settings).flatMap((text) => mistakes(() => parseSysctl(text))),
    ...(ifName ? mistakes(() => parseIfName(ifName)) : []),
    ...(settings.Links ?? []).flatMap((text) => mistakes(() => parseLink(text))),
  ];
  if (wrong.length > 0) throw invalidAll('invalid endpoint settings:', wrong);
}

/** Chosen addresses have to be of the network's subnets. @throws EngineError INVALID_PARAMETER */
export function checkChosenAddresses(network: AddressedNetwork, settings: EndpointSettings): void {
  const { IPv4Address: ipv4, IPv6Address: ipv6 } = settings.IPAMConfig ?? {};
  const subnets = familiesOf(network).map(({ subnet }) => subnet);
  const outside = [ipv4, ipv6].filter(
    (text) => text && !subnets.some((subnet) => contains(subnet, parseIp(text))),
  );
  if (outside.length === 0) return;
  throw invalidAll(
    'invalid endpoint settings:',
    outside.map((text) => `no configured subnet or ip-range contain the IP address ${text}`),
  );
}

function mistakes(parse: () => unknown): readonly string[] {
  try {
    parse();
    return [];
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    return [error.message];
  }
}

const sysctlsOf = (settings: EndpointSettings): readonly string[] =>
  (settings.DriverOpts?.[SYSCTLS] ?? '').split(',').filter(Boolean);

/** `net.ipv4.conf.IFNAME.log_martians=1`; the command line makes everything lower case. */
function parseSysctl(text: string): readonly [name: string, value: string] {
  const [name = '', ...value] = text.split('=');
  const parts = name.split('.');
  const [net, family = '', , ifName = ''] = parts;
  const known = ['ipv4', 'ipv6', 'mpls'].includes(family) && ifName.toUpperCase() === 'IFNAME';
  if (parts.length !== 5 || net !== 'net' || !known || parts.some((part) => /[/\s]|^\.*$/.test(part))) {
    throw invalid(
      `unrecognised network interface sysctl '${text}'; represent 'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'`,
    );
  }
  if (value.length === 0) throw invalid(`expected sysctl '${text}' to have format name=value`);
  parts[3] = 'IFNAME';
  return [parts.join('/'), value.join('=')];
}

/** As long as the networks of RFC 3927 and RFC 4291 §2.5.6 are. */
function parseLinkLocal(text: string): InterfaceAddress {
  let address: Ip;
  try {
    address = parseIp(text);
  } catch {
    throw invalid(`invalid link-local IP address: ${text}`);
  }
  return { address, length: isIpv4(address) ? 16 : 64 };
}
