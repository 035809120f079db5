import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
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
import { clusterConfig } from './cluster-options.ts';
import { readConfigFile } from './file.ts';
import type { RawConfig } from './flags.ts';
import { OPTIONS } from './option.ts';
import * as values from './values.ts';
import { ConfigError } from './values.ts';

const DEFAULT_CONFIG_FILE = '/etc/gangway/daemon.json';

/** Go's `%v` of a value, as dockerd prints both sides of a conflict. */
function goValue(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(goValue).join(' ')}]`;
  if (value !== null && typeof value === 'object') {
    const pairs = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return `map[${pairs.map(([key, item]) => `${key}:${goValue(item)}`).join(' ')}]`;
  }
  return String(value);
}

/** A key may be given as a flag or in the file, not both (moby daemon/config findConfigurationConflicts). */
function merge(flags: RawConfig, file: RawConfig): RawConfig {
  const both = Object.keys(file).filter((key) => flags[key] !== undefined);
  if (both.length > 0) {
    const list = both.map(
      (key) => `${key}: (from flag: ${goValue(flags[key])}, from file: ${goValue(file[key])})`,
    );
    throw new ConfigError(
      `the following directives are specified both as a flag and in the configuration file: ${list.join(', ')}`,
    );
  }
  return { ...file, ...flags };
}

function refuseMissing(raw: RawConfig, flags: RawConfig): void {
  for (const option of OPTIONS) {
    const value = raw[option.key];
    if (option.state !== 'missing' || value === undefined || option.asIs?.(value) === true) continue;
    const name = flags[option.key] === undefined ? `"${option.key}"` : `--${option.flag}`;
    throw new ConfigError(`${name} is not implemented by Gangway yet`);
  }
}

/** Reads values of the merged configuration by kind; what flags or file have checked already is trusted. */
class Reader {
  readonly #raw: RawConfig;
  constructor(raw: RawConfig) {
    this.#raw = raw;
  }
  text(key: string): string | undefined {
    const value = this.#raw[key];
    return typeof value === 'string' && value !== '' ? value : undefined;
  }
  flag(key: string, fallback: boolean): boolean {
    const value = this.#raw[key];
    return typeof value === 'boolean' ? value : fallback;
  }
  number(key: string): number | undefined {
    const value = this.#raw[key];
    return typeof value === 'number' ? value : undefined;
  }
  list(key: string): readonly string[] {
    return (this.#raw[key] as readonly string[] | undefined) ?? [];
  }
  record<T>(key: string): Readonly<Record<string, T>> {
    return (this.#raw[key] as Readonly<Record<string, T>> | undefined) ?? {};
  }
  pools(): readonly values.RawPool[] {
    return (this.#raw['default-address-pools'] as readonly values.RawPool[] | undefined) ?? [];
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

const LEVELS = ['debug', 'info', 'warn', 'error', 'fatal'] as const;

function logLevel(text: string): DaemonConfig['logLevel'] {
  const level = LEVELS.find((known) => known === text);
  if (level === undefined) throw new ConfigError(`invalid logging level: ${text}`);
  return level;
}

function checkLabels(labels: readonly string[]): readonly string[] {
  const seen = new Map<string, string>();
  for (const one of labels) {
    const [key] = values.keyValue(values.label(one));
    const before = seen.get(key);
    if (before !== undefined && before !== one)
      throw new ConfigError(`conflict labels for ${one} and ${before}`);
    seen.set(key, one);
  }
  return [...seen.values()];
}

function network(read: Reader): DaemonConfig['network'] {
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

function tls(read: Reader): NonNullable<DaemonConfig['tls']> | undefined {
  const verify = read.flag('tlsverify', false);
  if (!verify && !read.flag('tls', false)) return undefined;
  const directory = process.env.DOCKER_CERT_PATH ?? join(homedir(), '.docker');
  return {
    verify,
    ...(verify || read.text('tlscacert') !== undefined
      ? { ca: read.text('tlscacert') ?? join(directory, 'ca.pem') }
      : {}),
    cert: read.text('tlscert') ?? join(directory, 'cert.pem'),
    key: read.text('tlskey') ?? join(directory, 'key.pem'),
  };
}

/** As flags or keys of their own, or as dockerd's `"proxies": {…}`. */
function proxies(read: Reader): DaemonConfig['proxies'] {
  const file = read.record<unknown>('proxies');
  const of = (key: string): string | undefined => {
    const given = read.text(key) ?? file[key];
    return typeof given === 'string' && given !== '' ? given : undefined;
  };
  const [http, https, no] = [of('http-proxy'), of('https-proxy'), of('no-proxy')];
  for (const [name, text] of Object.entries({ 'http-proxy': http, 'https-proxy': https })) {
    if (text !== undefined) values.proxy(name, text);
  }
  return { ...(http && { http }), ...(https && { https }), ...(no && { no }) };
}

function count(read: Reader, key: string, fallback: number, name: string): number {
  const given = read.number(key);
  if (given !== undefined && given < 0) throw new ConfigError(`invalid ${name}: ${given}`);
  return given === undefined || given === 0 ? fallback : given;
}

function build(raw: RawConfig): DaemonConfig {
  const read = new Reader(raw);
  const secure = tls(read);
  const hosts = read.list('hosts').map((text) => values.host(text, secure !== undefined));
  const debug = read.flag('debug', false);
  const level = logLevel(read.text('log-level') ?? 'info');
  const execRoot = resolve(read.text('exec-root') ?? '/run/gangway');
  const logDriver = read.text('log-driver') ?? 'json-file';
  const containerd = read.text('containerd');
  const initPath = read.text('init-path');
  const metrics = read.text('metrics-addr');
  if (logDriver !== 'json-file' && logDriver !== 'none') {
    throw new ConfigError(`log driver "${logDriver}" is not implemented by Gangway yet (json-file, none)`);
  }
  const cluster = clusterConfig(
    read.text('cluster-store'),
    read.text('cluster-advertise'),
    read.record<string>('cluster-store-opts'),
  );
  return {
    hosts: hosts.length > 0 ? [...new Set(hosts)] : ['unix:///run/gangway/docker.sock'],
    dataRoot: resolve(read.text('data-root') ?? '/var/lib/gangway'),
    execRoot,
    pidfile: resolve(read.text('pidfile') ?? '/run/gangway/gangwayd.pid'),
    group: read.text('group') ?? 'docker',
    debug,
    logLevel: debug ? 'debug' : level,
    labels: checkLabels(read.list('labels')),
    ...(secure === undefined ? {} : { tls: secure }),
    ...(containerd === undefined ? {} : { containerd: containerd.replace(/^unix:\/\//, '') }),
    containerdNamespace: read.text('containerd-namespace') ?? 'gangway',
    registryMirrors: read.list('registry-mirrors').map(values.mirror),
    insecureRegistries: read.list('insecure-registries'),
    maxConcurrentDownloads: count(read, 'max-concurrent-downloads', 3, 'max concurrent downloads'),
    liveRestore: read.flag('live-restore', false),
    shutdownTimeout: read.number('shutdown-timeout') ?? 15,
    logDriver,
    logOpts: read.record<string>('log-opts'),
    ...(initPath === undefined ? {} : { initPath }),
    ...(metrics === undefined ? {} : { metrics: values.metricsAddress(metrics) }),
    defaultUlimits: read.record<values.Ulimit>('default-ulimits'),
    cgroupParent: read.text('cgroup-parent') ?? '',
    proxies: proxies(read),
    ...(cluster && { cluster }),
    network: network(read),
  };
}

/**
 * Flags and file, merged and validated.
 * @throws ConfigError in dockerd's words (moby cmd/dockerd/daemon.go loadDaemonCliConfig)
 */
export function loadConfig(flags: RawConfig, configFile?: string): DaemonConfig {
  const path = configFile ?? DEFAULT_CONFIG_FILE;
  let raw: RawConfig;
  let fileKeys = 0;
  try {
    const file = readConfigFile(path, configFile !== undefined);
    fileKeys = Object.keys(file).length;
    raw = merge(flags, file);
    refuseMissing(raw, flags);
  } catch (error) {
    if (!(error instanceof ConfigError) || error.message.startsWith('--')) throw error;
    throw new ConfigError(`unable to configure the Docker daemon with file ${path}: ${error.message}`);
  }
  try {
    return build(raw);
  } catch (error) {
    if (!(error instanceof ConfigError) || fileKeys === 0) throw error;
    throw new ConfigError(
      `unable to configure the Docker daemon with file ${path}: merged configuration validation from file and command line flags failed: ${error.message}`,
    );
  }
}
