import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';

/** A durable map from id to a JSON document. */
export interface Collection<T> {
  get(id: string): T | undefined;
  put(id: string, value: T): void;
  delete(id: string): void;
  all(): T[];
}

/**
 * All durable state of the daemon, one SQLite file in WAL mode under the data root. Synchronous: a promise made to a
 * client is on disk before the kernel is touched. `synchronous=NORMAL` survives the death of the process at any line;
 * a power cut may lose the last moments, never the consistency (sqlite.org/wal.html).
 */
export class Store {
  readonly #db: DatabaseSync;
  readonly #collections = new Map<string, Collection<unknown>>();
  #depth = 0;

  constructor(file: string) {
    if (file !== ':memory:') mkdirSync(dirname(file), { recursive: true, mode: 0o710 });
    this.#db = new DatabaseSync(file);
    this.#db.exec('PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA busy_timeout=2000;');
  }

  /** @param name a table name: lower-case letters and underscores */
  collection<T>(name: string): Collection<T> {
    const known = this.#collections.get(name);
    if (known) return known as Collection<T>;
    if (!/^[a-z_]+$/.test(name)) throw new Error(`bad collection name ${name}`);
    this.#db.exec(`CREATE TABLE IF NOT EXISTS ${name} (id TEXT PRIMARY KEY, doc TEXT NOT NULL) STRICT`);
    const sql = (text: string): StatementSync => this.#db.prepare(text);
    const select = sql(`SELECT doc FROM ${name} WHERE id = ?`);
    const upsert = sql(`INSERT INTO ${name} VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET doc = excluded.doc`);
    const remove = sql(`DELETE FROM ${name} WHERE id = ?`);
    const list = sql(`SELECT doc FROM ${name} ORDER BY rowid`);
    const parse = (row: Record<string, unknown>): T => JSON.parse(row.doc as string) as T;
    const made: Collection<T> = {
      get: (id) => {
        const row = select.get(id);
        return row === undefined ? undefined : parse(row);
      },
      put: (id, value) => void upsert.run(id, JSON.stringify(value)),
      delete: (id) => void remove.run(id),
      all: () => list.all().map(parse),
    };
    this.#collections.set(name, made as Collection<unknown>);
    return made;
  }

  /** All or nothing. Nested calls join the outer transaction. `body` must be synchronous. */
  transaction<T>(body: () => T): T {
    if (this.#depth > 0) return body();
    this.#db.exec('BEGIN IMMEDIATE');
    this.#depth++;
    try {
      const result = body();
      this.#db.exec('COMMIT');
      return result;
    } catch (error) {
      this.#db.exec('ROLLBACK');
      throw error;
    } finally {
      this.#depth--;
    }
  }

  close(): void {
    this.#db.close();
  }
}
