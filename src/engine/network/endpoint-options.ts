import type { EndpointSettings } from '@docker/node-sdk';
import {
  type IfName,
  type InterfaceAddress,
  type Ip,
  isIpv4,
  parseIfName,
  parseIp,
} from '../../model/address.ts';
import { EngineError, invalid } from '../../model/errors.ts';
import { parseLink } from '../../model/link.ts';

const SYSCTLS = 'com.docker.network.endpoint.sysctls';
const IFNAME = 'com.docker.network.endpoint.ifname';

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
  const { [SYSCTLS]: sysctls, [IFNAME]: ifName } = settings.DriverOpts ?? {};
  return {
    ...(ifName && { ifName: parseIfName(ifName) }),
    sysctls: Object.fromEntries((sysctls ?? '').split(',').filter(Boolean).map(parseSysctl)),
    linkLocal: (settings.IPAMConfig?.LinkLocalIPs ?? []).map(parseLinkLocal),
  };
}

/** Every mistake of an endpoint's settings at once, in Docker's words. @throws EngineError INVALID_PARAMETER */
export function checkEndpointSettings(settings: EndpointSettings): void {
  const wrong: string[] = [];
  const check = (body: () => void): void => {
    try {
      body();
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      wrong.push(error.message);
    }
  };
  check(() => parseEndpointOptions(settings));
  check(() => settings.Links?.map(parseLink));
  if (wrong.length > 0) throw invalid(`invalid endpoint settings:\n${wrong.join('\n')}`);
}

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
