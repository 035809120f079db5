/**
 * Every option of dockerd 28.5 (`dockerd --help`, moby daemon/config/config_linux.go), as a flag and as a key of
 * `daemon.json`, with what Gangway does about it. The flag parser, the file reader, the help text and the merge all
 * read this one table.
 */
export type OptionKind =
  | 'bool'
  | 'int'
  | 'string'
  | 'list'
  | 'map'
  | 'ulimits'
  | 'pools'
  | 'driver-opts'
  | 'object';
export type OptionGroup = 'Daemon' | 'API' | 'Default network' | 'Cluster' | 'Containers' | 'Images';

interface OptionBase {
  /** The key in `daemon.json`; for `flagOnly` options just their name. */
  readonly key: string;
  /** Long flag without dashes; absent: only in the file. */
  readonly flag?: string;
  readonly short?: string;
  readonly kind: OptionKind;
}

export type Option =
  | (OptionBase & {
      readonly state: 'honoured';
      readonly group: OptionGroup;
      readonly placeholder?: string;
      readonly help: string;
      /** Not a key of the file. */
      readonly flagOnly?: true;
    })
  /** Any value is taken and changes nothing, because there is nothing here that it could change. */
  | (OptionBase & { readonly state: 'harmless' })
  /** Refused, except for values that ask for what Gangway does anyway. */
  | (OptionBase & { readonly state: 'missing'; readonly asIs?: (value: unknown) => boolean });

const is =
  (...values: readonly unknown[]) =>
  (value: unknown): boolean =>
    values.includes(value);
const empty = (value: unknown): boolean =>
  value === '' ||
  (typeof value === 'object' && value !== null && Object.keys(value).length === 0) ||
  (Array.isArray(value) && value.length === 0);

type Extra = { readonly flag?: string | null; readonly short?: string; readonly placeholder?: string };

function honoured(
  group: OptionGroup,
  key: string,
  kind: OptionKind,
  help: string,
  extra: Extra = {},
): Option {
  const { flag = key, short, placeholder } = extra;
  return {
    state: 'honoured',
    group,
    key,
    kind,
    help,
    ...(flag === null ? {} : { flag }),
    ...(short === undefined ? {} : { short }),
    ...(placeholder === undefined ? {} : { placeholder }),
  };
}

function harmless(key: string, kind: OptionKind, flag: string | null = key): Option {
  return { state: 'harmless', key, kind, ...(flag === null ? {} : { flag }) };
}

function missing(
  key: string,
  kind: OptionKind,
  asIs?: (value: unknown) => boolean,
  flag: string | null = key,
  short?: string,
): Option {
  return {
    state: 'missing',
    key,
    kind,
    ...(flag === null ? {} : { flag }),
    ...(short === undefined ? {} : { short }),
    ...(asIs === undefined ? {} : { asIs }),
  };
}

export const OPTIONS: readonly Option[] = [
  {
    ...honoured('Daemon', 'config-file', 'string', 'configuration file (default /etc/gangway/daemon.json)', {
      placeholder: 'path',
    }),
    flagOnly: true,
  } as Option,
  honoured('Daemon', 'data-root', 'string', 'what must survive a reboot (default /var/lib/gangway)', {
    placeholder: 'dir',
  }),
  honoured('Daemon', 'exec-root', 'string', 'what need not (default /run/gangway)', { placeholder: 'dir' }),
  honoured('Daemon', 'pidfile', 'string', 'default /run/gangway/gangwayd.pid', {
    short: 'p',
    placeholder: 'path',
  }),
  honoured('Daemon', 'debug', 'bool', 'log level debug, and a line for every request', { short: 'D' }),
  honoured('Daemon', 'log-level', 'string', 'debug, info, warn, error or fatal (default info)', {
    short: 'l',
    placeholder: 'level',
  }),
  honoured('Daemon', 'labels', 'list', 'label of this daemon, shown by docker info; repeatable', {
    flag: 'label',
    placeholder: 'key=value',
  }),
  honoured('Daemon', 'containerd', 'string', 'a running containerd; without it Gangway starts its own', {
    placeholder: 'socket',
  }),
  honoured('Daemon', 'containerd-namespace', 'string', 'namespace in containerd (default gangway)', {
    placeholder: 'name',
  }),
  honoured('Daemon', 'live-restore', 'bool', 'accepted; containers always outlive the daemon'),
  honoured('Daemon', 'shutdown-timeout', 'int', 'seconds to wait for clients at the end (default 15)', {
    placeholder: 'seconds',
  }),
  honoured('API', 'hosts', 'list', 'repeatable (default unix:///run/gangway/docker.sock)', {
    flag: 'host',
    short: 'H',
    placeholder: 'url',
  }),
  honoured('API', 'group', 'string', 'group that may use the unix socket (default docker)', {
    short: 'G',
    placeholder: 'name',
  }),
  honoured('Daemon', 'metrics-addr', 'string', 'serve Prometheus metrics there (127.0.0.1:9323)', {
    placeholder: 'host:port',
  }),
  honoured('API', 'tls', 'bool', 'TLS on tcp hosts, any client'),
  honoured('API', 'tlsverify', 'bool', 'TLS on tcp hosts, clients by certificate of --tlscacert'),
  honoured('API', 'tlscacert', 'string', 'default ~/.docker/ca.pem', { placeholder: 'path' }),
  honoured('API', 'tlscert', 'string', 'default ~/.docker/cert.pem', { placeholder: 'path' }),
  honoured('API', 'tlskey', 'string', 'default ~/.docker/key.pem', { placeholder: 'path' }),
  honoured('Default network', 'bridge', 'string', 'use this existing bridge, or none for no network', {
    short: 'b',
    placeholder: 'name',
  }),
  honoured('Default network', 'bip', 'string', 'address and subnet of docker0 (10.10.10.10/24)', {
    placeholder: 'cidr',
  }),
  honoured('Default network', 'fixed-cidr', 'string', 'give containers addresses from this part only', {
    placeholder: 'cidr',
  }),
  honoured('Default network', 'default-gateway', 'string', 'another default gateway for containers', {
    placeholder: 'ip',
  }),
  honoured('Default network', 'dns', 'list', 'name server of containers; repeatable', { placeholder: 'ip' }),
  honoured('Default network', 'dns-search', 'list', 'search domain of containers; repeatable', {
    placeholder: 'domain',
  }),
  honoured('Default network', 'dns-opts', 'list', 'resolver option of containers; repeatable', {
    flag: 'dns-opt',
    placeholder: 'option',
  }),
  honoured('Default network', 'ip', 'string', 'publish ports on this address (default 0.0.0.0)', {
    placeholder: 'ip',
  }),
  honoured('Default network', 'mtu', 'int', 'of docker0 (default: of the uplink)', { placeholder: 'bytes' }),
  honoured('Default network', 'ipv6', 'bool', 'give the default network IPv6 as well'),
  honoured('Default network', 'bip6', 'string', 'IPv6 address and subnet of docker0', {
    placeholder: 'cidr',
  }),
  honoured('Default network', 'fixed-cidr-v6', 'string', 'IPv6 addresses from this part only', {
    placeholder: 'cidr',
  }),
  honoured('Default network', 'default-gateway-v6', 'string', 'another IPv6 default gateway', {
    placeholder: 'ip',
  }),
  honoured('Default network', 'icc', 'bool', 'false: containers cannot reach each other (default true)'),
  honoured('Default network', 'ip-masq', 'bool', 'masquerade what leaves the host (default true)'),
  honoured('Default network', 'ip-forward', 'bool', 'switch on net.ipv4.ip_forward (default true)'),
  honoured('Default network', 'host-gateway-ips', 'list', 'what --add-host NAME:host-gateway means', {
    flag: 'host-gateway-ip',
    placeholder: 'ip',
  }),
  honoured('Default network', 'default-address-pools', 'pools', 'subnets for networks created without one', {
    flag: 'default-address-pool',
    placeholder: 'base=CIDR,size=N',
  }),
  honoured('Default network', 'default-network-opts', 'driver-opts', 'option of new networks; repeatable', {
    flag: 'default-network-opt',
    placeholder: 'driver=key=value',
  }),
  honoured('Default network', 'iptables', 'bool', 'false: no firewall rules of ours (default true)'),
  honoured('Default network', 'ip6tables', 'bool', 'false: none for IPv6 (default true)'),
  honoured('Default network', 'allow-direct-routing', 'bool', "let others use a container's own address"),
  honoured('Cluster', 'cluster-store', 'string', 'etcd://H1:2379,H2:2379[/prefix], for overlay networks', {
    placeholder: 'url',
  }),
  honoured('Cluster', 'cluster-advertise', 'string', 'interface or address that other hosts reach', {
    placeholder: 'if|ip',
  }),
  honoured(
    'Cluster',
    'cluster-store-opts',
    'map',
    'kv.cacertfile, kv.certfile, kv.keyfile, kv.user, kv.password',
    {
      flag: 'cluster-store-opt',
      placeholder: 'key=value',
    },
  ),
  honoured('Default network', 'bridge-accept-fwmark', 'string', 'packets with this mark are let through', {
    placeholder: 'mark/mask',
  }),
  honoured('Images', 'http-proxy', 'string', 'proxy of the daemon itself for http', { placeholder: 'url' }),
  honoured('Images', 'https-proxy', 'string', 'proxy of the daemon itself for https', { placeholder: 'url' }),
  honoured('Images', 'no-proxy', 'string', 'hosts that are reached without a proxy, comma separated', {
    placeholder: 'hosts',
  }),
  honoured('Images', 'proxies', 'object', '', { flag: null }),
  honoured('Containers', 'log-driver', 'string', 'json-file or none (default json-file)', {
    placeholder: 'name',
  }),
  honoured('Containers', 'log-opts', 'map', 'max-size=10m, max-file=3; repeatable', {
    flag: 'log-opt',
    placeholder: 'key=value',
  }),
  honoured('Containers', 'default-ulimits', 'ulimits', 'nofile=1024:4096; repeatable', {
    flag: 'default-ulimit',
    placeholder: 'name=soft:hard',
  }),
  honoured('Containers', 'cgroup-parent', 'string', 'put containers under this cgroup', {
    placeholder: 'path',
  }),
  honoured('Containers', 'init-path', 'string', 'the init of docker run --init (default docker-init)', {
    placeholder: 'path',
  }),
  honoured('Images', 'registry-mirrors', 'list', 'ask this registry before Docker Hub; repeatable', {
    flag: 'registry-mirror',
    placeholder: 'url',
  }),
  honoured('Images', 'insecure-registries', 'list', 'HTTP or untrusted TLS allowed there; repeatable', {
    flag: 'insecure-registry',
    placeholder: 'host',
  }),
  honoured('Images', 'max-concurrent-downloads', 'int', 'layers fetched at a time (default 3)', {
    placeholder: 'n',
  }),

  // There is no proxy process, FORWARD policy, swarm, push or plugin that these could change.
  harmless('userland-proxy', 'bool'),
  harmless('userland-proxy-path', 'string'),
  harmless('ip-forward-no-drop', 'bool'),
  harmless('raw-logs', 'bool'),
  harmless('log-format', 'string'),
  harmless('cri-containerd', 'bool'),
  harmless('containerd-plugin-namespace', 'string', 'containerd-plugins-namespace'),
  harmless('network-control-plane-mtu', 'int'),
  harmless('network-diagnostic-port', 'int'),
  harmless('swarm-default-advertise-addr', 'string'),
  harmless('node-generic-resources', 'list', 'node-generic-resource'),
  harmless('max-concurrent-uploads', 'int'),
  harmless('max-download-attempts', 'int'),
  harmless('features', 'map', 'feature'),
  harmless('builder', 'object', null),

  missing('firewall-backend', 'string', is('nftables', '')),
  missing('add-runtime', 'list', empty),
  missing('runtimes', 'object', empty, null),
  missing('default-runtime', 'string', is('runc', 'io.containerd.runc.v2')),
  missing('default-cgroupns-mode', 'string'),
  missing('default-ipc-mode', 'string', is('private')),
  missing('default-shm-size', 'string', is('64M', '64MiB', '64m', '67108864')),
  missing('init', 'bool', is(false)),
  missing('no-new-privileges', 'bool', is(false)),
  missing('seccomp-profile', 'string', is('builtin', '')),
  missing('selinux-enabled', 'bool', is(false)),
  missing('userns-remap', 'string', empty),
  missing('rootless', 'bool', is(false)),
  missing('cpu-rt-period', 'int', is(0)),
  missing('cpu-rt-runtime', 'int', is(0)),
  missing('exec-opts', 'list', (v) => empty(v) || String(v) === 'native.cgroupdriver=cgroupfs', 'exec-opt'),
  missing('storage-driver', 'string', is('overlay2', 'overlayfs', ''), 'storage-driver', 's'),
  missing('storage-opts', 'list', empty, 'storage-opt'),
  missing('authorization-plugins', 'list', empty, 'authorization-plugin'),
  missing('cdi-spec-dirs', 'list', empty, 'cdi-spec-dir'),
  missing('experimental', 'bool', is(false)),
];

const byKey = new Map(OPTIONS.filter((o) => !('flagOnly' in o)).map((o) => [o.key, o]));

/** The option of a `daemon.json` key. */
export function optionOfKey(key: string): Option | undefined {
  return byKey.get(key);
}
