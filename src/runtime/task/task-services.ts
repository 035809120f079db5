import { fileURLToPath } from 'node:url';
import type { ClientReadableStream, Metadata } from '@grpc/grpc-js';
import { loadSync, type MessageTypeDefinition } from '@grpc/proto-loader';
import { ContainerdClient, type Message } from '../containerd-client.ts';

const definition = loadSync(
  ['tasks.proto', 'task-containers.proto', 'task-events.proto', 'runc-options.proto'].map((name) =>
    fileURLToPath(new URL(`../proto/${name}`, import.meta.url)),
  ),
  { longs: String, enums: String, defaults: true },
);

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

/** containerd's Tasks, Containers and Events services of one namespace. */
export class TaskServices {
  readonly #containerd: ContainerdClient<'Tasks' | 'Containers' | 'Events'>;

  /** @param address path of containerd's socket */
  constructor(address: string, namespace: string) {
    const names = ['Tasks', 'Containers', 'Events'] as const;
    this.#containerd = new ContainerdClient(definition, names, address, namespace);
  }

  /** @throws ServiceError of grpc-js */
  call<T>(service: 'Tasks' | 'Containers', method: string, request: Message): Promise<T> {
    return this.#containerd.call(service, method, request, { timeoutMs: DEADLINE_MS });
  }

  subscribe(filters: readonly string[]): ClientReadableStream<Envelope> {
    const client = this.#containerd.client<{
      subscribe(request: Message, metadata: Metadata): ClientReadableStream<Envelope>;
    }>('Events');
    return client.subscribe({ filters }, this.#containerd.metadata());
  }

  close(): void {
    this.#containerd.close();
  }
}

/** RFC 3339 with nanoseconds, UTC. */
export function formatTimestamp(time: Timestamp | null): string {
  if (time === null) return '0001-01-01T00:00:00Z';
  const base = new Date(Number(time.seconds) * 1000).toISOString().slice(0, 19);
  const fraction = String(time.nanos).padStart(9, '0').replace(/0+$/, '');
  return fraction === '' ? `${base}Z` : `${base}.${fraction}Z`;
}
