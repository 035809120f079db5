import type { ImageConfig } from '@docker/node-sdk';

/** A mount as containerd's snapshotter describes it (containerd api/types/mount.proto). */
export interface Mount {
  readonly type: string;
  readonly source: string;
  readonly target: string;
  readonly options: readonly string[];
}

/** An image that is completely here: manifest, config and every layer, held against containerd's garbage collection. */
export interface Image {
  /** `sha256:…` of the image config, which is what Docker's clients know as the image id. */
  readonly id: string;
  /** Digest of the manifest for this platform; content and snapshots hang on it. */
  readonly manifestDigest: string;
  readonly repoTags: readonly string[];
  readonly repoDigests: readonly string[];
  /** The config's runtime part: Env, Cmd, Entrypoint, User, ExposedPorts, Volumes, Healthcheck… */
  readonly config: ImageConfig;
  readonly architecture: string;
  readonly os: string;
  readonly variant?: string;
  readonly created?: string;
  readonly author?: string;
  readonly diffIds: readonly string[];
  /** Key of the committed snapshot of the last layer. */
  readonly chainId: string;
  /** Bytes of all layers, unpacked. */
  readonly size: number;
}

export interface RegistryAuth {
  readonly username?: string;
  readonly password?: string;
  readonly identitytoken?: string;
  readonly registrytoken?: string;
  readonly serveraddress?: string;
}

/** One line of Docker's progress stream (`{"status":…,"id":…,"progressDetail":…}`), as written to the client. */
export type Progress = Readonly<Record<string, unknown>>;

/** What the container side needs of images; the API routes of images use the class itself. */
export interface Images {
  /** By id (full or prefix), tag, or digest. @throws EngineError NOT_FOUND `No such image: REF` */
  resolve(ref: string): Image;
  list(): readonly Image[];
  /** A writable snapshot on top of the image, held by a lease until removeRootfs; its mounts. */
  prepareRootfs(image: Image, key: string): Promise<readonly Mount[]>;
  /** @throws EngineError NOT_FOUND when there is no such snapshot */
  rootfsMounts(key: string): Promise<readonly Mount[]>;
  /** Not an error when it is gone already. */
  removeRootfs(key: string): Promise<void>;
  /** Bytes the container has written (`SizeRw`). */
  rootfsUsage(key: string): Promise<number>;
  pull(ref: string, options: PullOptions): Promise<Image>;
}

export interface PullOptions {
  readonly auth?: RegistryAuth;
  /** `os[/arch[/variant]]`; the host's when absent. */
  readonly platform?: string;
  readonly signal?: AbortSignal;
  readonly progress: (line: Progress) => void;
}
