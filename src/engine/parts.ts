import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Cluster } from '../cluster/cluster.ts';
import type { DnsObserver } from '../dns/observer.ts';
import { ACCOUNTING, type ChangedSetting } from '../kernel/accounting.ts';
import { LinuxKernel } from '../kernel/linux-kernel.ts';
import { TrafficWatch } from '../observe/traffic-watch.ts';
import { ContainerdProcess } from '../runtime/containerd-process.ts';
import type { ImageUsers } from '../runtime/image/image-removal.ts';
import { ImageStore } from '../runtime/image/image-store.ts';
import { probeHostFeatures } from '../runtime/spec/host-features.ts';
import { FifoKeeper } from '../runtime/stream/fifo-keeper.ts';
import { ContainerdTasks } from '../runtime/task/containerd-tasks.ts';
import { makeCluster } from './cluster-node.ts';
import type { DaemonConfig } from './config.ts';
import { Containers } from './container/containers.ts';
import { HealthMonitors } from './container/health-monitor.ts';
import { Lifecycle } from './container/lifecycle.ts';
import { restore } from './container/restore.ts';
import type { Platform } from './engine.ts';
import { EventBus } from './events.ts';
import { Execs } from './exec/execs.ts';
import { Networks } from './network/networks.ts';
import { Store } from './store.ts';

/** Every part of the engine, made once. */
export interface Parts extends Platform {
  readonly images: ImageStore;
  readonly networking: Networks;
  readonly containerd: ContainerdProcess;
  readonly containers: Containers;
  readonly lifecycle: Lifecycle;
  readonly execs: Execs;
  readonly traffic: TrafficWatch;
  /** Of a host in a cluster. */
  readonly cluster?: Cluster;
}

/** A step that gives something back; the last made goes first. */
export type Undo = (step: () => unknown) => void;

/** Requests that change containers may still run for a moment when the daemon stops. */
const LAST_WAIT_MS = 3000;

/**
 * Makes the parts on the roots of `config` and finds again what runs there, from bottom to top.
 * @param undo is told how to give each part back, also of a start that fails half-way
 * @param dnsObserver counts what the name service does
 */
export async function makeParts(
  config: DaemonConfig,
  log: Logger,
  undo: Undo,
  dnsObserver?: DnsObserver,
): Promise<Parts> {
  const containerd = new ContainerdProcess({
    dataRoot: config.dataRoot,
    execRoot: config.execRoot,
    log,
    ...(config.containerd === undefined ? {} : { address: config.containerd }),
  });
  // It needs a moment; the rest of the floor is laid meanwhile.
  const answering = containerd.start();
  answering.catch(() => undefined);
  undo(() => containerd.release());
  const store = new Store(join(config.dataRoot, 'gangway.db'));
  undo(() => store.close());
  const events = new EventBus();
  const kernel = new LinuxKernel({
    netnsDirectory: join(config.execRoot, 'netns'),
    log: (message) => log.debug(message),
  });
  undo(() => kernel.close());
  await answering;

  const address = containerd.address;
  const tasks = new ContainerdTasks({
    address,
    namespace: config.containerdNamespace,
    runtimeRoot: join(config.execRoot, 'runc'),
    log,
  });
  undo(() => tasks.close());
  // Images ask about containers and containers stand on images.
  let containers: Containers | undefined;
  const users: ImageUsers = { usersOf: (id) => containers?.usersOf(id) ?? [] };
  const images = new ImageStore({ config, log, events, address, users });
  undo(() => images.close());
  await images.load();
  const cluster = config.cluster && makeCluster(config.cluster, { store, kernel, log });
  const networking = new Networks({
    config,
    log,
    store,
    events,
    kernel,
    ...(cluster && { cluster }),
    ...(dnsObserver && { dnsObserver }),
  });
  undo(() => networking.close());
  const fifoKeeper = new FifoKeeper(join(config.execRoot, 'fifo-keeper'), log);
  undo(() => fifoKeeper.release());
  const platform = { config, log, store, events, kernel, images, tasks, networking, fifoKeeper };
  containers = new Containers(platform);
  let execs: Execs | undefined;
  const lifecycle = new Lifecycle(
    containers,
    probeHostFeatures(),
    (made) =>
      new HealthMonitors(made, () => {
        if (execs === undefined) throw new Error('health checks begin after everything is made');
        return execs;
      }),
  );
  execs = new Execs(lifecycle);
  undo(() => Promise.race([lifecycle.close(), sleep(LAST_WAIT_MS, undefined, { ref: false })]));
  await restore(lifecycle);
  const changed = store.collection<ChangedSetting>('changed_settings');
  const traffic = new TrafficWatch({
    kernel,
    log,
    note: {
      get: () => changed.get(ACCOUNTING),
      put: (setting) => changed.put(ACCOUNTING, setting),
      delete: () => changed.delete(ACCOUNTING),
    },
    names: {
      endpoints: () => networking.allEndpoints(),
      remotes: () => networking.cluster.remotes(),
      endpointsOf: (id) => networking.endpoints(id),
      containerName: (id) => containers?.find(id)?.name,
      network: (id) => {
        const network = networking.find(id);
        return { name: network?.name ?? '', overlay: network?.driver === 'overlay' };
      },
      hostAddresses: () => kernel.host().localAddresses,
    },
    subscribe: (listener) => events.subscribe(listener),
  });
  undo(() => traffic.close());
  return {
    ...platform,
    images,
    containerd,
    containers,
    lifecycle,
    execs,
    traffic,
    ...(cluster && { cluster }),
  };
}
