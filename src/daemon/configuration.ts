import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import type { DaemonConfig } from '../engine/config.ts';
import { clusterConfig } from './cluster-options.ts';
import { readConfigFile } from './file.ts';
import type { RawConfig } from './flags.ts';
import { networkConfig } from './network-options.ts';
import { OPTIONS } from './option.ts';
import { OptionReader } from './option-reader.ts';
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

function tls(read: OptionReader): NonNullable<DaemonConfig['tls']> | undefined {
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
function proxies(read: OptionReader): DaemonConfig['proxies'] {
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

function count(read: OptionReader, key: string, fallback: number, name: string): number {
  const given = read.number(key);
  if (given !== undefined && given < 0) throw new ConfigError(`invalid ${name}: ${given}`);
  return given === undefined || given === 0 ? fallback : given;
}

function build(raw: RawConfig): DaemonConfig {
  const read = new OptionReader(raw);
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
    network: networkConfig(read),
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
