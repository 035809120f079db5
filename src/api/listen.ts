import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createHttp, type Server, type ServerOptions } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { connect, type Socket } from 'node:net';
import { dirname } from 'node:path';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { DaemonConfig } from '../engine/config.ts';
import { mayUpgrade, serveUpgrades } from './hijack.ts';

export class ListenError extends Error {
  override readonly name = 'ListenError';
}

/** Every listener of the daemon, all served by one app. */
export interface Listeners {
  /** No new connection is taken; open ones may finish for `graceMs`, then they are cut. */
  close(graceMs: number): Promise<void>;
}

interface Listener {
  readonly server: Server;
  readonly socketPath?: string;
}

/** Group id by name from /etc/group; undefined when there is none. */
function groupId(name: string): number | undefined {
  if (/^\d+$/.test(name)) return Number(name);
  const line = readFileSync('/etc/group', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith(`${name}:`));
  const id = line?.split(':')[2];
  return id === undefined ? undefined : Number(id);
}

function bind(server: Server, address: Parameters<Server['listen']>[0], host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error): void =>
      reject(new ListenError(`failed to listen on ${host}: ${error.message}`));
    server.once('error', failed);
    server.listen(address as { path: string }, () => {
      server.off('error', failed);
      resolve();
    });
  });
}

/** A socket file that still answers belongs to somebody; one that does not was left by a dead process. */
async function clearStaleSocket(path: string): Promise<void> {
  if (!existsSync(path)) return;
  const alive = await new Promise<boolean>((resolve) => {
    const probe = connect({ path });
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
  if (alive) throw new ListenError(`failed to listen on unix://${path}: another process listens there`);
  rmSync(path, { force: true });
}

async function listenUnix(server: Server, path: string, group: string, log: Logger): Promise<void> {
  const directory = dirname(path);
  mkdirSync(directory, { recursive: true, mode: 0o711 });
  await clearStaleSocket(path);
  // Nobody may slip in between bind and chmod.
  const before = process.umask(0o777);
  try {
    await bind(server, { path }, `unix://${path}`);
  } finally {
    process.umask(before);
  }
  const gid = groupId(group);
  if (gid === undefined) log.warn({ group }, 'no such group: only root may use the API socket');
  else chownSync(path, 0, gid);
  chmodSync(path, 0o660);
}

function readTls(tls: NonNullable<DaemonConfig['tls']>): ServerOptions & Record<string, unknown> {
  const read = (path: string): Buffer => {
    try {
      return readFileSync(path);
    } catch (error) {
      throw new ListenError(
        `invalid TLS configuration: could not load ${path}: ${(error as NodeJS.ErrnoException).code ?? error}`,
      );
    }
  };
  return {
    cert: read(tls.cert),
    key: read(tls.key),
    ...(tls.ca === undefined ? {} : { ca: read(tls.ca) }),
    requestCert: tls.verify,
    rejectUnauthorized: tls.verify,
    minVersion: 'TLSv1.2',
  };
}

/**
 * Listens on every `-H` of the configuration. When one fails, those already open are closed again.
 * @throws ListenError with a sentence for the person who starts the daemon
 */
export async function listen(app: FastifyInstance, config: DaemonConfig, log: Logger): Promise<Listeners> {
  await app.ready();
  const options = {
    // Attach, events, logs and uploads last as long as they last.
    requestTimeout: 0,
    keepAliveTimeout: 0,
    shouldUpgradeCallback: (request: Parameters<typeof mayUpgrade>[1]) => mayUpgrade(app, request),
  };
  const listeners: Listener[] = [];
  const connections = new Set<Socket>();
  const make = (secure: boolean): Server => {
    const handle = (...[request, response]: Parameters<FastifyInstance['routing']>): void =>
      app.routing(request, response);
    const server =
      secure && config.tls !== undefined
        ? createHttps({ ...options, ...readTls(config.tls) }, handle)
        : createHttp(options, handle);
    server.on('connection', (socket: Socket) => {
      connections.add(socket);
      socket.once('close', () => connections.delete(socket));
    });
    serveUpgrades(server, app);
    return server;
  };
  const close = async (graceMs: number): Promise<void> => {
    const closed = listeners.map(
      ({ server }) => new Promise<void>((resolve) => void server.close(() => resolve())),
    );
    for (const { server, socketPath } of listeners) {
      server.closeIdleConnections();
      if (socketPath !== undefined) rmSync(socketPath, { force: true });
    }
    const cut = setTimeout(() => {
      for (const socket of connections) socket.destroy();
    }, graceMs);
    await Promise.all(closed);
    clearTimeout(cut);
  };
  try {
    for (const host of config.hosts) {
      const [scheme, address = ''] = host.split(/:\/\/(.*)/s);
      const server = make(scheme === 'tcp' && config.tls !== undefined);
      if (scheme === 'unix') {
        await listenUnix(server, address, config.group, log);
        listeners.push({ server, socketPath: address });
      } else if (scheme === 'fd') {
        await listenActivated(server, host);
        listeners.push({ server });
      } else {
        const url = new URL(host);
        if (config.tls === undefined) warnPlain(url, log);
        await bind(
          server,
          { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port) } as never,
          host,
        );
        listeners.push({ server });
      }
      log.info({ host }, 'API listens');
    }
  } catch (error) {
    await close(0);
    throw error;
  }
  return { close };
}

/** systemd socket activation: the first passed descriptor is 3 (sd_listen_fds(3)). */
async function listenActivated(server: Server, host: string): Promise<void> {
  if (process.env.LISTEN_PID !== String(process.pid) || Number(process.env.LISTEN_FDS ?? 0) < 1) {
    throw new ListenError(`failed to listen on ${host}: no sockets found via socket activation`);
  }
  await bind(server, { fd: 3 } as never, host);
}

function warnPlain(url: URL, log: Logger): void {
  const loopback = /^(localhost|127\.|\[::1\])/.test(url.hostname);
  log.warn(
    { host: url.host },
    loopback
      ? 'API without TLS on a loopback address: every local user gets root on this machine by it'
      : 'API WITHOUT TLS ON THE NETWORK: whoever reaches this port has root on this machine; use --tlsverify',
  );
}
