import { type Client, credentials, loadPackageDefinition, Metadata, type ServiceError } from '@grpc/grpc-js';
import type { PackageDefinition } from '@grpc/proto-loader';

export type Message = Readonly<Record<string, unknown>>;
type ServiceConstructor = new (
  address: string,
  creds: ReturnType<typeof credentials.createInsecure>,
) => Client;

export interface CallOptions {
  /** What the call makes belongs to this lease, so that the garbage collector leaves it alone. */
  readonly lease?: string;
  /** Milliseconds until the call is given up; absent: never. */
  readonly timeoutMs?: number;
}

/** Some of containerd's services, in one of its namespaces. Channels to one address share a connection. */
export class ContainerdClient<Name extends string> {
  readonly #clients = new Map<Name, Client>();
  readonly #namespace: string;

  /**
   * @param names of services, each in the package `containerd.services.<name in lower case>.v1` of `definition`
   * @param address path of containerd's socket
   */
  constructor(definition: PackageDefinition, names: readonly Name[], address: string, namespace: string) {
    this.#namespace = namespace;
    const loaded = loadPackageDefinition(definition) as unknown as {
      readonly containerd: { readonly services: Record<string, { v1: Record<string, ServiceConstructor> }> };
    };
    for (const name of names) {
      const Service = loaded.containerd.services[name.toLowerCase()]?.v1[name];
      if (Service === undefined) throw new Error(`no service ${name}`);
      this.#clients.set(name, new Service(`unix://${address}`, credentials.createInsecure()));
    }
  }

  /** The client itself, for calls that stream. */
  client<T>(name: Name): T {
    const client = this.#clients.get(name);
    if (client === undefined) throw new Error(`no client ${name}`);
    return client as unknown as T;
  }

  metadata(lease?: string): Metadata {
    const metadata = new Metadata({ waitForReady: true });
    metadata.set('containerd-namespace', this.#namespace);
    if (lease !== undefined) metadata.set('containerd-lease', lease);
    return metadata;
  }

  /** @throws ServiceError of grpc-js */
  call<T>(service: Name, method: string, request: Message, options: CallOptions = {}): Promise<T> {
    const client =
      this.client<
        Record<
          string,
          (
            request: Message,
            metadata: Metadata,
            options: { deadline?: number },
            reply: (error: ServiceError | null, value: T) => void,
          ) => void
        >
      >(service);
    const { lease, timeoutMs } = options;
    const limits = timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs };
    return new Promise<T>((resolve, reject) => {
      client[method]?.(request, this.metadata(lease), limits, (error, value) =>
        error ? reject(error) : resolve(value),
      );
    });
  }

  close(): void {
    for (const client of this.#clients.values()) client.close();
  }
}
