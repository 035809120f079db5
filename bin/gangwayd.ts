import { flushCompileCache } from 'node:module';
import { pino } from 'pino';
import { GANGWAY_VERSION } from '../src/api/version.ts';
import { loadConfig } from '../src/daemon/configuration.ts';
import { parseFlags } from '../src/daemon/flags.ts';
import { ConfigError } from '../src/daemon/values.ts';
import { startDaemon } from '../src/engine/daemon.ts';
import { raiseOpenFileLimit } from '../src/kernel/libc.ts';
import { shrinkWhenIdle } from '../src/kernel/memory.ts';

function die(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

/**
 * The first run after an update has to load the TypeScript stripper and keeps its 18 MB for ever. The compiled code is
 * in the cache now, so the process starts over in its own place, before it has opened anything.
 */
function leaveStripperBehind(): void {
  const loaded = (process as { moduleLoadList?: readonly string[] }).moduleLoadList ?? [];
  const again = process.env.GANGWAY_STARTED_OVER === undefined;
  if (!again || !loaded.some((name) => name.includes('deps/amaro'))) return;
  flushCompileCache();
  process.execve?.(process.execPath, [process.execPath, ...process.execArgv, ...process.argv.slice(1)], {
    ...(process.env as Record<string, string>),
    GANGWAY_STARTED_OVER: '1',
  });
}

async function main(): Promise<void> {
  const invocation = parseFlags(process.argv.slice(2), GANGWAY_VERSION);
  if (invocation.action === 'print') return void process.stdout.write(`${invocation.text}\n`);
  const load = () => loadConfig(invocation.flags, invocation.configFile);
  const config = load();
  if (invocation.action === 'validate') return void process.stdout.write('configuration OK\n');
  if (process.getuid?.() !== 0) die('gangwayd needs to be started with root privileges.');
  leaveStripperBehind();
  delete process.env.GANGWAY_STARTED_OVER;

  const log = pino(
    { level: config.logLevel, base: null, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ fd: 2, sync: true }),
  );
  // The daemon's state is on disk at every moment and its parts stand apart: one failure must not take all along.
  process.on('uncaughtException', (error) => log.error({ err: error }, 'uncaught error'));
  process.on('unhandledRejection', (error) => log.error({ err: error }, 'unhandled rejection'));
  raiseOpenFileLimit();
  const daemon = await startDaemon(config, log);
  setTimeout(flushCompileCache, 900).unref();
  shrinkWhenIdle();

  process.on('SIGHUP', () => {
    try {
      daemon.reload(load());
    } catch (error) {
      log.error({ err: error }, 'configuration not reloaded');
    }
  });
  let signals = 0;
  const stop = (signal: NodeJS.Signals): void => {
    // dockerd too gives up waiting at the third.
    if (++signals >= 3) process.exit(1);
    if (signals > 1) return;
    log.info({ signal }, 'stopping; containers go on');
    daemon.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ err: error }, 'stopped with an error');
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  // A log reader that is gone must not end the daemon.
  process.on('SIGPIPE', () => undefined);
}

main().catch((error: unknown) => {
  if (error instanceof ConfigError) die(error.message);
  const text = error instanceof Error ? error.message : String(error);
  if (process.argv.includes('--debug') || process.argv.includes('-D')) console.error(error);
  die(`failed to start daemon: ${text}`);
});
