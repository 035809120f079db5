import {
  type Family,
  type IfName,
  type Ip,
  type Ipv4,
  type Ipv6,
  parseIfName,
  parseIp,
  parseIpv4,
  parseIpv6,
} from '../../model/address.ts';
import { type EngineError, invalid, notImplemented, system } from '../../model/errors.ts';
import type { GatewayMode } from '../../model/network.ts';

/** The options of the bridge driver, as the user gave them. */
export interface BridgeWish {
  readonly ifName?: IfName;
  readonly mtu?: number;
  readonly icc?: boolean;
  readonly masquerade?: boolean;
  readonly hostBinding?: Ip;
  readonly inhibitIpv4?: boolean;
  readonly gatewayModes: Readonly<Partial<Record<Family, GatewayMode>>>;
  readonly hostIpv4?: Ipv4;
  readonly hostIpv6?: Ipv6;
  readonly trustedInterfaces: readonly IfName[];
  readonly ifPrefix?: string;
}

type Parsed = { -readonly [K in keyof BridgeWish]: BridgeWish[K] } & {
  gatewayModes: Partial<Record<Family, GatewayMode>>;
};

/**
 * `com.docker.network.*` (docs.docker.com, "Bridge network driver", "Options"). What has no such prefix is kept and
 * changes nothing, as in Docker.
 * @throws EngineError in Docker's words and with its status
 */
export function parseBridgeOptions(options: Readonly<Record<string, string>>, internal: boolean): BridgeWish {
  const wish: Parsed = { gatewayModes: {}, trustedInterfaces: [] };
  for (const [name, value] of Object.entries(options)) {
    if (name.startsWith('com.docker.network.')) parseOption(wish, name, value);
  }
  for (const mode of Object.values(wish.gatewayModes)) {
    if (mode === 'isolated' && !internal)
      throw system("gateway mode 'isolated' can only be used for an internal network");
  }
  return wish;
}

const MTU = 'com.docker.network.driver.mtu';

/** Of drivers that know no other option of the bridge's. @throws EngineError INVALID_PARAMETER */
export function mtuOption(options: Readonly<Record<string, string>>): number | undefined {
  const text = options[MTU];
  return text === undefined ? undefined : parseMtu(MTU, text);
}

/** `com.docker.network.enable_ipv4` and `enable_ipv6`. @throws EngineError INVALID_PARAMETER */
export function familyOption(options: Readonly<Record<string, string>>, family: Family): boolean | undefined {
  const name = `com.docker.network.enable_${family}`;
  const text = options[name];
  if (text === undefined) return undefined;
  const value = boolean(text);
  if (value === undefined) throw invalid(`driver-opt "${name}" is not a valid bool`);
  return value;
}

function parseOption(wish: Parsed, name: string, value: string): void {
  switch (name.replace(/^com\.docker\.network\./, '')) {
    case 'bridge.name':
      wish.ifName = parseIfName(value);
      break;
    case 'bridge.enable_icc':
      wish.icc = flag(name, value);
      break;
    case 'bridge.enable_ip_masquerade':
      wish.masquerade = flag(name, value);
      break;
    case 'bridge.inhibit_ipv4':
      wish.inhibitIpv4 = flag(name, value);
      break;
    case 'bridge.host_binding_ipv4':
      wish.hostBinding = address(name, value, parseIp);
      break;
    case 'bridge.gateway_mode_ipv4':
      wish.gatewayModes.ipv4 = gatewayMode(name, value);
      break;
    case 'bridge.gateway_mode_ipv6':
      wish.gatewayModes.ipv6 = gatewayMode(name, value);
      break;
    case 'bridge.trusted_host_interfaces':
      wish.trustedInterfaces = value.split(':').filter(Boolean).map(parseIfName);
      break;
    case 'driver.mtu':
      wish.mtu = parseMtu(name, value);
      break;
    case 'host_ipv4':
      wish.hostIpv4 = address(name, value, parseIpv4);
      break;
    case 'host_ipv6':
      wish.hostIpv6 = address(name, value, parseIpv6);
      break;
    case 'container_iface_prefix':
      // A number follows it, and a name has 15 bytes.
      parseIfName(`${value}00`);
      wish.ifPrefix = value;
      break;
    // Read by `familyOption`.
    case 'enable_ipv4':
    case 'enable_ipv6':
      break;
    // How often a new address is announced: the kernel says it once here, and neighbours do not need more.
    case 'advertise_addr_nmsgs':
      count(name, value, 0, 3);
      break;
    case 'advertise_addr_ms':
      count(name, value, 100, 2000);
      break;
    case 'bridge.default_bridge':
      break;
    default:
      throw notImplemented(`the network option ${name}`);
  }
}

const unparsed = (name: string, value: string, why: string): EngineError =>
  invalid(`failed to parse ${name} value: ${value} (${why})`);

function boolean(text: string): boolean | undefined {
  if (/^(1|t|true)$/i.test(text)) return true;
  return /^(0|f|false)$/i.test(text) ? false : undefined;
}

function flag(name: string, text: string): boolean {
  const value = boolean(text);
  if (value !== undefined) return value;
  throw unparsed(name, text, `strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`);
}

function address<A>(name: string, value: string, parse: (text: string) => A): A {
  try {
    return parse(value);
  } catch {
    throw unparsed(name, value, 'nil ip');
  }
}

function gatewayMode(name: string, value: string): GatewayMode {
  if (value === '') return 'nat';
  if (value === 'nat' || value === 'nat-unprotected' || value === 'routed' || value === 'isolated')
    return value;
  throw unparsed(name, value, `unknown gateway mode ${value}`);
}

const isInteger = (text: string): boolean => /^[-+]?\d+$/.test(text);

/** The least an IPv4 link may have is 68 (RFC 791), the most a bridge has is 65535. */
function parseMtu(name: string, value: string): number {
  if (!isInteger(value))
    throw unparsed(name, value, `strconv.Atoi: parsing ${JSON.stringify(value)}: invalid syntax`);
  const bytes = Number(value);
  if (bytes < 68 || bytes > 65_535) throw invalid(`invalid MTU number: ${bytes}`);
  return bytes;
}

function count(name: string, value: string, least: number, most: number): void {
  if (!isInteger(value)) throw system(`value for option ${name} ${JSON.stringify(value)} must be an integer`);
  if (Number(value) < least || Number(value) > most)
    throw system(`${name} must be in the range ${least} to ${most}`);
}
