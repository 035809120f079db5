import { fileURLToPath } from 'node:url';
import {
  type Client,
  type ClientReadableStream,
  credentials,
  loadPackageDefinition,
  Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import { loadSync, type MessageTypeDefinition } from '@grpc/proto-loader';

const definition = loadSync(
  ['tasks.proto', 'task-containers.proto', 'task-events.proto', 'runc-options.proto'].map((name) =>
    fileURLToPath(new URL(`../proto/${name}`, import.meta.url)),
  ),
  { longs: String, enums: String, defaults: true },
);

type Message = Readonly<Record<string, unknown>>;
type Reply<T> = (error: ServiceError | null, value: T) => void;
type ServiceConstructor = new (
  address: string,
  creds: ReturnType<typeof credentials.createInsecure>,
) => Client;

export interface Any {
  readonly type_url: string;
  readonly value: Buffer;
}

interface Codec<T> {
  encode(value: Message): Buffer;
  decode(bytes: Buffer): T;
}

function codec<T>(name: string): Codec<T> {
  const found = definition[name] as MessageTypeDefinition<object, object> | undefined;
  if (found === undefined) throw new Error(`no message ${name}`);
  return { encode: (value) => found.serialize(value), decode: (bytes) => found.deserialize(bytes) as T };
}

export interface Timestamp {
  readonly seconds: string;
  readonly nanos: number;
}
export interface TaskExitEvent {
  readonly containerId: string;
  readonly id: string;
  readonly pid: number;
  readonly exitStatus: number;
  readonly exitedAt: Timestamp | null;
}
export interface ProcessMessage extends TaskExitEvent {
  readonly status: string;
}
export interface Envelope {
  readonly topic: string;
  readonly event: Any | null;
}

export const taskExitCodec = codec<TaskExitEvent>('containerd.services.events.v1.TaskExit');
export const taskOomCodec = codec<{ readonly containerId: string }>('containerd.services.events.v1.TaskOOM');
export const runcOptionsCodec = codec<Message>('containerd.runc.v1.Options');

/** A call that has no answer after this long is given up: a shim that hangs must not hang the daemon with it. */
const DEADLINE_MS = 120_000;

/** containerd's Tasks, Containers and Events services of one namespace. Channels to one address share a connection. */
export class TaskServices {
  readonly #clients: Readonly<Record<'Tasks' | 'Containers' | 'Events', Client>>;
  readonly #namespace: string;

  /** @param address path of containerd's socket */
  constructor(address: string, namespace: string) {
    this.#namespace = namespace;
    const loaded = loadPackageDefinition(definition) as unknown as {
      readonly containerd: { readonly services: Record<string, { v1: Record<string, ServiceConstructor> }> };
    };
    const make = (group: string, name: string): Client => {
      const Service = loaded.containerd.services[group]?.v1[name];
      if (Service === undefined) throw new Error(`no service ${name}`);
      return new Service(`unix://${address}`, credentials.createInsecure());
    };
    this.#clients = {
      Tasks: make('tasks', 'Tasks'),
      Containers: make('containers', 'Containers'),
      Events: make('events', 'Events'),
    };
  }

  #metadata(): Metadata {
    const metadata = new Metadata({ waitForReady: true });
    metadata.set('containerd-namespace', this.#namespace);
    return metadata;
  }

  /** @throws ServiceError of grpc-js */
  call<T>(service: 'Tasks' | 'Containers', method: string, request: Message): Promise<T> {
    const client = this.#clients[service] as unknown as Record<
      string,
      (request: Message, metadata: Metadata, options: { deadline: number }, reply: Reply<T>) => void
    >;
    return new Promise<T>((resolve, reject) => {
      client[method]?.(request, this.#metadata(), { deadline: Date.now() + DEADLINE_MS }, (error, value) =>
        error ? reject(error) : resolve(value),
      );
    });
  }

  subscribe(filters: readonly string[]): ClientReadableStream<Envelope> {
    const client = this.#clients.Events as unknown as {
      subscribe(request: Message, metadata: Metadata): ClientReadableStream<Envelope>;
    };
    return client.subscribe({ filters }, this.#metadata());
  }

  close(): void {
    for (const client of Object.values(this.#clients)) client.close();
  }
}

/** RFC 3339 with nanoseconds, UTC. */
export function formatTimestamp(time: Timestamp | null): string {
  if (time === null) return '0001-01-01T00:00:00Z';
  const base = new Date(Number(time.seconds) * 1000).toISOString().slice(0, 19);
  const fraction = String(time.nanos).padStart(9, '0').replace(/0+$/, '');
  return fraction === '' ? `${base}Z` : `${base}.${fraction}Z`;
}
