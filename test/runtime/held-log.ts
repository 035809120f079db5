import { join } from 'node:path';
import { JsonFileLog, type JsonFileOptions } from '../../src/runtime/log/json-file-log.ts';
import { readLogs } from '../../src/runtime/log/log-reader.ts';
import { openStreams } from '../../src/runtime/stream/process-streams.ts';
import { OUTPUTS, type OutputName, type ProcessStreams } from '../../src/runtime/streams.ts';

/** A container's output and its log as a daemon holds them, below a directory; the next daemon that opens it goes on. */
export class HeldLog {
  readonly streams: ProcessStreams;
  readonly #log: JsonFileLog;

  constructor(directory: string, rotation: Pick<JsonFileOptions, 'maxSize' | 'maxFiles'> = {}) {
    const [path, journal] = [join(directory, 'log/c-json.log'), join(directory, 'journal')];
    this.#log = new JsonFileLog({ path, journal, ...rotation });
    this.streams = openStreams({
      directory: join(directory, 'streams'),
      terminal: false,
      stdin: false,
      stdinOnce: false,
      log: this.#log,
    });
  }

  /** What `docker logs` prints of these outputs. */
  async text(...outputs: readonly OutputName[]): Promise<string> {
    const wanted = outputs.length === 0 ? OUTPUTS : outputs;
    const read = readLogs({
      path: this.#log.options.path,
      stdout: wanted.includes('stdout'),
      stderr: wanted.includes('stderr'),
      timestamps: false,
      details: false,
      framing: 'raw',
    });
    return Buffer.concat(await read.toArray()).toString();
  }

  close(): void {
    this.streams.close();
    this.#log.close();
  }
}
