import { randomUUID } from 'node:crypto';
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { eventRoutes } from '../api/events.ts';
import { imageRoutes } from '../api/images.ts';
import { type Listeners, listen } from '../api/listen.ts';
import { createApi } from '../api/server.ts';
import { systemRoutes } from '../api/system.ts';
import { unsupportedRoutes } from '../api/unsupported.ts';
import { writePidfile } from '../daemon/pidfile.ts';
import { lockRoot } from '../daemon/root-lock.ts';
import { LinuxKernel } from '../kernel/linux-kernel.ts';
import { probeRunc, reportHost } from '../observe/host.ts';
import { ContainerdProcess } from '../runtime/containerd-process.ts';
import { containerdVersion } from '../runtime/containerd-version.ts';
import { ImageStore, type ImageUsers } from '../runtime/image/image-store.ts';
import { ContainerdTasks } from '../runtime/task/containerd-tasks.ts';
import type { DaemonConfig } from './config.ts';
import { diskUsage } from './disk-usage.ts';
import type { Foundation } from './engine.ts';
import { EventBus } from './events.ts';
import { Store } from './store.ts';

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

function daemonId(store: Store): string {
  const collection = store.collection<{ readonly id: string }>('daemon');
  const known = collection.get('id');
  if (known !== undefined) return known.id;
  const id = randomUUID();
  collection.put('id', { id });
  return id;
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
    const store = new Store(join(config.dataRoot, 'gangway.db'));
    undo.push(() => store.close());
    const events = new EventBus();
    const foundation: Foundation = { config, log, store, events };
    const kernel = new LinuxKernel({
      netnsDirectory: join(config.execRoot, 'netns'),
      log: (message) => log.debug(message),
    });
    undo.push(() => kernel.close());
    const containerd = new ContainerdProcess({
      dataRoot: config.dataRoot,
      execRoot: config.execRoot,
      log,
      ...(config.containerd === undefined ? {} : { address: config.containerd }),
    });
    await containerd.start();
    undo.push(() => containerd.release());
    const tasks = new ContainerdTasks({
      address: containerd.address,
      namespace: config.containerdNamespace,
      runtimeRoot: join(config.execRoot, 'runc'),
      log,
    });
    undo.push(() => tasks.close());
    const users: ImageUsers = { usersOf: () => [] };
    const images = new ImageStore({ config, log, events, address: containerd.address, users });
    undo.push(() => images.close());
    await images.load();
    const host = reportHost();
    let runc: ReturnType<typeof probeRunc> | undefined;

    const app = createApi(log);
    systemRoutes(app, {
      config: () => config,
      daemonId: daemonId(foundation.store),
      host,
      containerd: { address: containerd.address, version: () => containerdVersion(containerd.address) },
      runc: () => {
        runc ??= probeRunc();
        return runc;
      },
      counts: () => ({ running: 0, paused: 0, stopped: 0, images: images.list().length }),
      eventListeners: () => events.listenerCount,
      diskUsage: (kinds) => diskUsage(kinds, { images, users }),
    });
    imageRoutes(app, images, users);
    eventRoutes(app, events);
    unsupportedRoutes(app);
    const listeners: Listeners = await listen(app, config, log);
    undo.push(() => listeners.close(Math.min(config.shutdownTimeout, 2) * 1000));
    log.info({ pid: process.pid, dataRoot: config.dataRoot, execRoot: config.execRoot }, 'daemon is ready');
    return {
      reload: (next) => {
        for (const key of RELOADABLE) Object.assign(config, { [key]: next[key] });
        log.level = config.logLevel;
        events.publish('daemon', 'reload', daemonId(store), reloadAttributes(config, host.hostname));
        log.info('configuration reloaded');
      },
      stop: unwind,
    };
  } catch (error) {
    await unwind();
    throw error;
  }
}
