export type WaitCondition = 'not-running' | 'next-exit' | 'removed';

export interface WaitResult {
  readonly statusCode: number;
  readonly error?: string;
}

interface Waiter {
  readonly condition: WaitCondition;
  readonly resolve: (result: WaitResult) => void;
}

/** Clients that wait for a container to end or to go. */
export class Waiters {
  readonly #waiting = new Map<string, Set<Waiter>>();

  wait(id: string, condition: WaitCondition, signal?: AbortSignal): Promise<WaitResult> {
    return new Promise((resolve) => {
      const waiter: Waiter = { condition, resolve };
      const waiting = this.#waiting.get(id) ?? new Set();
      waiting.add(waiter);
      this.#waiting.set(id, waiting);
      signal?.addEventListener('abort', () => this.#drop(id, waiter), { once: true });
    });
  }

  ended(id: string, result: WaitResult): void {
    this.#release(id, result, (condition) => condition !== 'removed');
  }

  removed(id: string, result: WaitResult): void {
    this.#release(id, result, () => true);
  }

  #release(id: string, result: WaitResult, applies: (condition: WaitCondition) => boolean): void {
    for (const waiter of [...(this.#waiting.get(id) ?? [])]) {
      if (!applies(waiter.condition)) continue;
      this.#drop(id, waiter);
      waiter.resolve(result);
    }
  }

  #drop(id: string, waiter: Waiter): void {
    const waiting = this.#waiting.get(id);
    waiting?.delete(waiter);
    if (waiting?.size === 0) this.#waiting.delete(id);
  }
}
