import { PassThrough } from 'node:stream';
import type { Execs } from '../exec/execs.ts';
import type { Container, Health, HealthResult } from './container.ts';
import type { Lifecycle } from './lifecycle.ts';

const SECOND = 1_000_000_000;
const DEFAULTS = { interval: 30 * SECOND, timeout: 30 * SECOND, startInterval: 5 * SECOND, retries: 3 };
/** moby daemon/health.go: maxOutputLen, maxLogEntries. */
const OUTPUT_LIMIT = 4096;
const LOG_LIMIT = 5;
const HEALTHY = 0;

interface Probe {
  readonly command: readonly string[];
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly startPeriodMs: number;
  readonly startIntervalMs: number;
  readonly retries: number;
}

/** `HEALTHCHECK` of image or request, in milliseconds; undefined when there is none. */
function probeOf(container: Container): Probe | undefined {
  const check = container.config.Healthcheck;
  const [kind, ...rest] = check?.Test ?? [];
  if (check === undefined || kind === undefined || kind === 'NONE') return undefined;
  const shell = ['/bin/sh', '-c'];
  const ms = (value: number | undefined, fallback: number): number => (value || fallback) / 1_000_000;
  return {
    command: kind === 'CMD-SHELL' ? [...shell, rest[0] ?? ''] : rest,
    intervalMs: ms(check.Interval, DEFAULTS.interval),
    timeoutMs: ms(check.Timeout, DEFAULTS.timeout),
    startPeriodMs: ms(check.StartPeriod, 0),
    startIntervalMs: ms(check.StartInterval, DEFAULTS.startInterval),
    retries: check.Retries || DEFAULTS.retries,
  };
}

/** The health after one more result; in the start period failures do not count. */
export function nextHealth(
  before: Health,
  result: HealthResult,
  retries: number,
  inStartPeriod: boolean,
): Health {
  const log = [...before.log, result].slice(-LOG_LIMIT);
  if (result.ExitCode === HEALTHY) return { status: 'healthy', failingStreak: 0, log };
  if (inStartPeriod && before.status === 'starting') return { ...before, log };
  const failingStreak = before.failingStreak + 1;
  return { status: failingStreak >= retries ? 'unhealthy' : before.status, failingStreak, log };
}

/** Runs the health checks of running containers. */
export class HealthMonitors {
  readonly #lifecycle: Lifecycle;
  readonly #execs: () => Execs;
  readonly #timers = new Map<string, NodeJS.Timeout>();

  constructor(lifecycle: Lifecycle, execs: () => Execs) {
    this.#lifecycle = lifecycle;
    this.#execs = execs;
  }

  begin(container: Container): void {
    const probe = probeOf(container);
    if (probe === undefined) return;
    this.end(container.id);
    const adopted = container.state.health !== undefined && container.state.health.status !== 'starting';
    if (!adopted) {
      this.#lifecycle.containers.update(container.id, {
        state: { health: { status: 'starting', failingStreak: 0, log: [] } },
      });
    }
    this.#schedule(container.id, probe);
  }

  end(id: string): void {
    clearTimeout(this.#timers.get(id));
    this.#timers.delete(id);
  }

  endAll(): void {
    for (const id of [...this.#timers.keys()]) this.end(id);
  }

  #inStartPeriod(container: Container, probe: Probe): boolean {
    return Date.now() - Date.parse(container.state.startedAt) < probe.startPeriodMs;
  }

  #schedule(id: string, probe: Probe): void {
    const container = this.#lifecycle.containers.find(id);
    if (container === undefined) return;
    const starting = container.state.health?.status === 'starting' && this.#inStartPeriod(container, probe);
    const timer = setTimeout(
      () => void this.#check(id, probe, timer),
      starting ? probe.startIntervalMs : probe.intervalMs,
    );
    timer.unref();
    this.#timers.set(id, timer);
  }

  async #check(id: string, probe: Probe, timer: NodeJS.Timeout): Promise<void> {
    const result = await this.#run(id, probe);
    const container = this.#lifecycle.containers.find(id);
    if (container === undefined || this.#timers.get(id) !== timer) return;
    const before = container.state.health ?? { status: 'starting', failingStreak: 0, log: [] };
    const health = nextHealth(before, result, probe.retries, this.#inStartPeriod(container, probe));
    const after = this.#lifecycle.containers.update(id, { state: { health } });
    if (health.status !== before.status)
      this.#lifecycle.containers.publish(after, `health_status: ${health.status}`);
    this.#schedule(id, probe);
  }

  async #run(id: string, probe: Probe): Promise<HealthResult> {
    const started = new Date().toISOString();
    const output = new PassThrough();
    const chunks: Buffer[] = [];
    output.on('data', (chunk: Buffer) => chunks.push(chunk));
    let exitCode = -1;
    let text = '';
    try {
      const exec = this.#execs().create(id, {
        Cmd: probe.command,
        AttachStdout: true,
        AttachStderr: true,
        Tty: true,
      });
      const late = Promise.withResolvers<undefined>();
      const timeout = setTimeout(() => late.resolve(undefined), probe.timeoutMs);
      const { ended } = await this.#execs().start(exec, () => output, { tty: true });
      const code = await Promise.race([ended, late.promise]);
      clearTimeout(timeout);
      if (code === undefined) {
        text = `Health check exceeded timeout (${probe.timeoutMs}ms)`;
        await this.#lifecycle.containers.platform.tasks
          .kill(id, 9, { execId: exec.id })
          .catch(() => undefined);
      } else exitCode = code;
    } catch (error) {
      text = error instanceof Error ? error.message : String(error);
    }
    return {
      Start: started,
      End: new Date().toISOString(),
      ExitCode: exitCode,
      Output: text || Buffer.concat(chunks).toString('utf8').replaceAll('\r\n', '\n').slice(0, OUTPUT_LIMIT),
    };
  }
}
