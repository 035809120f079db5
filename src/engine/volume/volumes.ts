import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { conflict, errors, invalid, notFound } from '../../model/errors.ts';
import type { MountPoint } from '../container/container.ts';
import type { Foundation } from '../engine.ts';
import type { Collection } from '../store.ts';

export interface Volume {
  readonly name: string;
  readonly driver: 'local';
  readonly created: string;
  readonly labels: Readonly<Record<string, string>> | null;
  readonly options: Readonly<Record<string, string>> | null;
  readonly anonymous: boolean;
}

export interface VolumeRequest {
  /** A random one when absent. */
  readonly name?: string;
  readonly driver?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly options?: Readonly<Record<string, string>>;
}

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

/** Named volumes of the `local` driver: directories under the data root. */
export class Volumes {
  readonly #foundation: Foundation;
  readonly #records: Collection<Volume>;
  readonly #root: string;
  readonly #usersOf: (name: string) => readonly string[];

  /** @param usersOf ids of the containers that mount a volume */
  constructor(foundation: Foundation, usersOf: (name: string) => readonly string[]) {
    this.#foundation = foundation;
    this.#records = foundation.store.collection('volumes');
    this.#root = join(foundation.config.dataRoot, 'volumes');
    this.#usersOf = usersOf;
    mkdirSync(this.#root, { recursive: true, mode: 0o701 });
  }

  path(name: string): string {
    return join(this.#root, name, '_data');
  }

  /** In the Engine API's shape. */
  describe(volume: Volume): object {
    return {
      CreatedAt: volume.created,
      Driver: volume.driver,
      Labels: volume.labels,
      Mountpoint: this.path(volume.name),
      Name: volume.name,
      Options: volume.options,
      Scope: 'local',
    };
  }

  list(): readonly Volume[] {
    return this.#records.all();
  }

  has(name: string): boolean {
    return this.#records.get(name) !== undefined;
  }

  /** @throws EngineError NOT_FOUND */
  get(name: string): Volume {
    const volume = this.#records.get(name);
    if (volume === undefined) throw errors.noSuchVolume(name);
    return volume;
  }

  /** Gives the existing one when the name is known, as Docker does. @throws EngineError INVALID_PARAMETER, NOT_FOUND */
  create(request: VolumeRequest): Volume {
    const driver = request.driver || 'local';
    if (driver !== 'local') {
      throw notFound(
        `create ${request.name || randomBytes(32).toString('hex')}: error looking up volume plugin ${driver}: plugin "${driver}" not found`,
      );
    }
    const name = request.name || randomBytes(32).toString('hex');
    if (name.length === 1)
      throw invalid(
        `create ${name}: volume name is too short, names should be at least two alphanumeric characters`,
      );
    if (!NAME.test(name)) {
      throw invalid(
        `create ${name}: "${name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
      );
    }
    const known = this.#records.get(name);
    if (known !== undefined) return known;
    const unknown = Object.keys(request.options ?? {})[0];
    if (unknown !== undefined) throw invalid(`create ${name}: invalid option: "${unknown}"`);
    const volume: Volume = {
      name,
      driver: 'local',
      created: new Date().toISOString().replace(/\.\d+Z$/, 'Z'),
      labels: request.labels ?? null,
      options: request.options ?? null,
      anonymous: !request.name,
    };
    this.#records.put(name, volume);
    mkdirSync(this.path(name), { recursive: true, mode: 0o755 });
    this.#publish('create', volume);
    return volume;
  }

  /** @throws EngineError NOT_FOUND, CONFLICT when a container uses it */
  remove(name: string, options: { readonly force: boolean }): void {
    const volume = this.#records.get(name);
    if (volume === undefined) {
      if (options.force) return;
      throw errors.noSuchVolume(name);
    }
    const users = this.#usersOf(name);
    if (users.length > 0) throw conflict(`remove ${name}: volume is in use - [${users.join(', ')}]`);
    rmSync(join(this.#root, name), { recursive: true, force: true });
    this.#records.delete(name);
    this.#publish('destroy', volume);
  }

  async prune(matches: (volume: Volume) => boolean): Promise<{ removed: string[]; reclaimed: number }> {
    const removed: string[] = [];
    let reclaimed = 0;
    for (const volume of this.list()) {
      if (this.#usersOf(volume.name).length > 0 || !matches(volume)) continue;
      reclaimed += await this.size(volume.name);
      this.remove(volume.name, { force: true });
      removed.push(volume.name);
    }
    this.#foundation.events.publish('volume', 'prune', '', { reclaimed: String(reclaimed) });
    return { removed, reclaimed };
  }

  /** Bytes of the files in it. */
  async size(name: string): Promise<number> {
    const entries = await readdir(this.path(name), { recursive: true, withFileTypes: true }).catch(() => []);
    const sizes = await Promise.all(
      entries
        .filter((entry) => entry.isFile())
        .map((entry) =>
          stat(join(entry.parentPath, entry.name)).then(
            (s) => s.size,
            () => 0,
          ),
        ),
    );
    return sizes.reduce((sum, size) => sum + size, 0);
  }

  users(name: string): readonly string[] {
    return this.#usersOf(name);
  }

  /** Tells that a container begins to use its volumes (moby daemon/volumes_linux.go). */
  tellMounted(containerId: string, mounts: readonly MountPoint[]): void {
    for (const { volume, mount } of this.#mountedBy(mounts)) {
      this.#publish('mount', volume, {
        container: containerId,
        destination: mount.destination,
        propagation: '',
        'read/write': String(!mount.readOnly),
      });
    }
  }

  tellUnmounted(containerId: string, mounts: readonly MountPoint[]): void {
    for (const { volume } of this.#mountedBy(mounts))
      this.#publish('unmount', volume, { container: containerId });
  }

  #mountedBy(mounts: readonly MountPoint[]): { readonly volume: Volume; readonly mount: MountPoint }[] {
    return mounts.flatMap((mount) => {
      const volume = mount.name === undefined ? undefined : this.#records.get(mount.name);
      return volume === undefined ? [] : [{ volume, mount }];
    });
  }

  #publish(action: string, volume: Volume, attributes: Readonly<Record<string, string>> = {}): void {
    this.#foundation.events.publish('volume', action, volume.name, { ...attributes, driver: volume.driver });
  }
}
