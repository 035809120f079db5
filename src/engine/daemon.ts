import { chmodSync, mkdirSync } from 'node:fs';
import { setGlobalProxyFromEnv } from 'node:http';
import type { Logger } from 'pino';
import { type Listeners, listen } from '../api/listen.ts';
import { routes } from '../api/routes.ts';
import { createApi } from '../api/server.ts';
import { writePidfile } from '../daemon/pidfile.ts';
import { lockRoot } from '../daemon/root-lock.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { probeRunc, reportHost } from '../observe/host.ts';
import { serveMetrics } from '../observe/metrics-server.ts';
import { containerdVersion } from '../runtime/containerd-version.ts';
import type { DaemonConfig } from './config.ts';
import { daemonId } from './daemon-id.ts';
import { diskUsage } from './disk-usage.ts';
import { makeParts } from './parts.ts';

/** A running daemon. */
export interface Daemon {
  /** Takes over what may change while running, and tells it as Docker's `daemon reload` event. */
  reload(next: DaemonConfig): void;
  /** Ends the API and everything of this process; containers, their networks and published ports go on. */
  stop(): Promise<void>;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Reloadable keys (docs.docker.com/reference/cli/dockerd, "Configuration reload behavior"). */
const RELOADABLE = [
  'debug',
  'logLevel',
  'labels',
  'liveRestore',
  'registryMirrors',
  'insecureRegistries',
  'maxConcurrentDownloads',
  'shutdownTimeout',
] as const satisfies readonly (keyof DaemonConfig)[];

function makeRoots(config: DaemonConfig): void {
  for (const root of [config.dataRoot, config.execRoot]) {
    mkdirSync(root, { recursive: true, mode: 0o711 });
    // Others may pass to what is made for them (a socket), and list nothing.
    chmodSync(root, 0o711);
  }
}

/** The first call asks, later ones get its answer. */
function probeOnce<T>(probe: () => Promise<T>): () => Promise<T> {
  let answer: Promise<T> | undefined;
  return () => {
    answer ??= probe();
    return answer;
  };
}

/** Undefined on a kernel that cannot: the other metrics do without. */
function countPublished(kernel: Kernel, log: Logger): ReturnType<Kernel['countPublished']> | undefined {
  try {
    return kernel.countPublished();
  } catch (error) {
    log.warn({ err: error }, 'bytes of published ports are not counted');
    return undefined;
  }
}

/** Everything the daemon fetches goes by the proxies from now on; what is on this host never does, as in Go. */
function useProxies({ http, https, no }: DaemonConfig['proxies']): void {
  if (http === undefined && https === undefined) return;
  setGlobalProxyFromEnv({
    ...(http && { HTTP_PROXY: http }),
    ...(https && { HTTPS_PROXY: https }),
    NO_PROXY: ['localhost', '127.0.0.1', '::1', ...(no ? [no] : [])].join(),
  });
}

/** Go's `%v`-like texts, as Docker's event has them. */
function reloadAttributes(config: DaemonConfig, name: string): Record<string, string> {
  return {
    name,
    debug: String(config.debug),
    labels: JSON.stringify(config.labels),
    'live-restore': String(config.liveRestore),
    'registry-mirrors': JSON.stringify(config.registryMirrors),
    'insecure-registries': JSON.stringify(config.insecureRegistries),
    'max-concurrent-downloads': String(config.maxConcurrentDownloads),
    'shutdown-timeout': String(config.shutdownTimeout),
  };
}

/**
 * Composes the daemon: every part is made here, once, and what was there before is found again before the first
 * request is taken. When this rejects, everything made so far is given back.
 */
export async function startDaemon(given: DaemonConfig, log: Logger): Promise<Daemon> {
  const undo: (() => unknown)[] = [];
  const unwind = async (): Promise<void> => {
    for (const step of undo.splice(0).reverse()) {
      try {
        await step();
      } catch (error) {
        log.error({ err: error }, 'while stopping');
      }
    }
  };
  try {
    // The parts hold this object; reload writes into it.
    const config: Mutable<DaemonConfig> = { ...given };
    makeRoots(config);
    undo.push(lockRoot(config.dataRoot, 'data-root'), lockRoot(config.execRoot, 'exec-root'));
    undo.push(writePidfile(config.pidfile));
    useProxies(config.proxies);
    // Not loaded where nobody asks.
    const metrics = config.metrics && new (await import('../observe/metrics.ts')).Metrics();
    const parts = await makeParts(config, log, (step) => undo.push(step), metrics?.dns);
    const id = daemonId(parts.store);
    const host = reportHost();
    const app = createApi(log);
    metrics?.watchApi(app);
    routes(app, parts, {
      config: () => config,
      daemonId: id,
      host,
      containerd: {
        address: parts.containerd.address,
        version: () => containerdVersion(parts.containerd.address),
      },
      runc: probeOnce(probeRunc),
      networkWarnings: () => parts.networking.warnings(),
      counts: () => ({ ...parts.containers.counts(), images: parts.images.list().length }),
      eventListeners: () => parts.events.listenerCount,
      diskUsage: (kinds) => diskUsage(kinds, parts),
    });
    parts.networking.watch();
    if (metrics !== undefined && config.metrics !== undefined) {
      const portTraffic = config.network.iptables ? countPublished(parts.kernel, log) : undefined;
      undo.push(() => portTraffic?.close());
      metrics.watchTraffic({
        ...parts,
        ...(portTraffic && { portTraffic }),
        containers: () => parts.containers.counts(),
      });
      undo.push(await serveMetrics(metrics, config.metrics, log));
    }
    const listeners: Listeners = await listen(app, config, log);
    undo.push(() => listeners.close(Math.min(config.shutdownTimeout, 2) * 1000));
    log.info({ pid: process.pid, dataRoot: config.dataRoot, execRoot: config.execRoot }, 'daemon is ready');
    return {
      reload: (next) => {
        for (const key of RELOADABLE) Object.assign(config, { [key]: next[key] });
        log.level = config.logLevel;
        parts.events.publish('daemon', 'reload', id, reloadAttributes(config, host.hostname));
        log.info('configuration reloaded');
      },
      stop: unwind,
    };
  } catch (error) {
    await unwind();
    throw error;
  }
}
