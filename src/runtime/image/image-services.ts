import { fileURLToPath } from 'node:url';
import {
  type ClientDuplexStream,
  type ClientReadableStream,
  type Metadata,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { ContainerdClient, type Message } from '../containerd-client.ts';
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

const SERVICES = ['Content', 'Snapshots', 'Diff', 'Images', 'Leases'] as const;
type ServiceName = (typeof SERVICES)[number];

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
  readonly #containerd: ContainerdClient<ServiceName>;

  /** @param address path of containerd's socket */
  constructor(address: string, namespace: string) {
    this.#containerd = new ContainerdClient(definition, SERVICES, address, namespace);
  }

  /** @param lease holds what the call makes. @throws ServiceError of grpc-js */
  call<T>(service: ServiceName, method: string, request: Message, lease?: string): Promise<T> {
    return this.#containerd.call(service, method, request, lease === undefined ? {} : { lease });
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
    const client = this.#containerd.client<{
      read(request: Message, metadata: Metadata): ClientReadableStream<{ readonly data: Buffer }>;
    }>('Content');
    return client.read({ digest, offset }, this.#containerd.metadata());
  }

  write(lease?: string): ClientDuplexStream<WriteRequest, WriteResponse> {
    const client = this.#containerd.client<{
      write(metadata: Metadata): ClientDuplexStream<WriteRequest, WriteResponse>;
    }>('Content');
    return client.write(this.#containerd.metadata(lease));
  }

  close(): void {
    this.#containerd.close();
  }
}
