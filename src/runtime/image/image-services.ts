import { fileURLToPath } from 'node:url';
import {
  type Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  credentials,
  loadPackageDefinition,
  Metadata,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import type { Mount } from '../images.ts';

const PROTO = fileURLToPath(new URL('../proto/', import.meta.url));
const definition = loadSync(
  ['content.proto', 'snapshots.proto', 'diff.proto', 'images.proto', 'leases.proto'],
  {
    includeDirs: [PROTO],
    longs: Number,
    enums: String,
    defaults: true,
  },
);

const SERVICES = {
  Content: 'content',
  Snapshots: 'snapshots',
  Diff: 'diff',
  Images: 'images',
  Leases: 'leases',
} as const;
type ServiceName = keyof typeof SERVICES;
type Message = Readonly<Record<string, unknown>>;

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
}
export interface WriteRequest {
  readonly action: 'STAT' | 'WRITE' | 'COMMIT';
  readonly ref?: string;
  readonly total?: number;
  readonly expected?: string;
  readonly offset?: number;
  readonly data?: Uint8Array;
  readonly labels?: Readonly<Record<string, string>>;
}
export interface WriteResponse {
  readonly action: 'STAT' | 'WRITE' | 'COMMIT';
  readonly offset: number;
  readonly total: number;
  readonly digest: string;
}
export interface ImageRecord {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly target: Descriptor;
}
export type { Mount };

/** gRPC statuses that callers branch on. */
export const isNotFound = (error: unknown): boolean => (error as ServiceError).code === status.NOT_FOUND;
export const isAlreadyExists = (error: unknown): boolean =>
  (error as ServiceError).code === status.ALREADY_EXISTS;

/** containerd's Content, Snapshots, Diff, Images and Leases services of one namespace. */
export class ImageServices {
  readonly #clients = new Map<ServiceName, Client>();
  readonly #namespace: string;

  /** @param address path of containerd's socket */
  constructor(address: string, namespace: string) {
    this.#namespace = namespace;
    const loaded = loadPackageDefinition(definition) as unknown as {
      readonly containerd: {
        readonly services: Record<
          string,
          {
            v1: Record<
              string,
              new (
                address: string,
                creds: ReturnType<typeof credentials.createInsecure>,
              ) => Client
            >;
          }
        >;
      };
    };
    for (const [name, group] of Object.entries(SERVICES)) {
      const Service = loaded.containerd.services[group]?.v1[name];
      if (Service === undefined) throw new Error(`no service ${name}`);
      this.#clients.set(name as ServiceName, new Service(`unix://${address}`, credentials.createInsecure()));
    }
  }

  #client(name: ServiceName): Client {
    const client = this.#clients.get(name);
    if (client === undefined) throw new Error(`no client ${name}`);
    return client;
  }

  /** @param lease what the call makes belongs to this lease, so that the garbage collector leaves it alone */
  #metadata(lease?: string): Metadata {
    const metadata = new Metadata({ waitForReady: true });
    metadata.set('containerd-namespace', this.#namespace);
    if (lease !== undefined) metadata.set('containerd-lease', lease);
    return metadata;
  }

  /** @throws ServiceError of grpc-js */
  call<T>(service: ServiceName, method: string, request: Message, lease?: string): Promise<T> {
    const client = this.#client(service) as unknown as Record<
      string,
      (request: Message, metadata: Metadata, reply: (error: ServiceError | null, value: T) => void) => void
    >;
    return new Promise<T>((resolve, reject) => {
      client[method]?.(request, this.#metadata(lease), (error, value) =>
        error ? reject(error) : resolve(value),
      );
    });
  }

  /**
   * Makes something that is there already part of a lease. What an image that was just removed left behind may be
   * collected at any moment until then, so look whether it is there only afterwards.
   * @param type `content`, or `snapshots/` and the snapshotter
   */
  async hold(lease: string, type: string, id: string): Promise<void> {
    await this.call('Leases', 'addResource', { id: lease, resource: { id, type } });
  }

  read(digest: string, offset = 0): ClientReadableStream<{ readonly data: Buffer }> {
    const client = this.#client('Content') as unknown as {
      read(request: Message, metadata: Metadata): ClientReadableStream<{ readonly data: Buffer }>;
    };
    return client.read({ digest, offset }, this.#metadata());
  }

  write(lease?: string): ClientDuplexStream<WriteRequest, WriteResponse> {
    const client = this.#client('Content') as unknown as {
      write(metadata: Metadata): ClientDuplexStream<WriteRequest, WriteResponse>;
    };
    return client.write(this.#metadata(lease));
  }

  close(): void {
    for (const client of this.#clients.values()) client.close();
  }
}
