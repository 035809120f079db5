import { readdirSync } from 'node:fs';
import type { FastifyInstance } from 'fastify';
import type { DaemonConfig } from '../engine/config.ts';
import { invalid } from '../model/errors.ts';
import { type HostReport, hostWarnings, isForwarding } from '../observe/host.ts';
import { API_VERSION, GANGWAY_VERSION, MIN_API_VERSION } from './version.ts';

export type UsageKind = 'container' | 'image' | 'volume' | 'build-cache';

/** What the system routes tell about the engine's parts. */
export interface SystemSources {
  /** The configuration now: some of it changes on SIGHUP. */
  readonly config: () => DaemonConfig;
  readonly daemonId: string;
  readonly host: HostReport;
  readonly containerd: {
    readonly address: string;
    readonly version: () => Promise<{ readonly version: string; readonly revision: string }>;
  };
  readonly runc: () => Promise<{ readonly version: string; readonly commit: string }>;
  /** Who stands in the way of the containers' packets. */
  readonly networkWarnings: () => readonly string[];
  readonly counts: () => {
    readonly running: number;
    readonly paused: number;
    readonly stopped: number;
    readonly images: number;
  };
  readonly eventListeners: () => number;
  /** Docker's `DiskUsage` members of the asked kinds. */
  readonly diskUsage: (kinds: ReadonlySet<UsageKind>) => Promise<Readonly<Record<string, unknown>>>;
}

const NO_CACHE = { 'Cache-Control': 'no-cache, no-store, must-revalidate', Pragma: 'no-cache' } as const;
const USAGE_KINDS: readonly UsageKind[] = ['container', 'image', 'volume', 'build-cache'];

export function systemRoutes(app: FastifyInstance, sources: SystemSources): void {
  for (const method of ['GET', 'HEAD'] as const) {
    app.route({
      method,
      url: '/_ping',
      handler: (_request, reply) =>
        reply
          .headers({ ...NO_CACHE, Swarm: 'inactive' })
          .type('text/plain; charset=utf-8')
          .send(method === 'GET' ? 'OK' : ''),
    });
  }
  app.get('/version', () => version(sources));
  app.get('/info', () => info(sources));
  app.get<{ Querystring: { type?: string | string[] } }>('/system/df', async (request) => {
    const asked = request.query.type === undefined ? USAGE_KINDS : [request.query.type].flat();
    const kinds = new Set<UsageKind>();
    for (const text of asked) {
      const kind = USAGE_KINDS.find((known) => known === text);
      if (kind === undefined) throw invalid(`unknown object type: ${text}`);
      kinds.add(kind);
    }
    const usage = await sources.diskUsage(kinds);
    return kinds.has('build-cache') ? { ...usage, BuildCache: [] } : usage;
  });
}

async function version(sources: SystemSources): Promise<object> {
  const { host } = sources;
  const [containerd, runc] = await Promise.all([sources.containerd.version(), sources.runc()]);
  const engine = {
    ApiVersion: API_VERSION,
    MinAPIVersion: MIN_API_VERSION,
    GitCommit: '',
    GoVersion: `node ${process.version}`,
    Os: 'linux',
    Arch: host.architecture,
    KernelVersion: host.kernelVersion,
  };
  return {
    Platform: { Name: 'Gangway' },
    Components: [
      { Name: 'Engine', Version: GANGWAY_VERSION, Details: { ...engine, Experimental: 'false' } },
      { Name: 'containerd', Version: containerd.version, Details: { GitCommit: containerd.revision } },
      { Name: 'runc', Version: runc.version, Details: { GitCommit: runc.commit } },
    ],
    Version: GANGWAY_VERSION,
    ...engine,
  };
}

function registryConfig(config: DaemonConfig): object {
  const cidrs = config.insecureRegistries.filter((entry) => entry.includes('/'));
  const insecure = config.insecureRegistries.filter((entry) => !entry.includes('/'));
  const mirrors = config.registryMirrors;
  const index = (name: string, secure: boolean): object => ({
    Name: name,
    Mirrors: name === 'docker.io' ? mirrors : [],
    Secure: secure,
    Official: name === 'docker.io',
  });
  return {
    InsecureRegistryCIDRs: [...new Set([...cidrs, '::1/128', '127.0.0.0/8'])],
    IndexConfigs: {
      'docker.io': index('docker.io', true),
      ...Object.fromEntries(insecure.map((name) => [name, index(name, false)])),
    },
    Mirrors: mirrors.length === 0 ? null : mirrors,
  };
}

function securityOptions(host: HostReport): string[] {
  return [
    ...(host.apparmor ? ['name=apparmor'] : []),
    ...(host.seccomp ? ['name=seccomp,profile=builtin'] : []),
    ...(host.cgroups.version === '2' ? ['name=cgroupns'] : []),
  ];
}

function openHosts(config: DaemonConfig): string[] {
  if (config.tls?.verify === true) return [];
  return config.hosts
    .filter((host) => host.startsWith('tcp://'))
    .map((host) => {
      const address = host.replace('tcp://', config.tls === undefined ? 'http://' : 'https://');
      const what = config.tls === undefined ? 'without encryption' : 'without TLS client verification';
      return `[DEPRECATION NOTICE]: API is accessible on ${address} ${what}.\n         Access to the remote API is equivalent to root access on the host.`;
    });
}

async function info(sources: SystemSources): Promise<object> {
  const config = sources.config();
  const { host } = sources;
  const counts = sources.counts();
  const forwarding = isForwarding();
  const [containerd, runc] = await Promise.all([sources.containerd.version(), sources.runc()]);
  const runtime = { path: 'runc' };
  return {
    ID: sources.daemonId,
    Containers: counts.running + counts.paused + counts.stopped,
    ContainersRunning: counts.running,
    ContainersPaused: counts.paused,
    ContainersStopped: counts.stopped,
    Images: counts.images,
    Driver: 'overlayfs',
    DriverStatus: [['driver-type', 'io.containerd.snapshotter.v1']],
    Plugins: {
      Volume: ['local'],
      Network: ['bridge', 'host', 'null'],
      Authorization: null,
      Log: ['json-file', 'none'],
    },
    MemoryLimit: host.cgroups.memoryLimit,
    SwapLimit: host.cgroups.swapLimit,
    CpuCfsPeriod: host.cgroups.cpuQuota,
    CpuCfsQuota: host.cgroups.cpuQuota,
    CPUShares: host.cgroups.cpuShares,
    CPUSet: host.cgroups.cpuset,
    PidsLimit: host.cgroups.pids,
    IPv4Forwarding: forwarding,
    Debug: config.debug,
    NFd: readdirSync('/proc/self/fd').length - 1,
    OomKillDisable: host.cgroups.oomKillDisable,
    NGoroutines: 0,
    SystemTime: new Date().toISOString(),
    LoggingDriver: config.logDriver,
    CgroupDriver: 'cgroupfs',
    CgroupVersion: host.cgroups.version,
    NEventsListener: sources.eventListeners(),
    KernelVersion: host.kernelVersion,
    OperatingSystem: host.operatingSystem,
    OSVersion: host.osVersion,
    OSType: 'linux',
    Architecture: host.machine,
    IndexServerAddress: 'https://index.docker.io/v1/',
    RegistryConfig: registryConfig(config),
    NCPU: host.cpus,
    MemTotal: host.memory,
    GenericResources: null,
    DockerRootDir: config.dataRoot,
    HttpProxy: config.proxies.http ?? '',
    HttpsProxy: config.proxies.https ?? '',
    NoProxy: config.proxies.no ?? '',
    Name: host.hostname,
    Labels: config.labels,
    ExperimentalBuild: false,
    ServerVersion: GANGWAY_VERSION,
    Runtimes: { 'io.containerd.runc.v2': runtime, runc: runtime },
    DefaultRuntime: 'runc',
    Swarm: {
      NodeID: '',
      NodeAddr: '',
      LocalNodeState: 'inactive',
      ControlAvailable: false,
      Error: '',
      RemoteManagers: null,
    },
    LiveRestoreEnabled: true,
    Isolation: '',
    InitBinary: config.initPath ?? 'docker-init',
    ContainerdCommit: { ID: containerd.revision },
    RuncCommit: { ID: runc.commit },
    InitCommit: { ID: '' },
    SecurityOptions: securityOptions(host),
    FirewallBackend: { Driver: 'nftables' },
    CDISpecDirs: [],
    Containerd: {
      Address: sources.containerd.address,
      Namespaces: { Containers: config.containerdNamespace, Plugins: '' },
    },
    Warnings: warningsOrNull([
      ...openHosts(config),
      ...hostWarnings(host.cgroups, forwarding),
      ...sources.networkWarnings(),
    ]),
  };
}

/** dockerd's answer has null for none. */
function warningsOrNull(warnings: string[]): string[] | null {
  return warnings.length === 0 ? null : warnings;
}
