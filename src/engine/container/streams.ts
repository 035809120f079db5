import { join } from 'node:path';
import { logDetails, openLog } from '../../runtime/log/log-driver.ts';
import { openStreams } from '../../runtime/stream/process-streams.ts';
import type { LogWriter, ProcessStreams } from '../../runtime/streams.ts';
import { execDirectory } from '../exec/leftover.ts';
import type { Container } from './container.ts';
import type { Containers } from './containers.ts';
import { stateDirectory } from './launch.ts';

interface Open {
  readonly streams: ProcessStreams;
  readonly log: LogWriter;
}

/** The open streams and logs of containers, by id: from the first attachment or the start to the end of the process. */
export class Streams {
  readonly #containers: Containers;
  readonly #open = new Map<string, Open>();

  constructor(containers: Containers) {
    this.#containers = containers;
  }

  open(container: Container): ProcessStreams {
    const known = this.#open.get(container.id);
    if (known !== undefined) return known.streams;
    const { config, hostConfig, id } = container;
    const { tasks, config: daemon } = this.#containers.platform;
    const options = hostConfig.LogConfig?.Config ?? {};
    const directory = stateDirectory(daemon.execRoot, id);
    const log = openLog(
      { driver: hostConfig.LogConfig?.Type ?? '', options },
      { path: this.#containers.logPath(id), journal: join(directory, 'log-journal') },
      logDetails(options, config.Labels ?? {}, config.Env ?? []),
    );
    const streams = openStreams({
      directory,
      terminal: config.Tty ?? false,
      stdin: config.OpenStdin ?? false,
      stdinOnce: config.StdinOnce ?? false,
      log,
      keeper: this.#containers.platform.fifoKeeper,
      closeStdin: () => tasks.closeStdin(id, ''),
    });
    this.#open.set(id, { streams, log });
    return streams;
  }

  log(id: string): LogWriter | undefined {
    return this.#open.get(id)?.log;
  }

  /** Waits for the last byte, then closes. */
  async finish(id: string): Promise<void> {
    await this.#open.get(id)?.streams.drained();
    this.close(id);
  }

  close(id: string): void {
    const open = this.#open.get(id);
    if (open === undefined) return;
    this.#open.delete(id);
    open.streams.close();
    open.log.close();
  }

  directory(id: string, execId: string): string {
    return execDirectory(stateDirectory(this.#containers.platform.config.execRoot, id), execId);
  }
}
