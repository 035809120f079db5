/** One body at a time, in order of arrival. */
export class Mutex {
  #tail: Promise<unknown> = Promise.resolve();

  run<T>(body: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(body, body);
    this.#tail = result.catch(() => undefined);
    return result;
  }
}
