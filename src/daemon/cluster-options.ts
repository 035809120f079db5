import { readFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import type { ClusterConfig } from '../engine/config.ts';
import { ConfigError } from './values.ts';

const OPTIONS = ['kv.cacertfile', 'kv.certfile', 'kv.keyfile', 'kv.user', 'kv.password'] as const;

/**
 * `--cluster-store`, `--cluster-advertise`, `--cluster-store-opt`, as dockerd had them until 20.10.
 * @throws ConfigError naming the option
 */
export function clusterConfig(
  store: string | undefined,
  advertise: string | undefined,
  options: Readonly<Record<string, string>>,
): ClusterConfig | undefined {
  if (store === undefined) {
    if (advertise !== undefined) throw new ConfigError('--cluster-advertise needs --cluster-store');
    return undefined;
  }
  if (advertise === undefined) {
    throw new ConfigError(
      '--cluster-store needs --cluster-advertise: an interface or an address that other hosts reach',
    );
  }
  for (const name of Object.keys(options)) {
    if (!(OPTIONS as readonly string[]).includes(name))
      throw new ConfigError(`unknown --cluster-store-opt ${name}: known are ${OPTIONS.join(', ')}`);
  }
  const [, hosts = '', prefix = ''] = /^etcd:\/\/([^/]+)(?:\/(.*))?$/.exec(store) ?? [];
  const list = hosts.split(',').filter(Boolean);
  if (list.length === 0 || !list.every((host) => /^(\[[0-9a-f:]+\]|[^:\s]+):\d{1,5}$/i.test(host))) {
    throw new ConfigError(
      `invalid --cluster-store ${JSON.stringify(store)}: it should be etcd://HOST:PORT[,HOST:PORT][/prefix]`,
    );
  }
  return {
    advertise: withoutPort(advertise),
    store: {
      hosts: list,
      prefix: prefix.replace(/^\/+|\/+$/g, ''),
      ...tls(options),
      ...auth(options),
    },
  };
}

/** `eth0:2376`, as dockerd took it: the port was its API's. A bare IPv6 address has none. */
function withoutPort(advertise: string): string {
  if (isIPv6(advertise)) return advertise;
  const [, bracketed] = /^\[(.+)\](?::\d+)?$/.exec(advertise) ?? [];
  return bracketed ?? advertise.replace(/:\d+$/, '');
}

function tls(options: Readonly<Record<string, string>>): Pick<ClusterConfig['store'], 'tls'> {
  const read = (name: string): Buffer | undefined => {
    const path = options[name];
    if (path === undefined) return undefined;
    try {
      return readFileSync(path);
    } catch (error) {
      throw new ConfigError(`--cluster-store-opt ${name}: ${error instanceof Error ? error.message : error}`);
    }
  };
  const [ca, cert, key] = [read('kv.cacertfile'), read('kv.certfile'), read('kv.keyfile')];
  if (ca === undefined) {
    if (cert ?? key)
      throw new ConfigError('--cluster-store-opt kv.certfile and kv.keyfile need kv.cacertfile');
    return {};
  }
  if ((cert === undefined) !== (key === undefined)) {
    throw new ConfigError('--cluster-store-opt kv.certfile and kv.keyfile belong together');
  }
  return { tls: { ca, ...(cert && { cert }), ...(key && { key }) } };
}

function auth(options: Readonly<Record<string, string>>): Pick<ClusterConfig['store'], 'auth'> {
  const { 'kv.user': username, 'kv.password': password } = options;
  if (username === undefined && password === undefined) return {};
  if (username === undefined || password === undefined) {
    throw new ConfigError('--cluster-store-opt kv.user and kv.password belong together');
  }
  return { auth: { username, password } };
}
