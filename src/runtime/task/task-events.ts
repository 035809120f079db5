import type { Logger } from 'pino';
import type { TaskExit } from '../tasks.ts';
import { formatTimestamp, type TaskServices, taskExitCodec, taskOomCodec } from './task-services.ts';

/** Exits that came before anybody said the process runs: a start whose answer is still on its way. */
const EARLY_EXITS = 1024;
const RECONNECT_MS = 100;
/** containerd acknowledges no subscription: look a second time for what ended while it was being made. */
const SECOND_LOOK_MS = 1000;

/**
 * containerd's event stream, subscribed again whenever it breaks. Every process that was announced by `watch` is
 * reported exactly once when it ends, never before `watch`.
 */
export class TaskEvents {
  readonly #services: TaskServices;
  readonly #namespace: string;
  readonly #log: Logger;
  readonly #exitListeners = new Set<(exit: TaskExit) => void>();
  readonly #oomListeners = new Set<(id: string) => void>();
  readonly #watched = new Map<string, { id: string; execId: string; pid: number }>();
  readonly #early = new Map<string, TaskExit>();
  readonly #lookAgain: () => Promise<void>;
  #stream: ReturnType<TaskServices['subscribe']> | undefined;
  #timers = new Set<NodeJS.Timeout>();
  #closed = false;

  /** @param lookAgain finds by listing what ended unseen, and reports it through `ended` */
  constructor(services: TaskServices, namespace: string, log: Logger, lookAgain: () => Promise<void>) {
    this.#services = services;
    this.#namespace = namespace;
    this.#log = log;
    this.#lookAgain = lookAgain;
    this.#subscribe();
  }

  onExit(listener: (exit: TaskExit) => void): void {
    this.#exitListeners.add(listener);
  }

  onOom(listener: (id: string) => void): void {
    this.#oomListeners.add(listener);
  }

  watch(id: string, execId: string, pid: number): void {
    const key = `${id}/${execId}/${pid}`;
    const early = this.#early.get(key);
    this.#watched.set(key, { id, execId, pid });
    if (early === undefined) return;
    this.#early.delete(key);
    // After the caller has seen the answer of its start.
    setImmediate(() => this.ended(early));
  }

  watched(): readonly { readonly id: string; readonly execId: string; readonly pid: number }[] {
    return [...this.#watched.values()];
  }

  /** A process ended; reported once, however often it is told. */
  ended(exit: TaskExit): void {
    const key = `${exit.id}/${exit.execId}/${exit.pid}`;
    if (this.#watched.delete(key)) {
      for (const listener of this.#exitListeners) listener(exit);
      return;
    }
    this.#early.set(key, exit);
    const oldest = this.#early.keys().next().value;
    if (this.#early.size > EARLY_EXITS && oldest !== undefined) this.#early.delete(oldest);
  }

  close(): void {
    this.#closed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#stream?.cancel();
  }

  #subscribe(): void {
    const topics = ['/tasks/exit', '/tasks/oom'];
    const stream = this.#services.subscribe(
      topics.map((topic) => `namespace==${this.#namespace},topic=="${topic}"`),
    );
    this.#stream = stream;
    stream.on('data', (envelope) => {
      if (envelope.event === null) return;
      if (envelope.topic === '/tasks/oom') {
        const { containerId } = taskOomCodec.decode(envelope.event.value);
        for (const listener of this.#oomListeners) listener(containerId);
        return;
      }
      const exit = taskExitCodec.decode(envelope.event.value);
      this.ended({
        id: exit.containerId,
        // The shim names the first process by the container's own id.
        execId: exit.id === exit.containerId ? '' : exit.id,
        pid: exit.pid,
        exitStatus: exit.exitStatus,
        exitedAt: formatTimestamp(exit.exitedAt),
      });
    });
    let over = false;
    const again = (error?: Error): void => {
      if (over || this.#closed) return;
      over = true;
      this.#log.warn({ error: error?.message }, 'event stream of containerd broke, subscribing again');
      this.#later(RECONNECT_MS, () => this.#subscribe());
    };
    stream.on('error', again);
    stream.on('end', () => again());
    this.#look();
    this.#later(SECOND_LOOK_MS, () => this.#look());
  }

  #look(): void {
    if (this.#watched.size === 0) return;
    this.#lookAgain().catch((error: unknown) =>
      this.#log.warn({ error: String(error) }, 'tasks could not be listed'),
    );
  }

  #later(ms: number, body: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      if (!this.#closed) body();
    }, ms);
    timer.unref();
    this.#timers.add(timer);
  }
}
