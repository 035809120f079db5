import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { HostConfig } from '@docker/node-sdk';
import { conflict, EngineError, errors, invalid } from '../../model/errors.ts';
import type { Mount } from '../../runtime/images.ts';
import { validateLogConfig } from '../../runtime/log/log-driver.ts';
import type { Platform } from '../engine.ts';
import type { Collection } from '../store.ts';
import { parseMounts, realize } from '../volume/mount-spec.ts';
import { Volumes } from '../volume/volumes.ts';
import { checkContainer } from './check.ts';
import {
  type Container,
  eventAttributes,
  initialState,
  isRunning,
  type MountPoint,
  networkMode,
  type State,
} from './container.ts';
import type { CreateRequest } from './create-request.ts';
import { fillHostConfig } from './host-config.ts';
import { checkLinks } from './links.ts';
import { mergeConfig } from './merge-config.ts';
import { Mutex } from './mutex.ts';
import { parseName, randomName } from './name.ts';
import { wantedNetworks } from './wanted-networks.ts';

/** The containers of this engine: their records, names and directories. What runs is `Lifecycle`'s. */
export class Containers {
  readonly platform: Platform;
  readonly volumes: Volumes;
  readonly #records: Collection<Container>;
  readonly #byId = new Map<string, Container>();
  readonly #idOfName = new Map<string, string>();
  readonly #locks = new Map<string, Mutex>();

  constructor(platform: Platform) {
    this.platform = platform;
    this.#records = platform.store.collection('containers');
    for (const container of this.#records.all()) this.#remember(container);
    this.volumes = new Volumes(platform, (name) =>
      this.all()
        .filter((c) => c.mounts.some((mount) => mount.name === name))
        .map((c) => c.id),
    );
    mkdirSync(join(platform.config.dataRoot, 'containers'), { recursive: true, mode: 0o710 });
  }

  all(): readonly Container[] {
    return [...this.#byId.values()];
  }

  /** By id. @throws EngineError NOT_FOUND */
  get(id: string): Container {
    const container = this.#byId.get(id);
    if (container === undefined) throw errors.noSuchContainer(id);
    return container;
  }

  find(id: string): Container | undefined {
    return this.#byId.get(id);
  }

  /** By full id, name, or id prefix: Docker's order. @throws EngineError NOT_FOUND, INVALID_PARAMETER for an ambiguous prefix */
  lookUp(ref: string): Container {
    const exact = this.#byId.get(ref) ?? this.#byId.get(this.#idOfName.get(ref.replace(/^\//, '')) ?? '');
    if (exact !== undefined) return exact;
    if (ref === '') throw invalid('no container name or ID supplied');
    const found = /^[0-9a-f]{1,64}$/.test(ref)
      ? this.all().filter((container) => container.id.startsWith(ref))
      : [];
    if (found.length > 1) throw invalid(`multiple IDs found with provided prefix: ${ref}`);
    if (found[0] === undefined) throw errors.noSuchContainer(ref);
    return found[0];
  }

  directory(id: string): string {
    return join(this.platform.config.dataRoot, 'containers', id);
  }

  logPath(id: string): string {
    return join(this.directory(id), `${id}-json.log`);
  }

  /** Operations that change a container's state run one after another. */
  locked<T>(id: string, body: () => Promise<T>): Promise<T> {
    let lock = this.#locks.get(id);
    if (lock === undefined) {
      lock = new Mutex();
      this.#locks.set(id, lock);
    }
    return lock.run(body);
  }

  /** Changes a record, in the store first. */
  update(
    id: string,
    change: Partial<Omit<Container, 'id' | 'state'>> & { readonly state?: Partial<State> },
  ): Container {
    const before = this.get(id);
    const after: Container = { ...before, ...change, state: { ...before.state, ...change.state } };
    this.#records.put(id, after);
    if (before.name !== after.name) this.#idOfName.delete(before.name);
    this.#remember(after);
    return after;
  }

  publish(container: Container, action: string, attributes: Readonly<Record<string, string>> = {}): void {
    this.platform.events.publish('container', action, container.id, {
      ...eventAttributes(container),
      ...attributes,
    });
  }

  /** @throws EngineError in Docker's words; nothing is left behind */
  async create(
    nameText: string | undefined,
    request: CreateRequest,
  ): Promise<{ readonly id: string; readonly warnings: readonly string[] }> {
    const { images, config: daemon } = this.platform;
    const warnings = [...checkContainer(request.config, request.hostConfig, request.networks)];
    const image = images.resolve(this.#imageRef(request.config.Image));
    const config = mergeConfig(request.config, image.config);
    if ((config.Entrypoint ?? []).length === 0 && (config.Cmd ?? []).length === 0)
      throw invalid('no command specified');
    const hostConfig = fillHostConfig(request.hostConfig, daemon);
    validateLogConfig({
      driver: hostConfig.LogConfig?.Type ?? '',
      options: hostConfig.LogConfig?.Config ?? {},
    });
    const networks = wantedNetworks(hostConfig, request, this.platform.networking);
    checkLinks(this, hostConfig.Links ?? []);
    const id = randomBytes(32).toString('hex');
    const wishes = parseMounts({
      hostConfig,
      volumes: Object.keys(config.Volumes ?? {}),
      mountsOf: (ref) => this.#mountsOf(ref),
    });
    const name = nameText ? parseName(nameText) : randomName((candidate) => this.#idOfName.has(candidate));
    this.#reserve(name, id);
    const volumesMade: string[] = [];
    try {
      mkdirSync(this.directory(id), { recursive: true, mode: 0o710 });
      const container: Container = {
        id,
        name,
        created: new Date().toISOString(),
        image: request.config.Image ?? image.id,
        imageId: image.id,
        config: { ...config, Hostname: config.Hostname || this.#defaultHostname(hostConfig, id) },
        hostConfig,
        networks,
        mounts: realize(wishes, this.volumes, volumesMade),
        state: initialState,
        restartCount: 0,
        manuallyStopped: false,
      };
      markRootfs(await images.prepareRootfs(image, id));
      this.#records.put(id, container);
      this.#remember(container);
      this.publish(container, 'create');
      return { id, warnings };
    } catch (error) {
      this.#idOfName.delete(name);
      rmSync(this.directory(id), { recursive: true, force: true });
      for (const volume of volumesMade) this.volumes.remove(volume, { force: true });
      await images.removeRootfs(id).catch(() => undefined);
      throw error;
    }
  }

  /** Takes the record and the name away; the caller has seen to everything that hangs on it. */
  forget(id: string): void {
    const container = this.#byId.get(id);
    if (container === undefined) return;
    this.#records.delete(id);
    this.#byId.delete(id);
    if (this.#idOfName.get(container.name) === id) this.#idOfName.delete(container.name);
    this.#locks.delete(id);
  }

  /** @throws EngineError CONFLICT when the name is taken */
  rename(id: string, nameText: string): void {
    if (nameText === '') throw invalid('Neither old nor new names may be empty');
    const before = this.get(id);
    const name = renamed(nameText);
    if (name === before.name) throw invalid('Renaming a container with the same name as its current name');
    this.#reserve(name, id);
    const after = this.update(id, { name });
    this.publish(after, 'rename', { oldName: `/${before.name}` });
  }

  /** What images are asked about before they are removed. */
  usersOf(imageId: string): readonly { readonly id: string; readonly running: boolean }[] {
    return this.all()
      .filter((container) => container.imageId === imageId)
      .map((container) => ({ id: container.id, running: isRunning(container) }));
  }

  counts(): { readonly running: number; readonly paused: number; readonly stopped: number } {
    const counts = { running: 0, paused: 0, stopped: 0 };
    for (const { state } of this.#byId.values()) {
      if (state.status === 'running' || state.status === 'restarting') counts.running++;
      else if (state.status === 'paused') counts.paused++;
      else counts.stopped++;
    }
    return counts;
  }

  /** The fault is in the request, so it is no 404: the docker command would go and pull the image. */
  #mountsOf(ref: string): readonly MountPoint[] {
    try {
      return this.lookUp(ref).mounts;
    } catch (error) {
      throw error instanceof EngineError ? invalid(error.message) : error;
    }
  }

  #imageRef(ref: string | undefined): string {
    if (!ref) throw invalid('no image specified');
    return ref;
  }

  #remember(container: Container): void {
    this.#byId.set(container.id, container);
    this.#idOfName.set(container.name, container.id);
  }

  #reserve(name: string, id: string): void {
    const owner = this.#idOfName.get(name);
    if (owner !== undefined && owner !== id) throw errors.nameInUse(name, owner);
    this.#idOfName.set(name, id);
  }

  #defaultHostname(hostConfig: HostConfig, id: string): string {
    const mode = networkMode(hostConfig);
    if (mode.kind === 'container') return '';
    if (mode.kind === 'host') return hostname();
    return id.slice(0, 12);
  }

  /** @throws EngineError CONFLICT */
  checkRemovable(container: Container, force: boolean): void {
    if (force || (!isRunning(container) && container.state.status !== 'restarting')) return;
    const name = `cannot remove container "${container.name}"`;
    if (container.state.status === 'paused')
      throw conflict(`${name}: container is paused and must be unpaused first`);
    throw conflict(
      `${name}: container is ${container.state.status}: stop the container before removing or force remove`,
    );
  }
}

function renamed(text: string): string {
  try {
    return parseName(text);
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    throw new EngineError(
      error.code,
      `Error when allocating new name: ${error.message.replace(`(${text})`, `(/${text.replace(/^\//, '')})`)}`,
    );
  }
}

/** The empty file by which programs know that they are in a container (moby daemon/initlayer). */
function markRootfs(rootfs: readonly Mount[]): void {
  const [layer] = rootfs;
  const upper = layer?.options.find((text) => text.startsWith('upperdir='))?.slice('upperdir='.length);
  const top = upper ?? (layer?.type === 'bind' ? layer.source : undefined);
  if (top !== undefined) writeFileSync(join(top, '.dockerenv'), '', { mode: 0o755, flag: 'a' });
}
