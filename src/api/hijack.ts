import { type IncomingMessage, type Server, ServerResponse } from 'node:http';
import { type Duplex, Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { BodyReader } from './upgrade-body.ts';
import { STANDING_HEADERS } from './version.ts';

export type StreamType = 'application/vnd.docker.raw-stream' | 'application/vnd.docker.multiplexed-stream';

/** A request that turns its connection into a raw stream (attach, exec start). */
export interface HijackContext {
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
  /** The parsed JSON body; undefined without one. */
  readonly body: unknown;
  /** `1.24` to `1.51`, as a number of its minor part: 24 to 51. */
  readonly apiMinor: number;
  /**
   * Answers `101 UPGRADED` (or `200 OK` when the client did not ask for an upgrade) and gives the bare connection,
   * half-open: the client may end its side and still read. Call it once, after everything that may fail.
   */
  upgrade(contentType: StreamType): Duplex;
}

export type HijackHandler = (context: HijackContext) => Promise<void>;

/** Registers a hijacking route. An error thrown before `upgrade` is answered as Docker's JSON error. */
export type HijackRoute = (
  app: FastifyInstance,
  method: 'POST',
  path: string,
  handler: HijackHandler,
) => void;

/** A request whose connection Node's parser has given up (its `upgrade` event). */
interface Upgrade {
  readonly socket: Duplex;
  readonly body: Buffer;
  /** What the client sent behind the body: the first bytes of the raw stream. */
  readonly rest: Buffer;
}

const upgrades = new WeakMap<IncomingMessage, Upgrade>();
/** Patterns of hijacking paths, by the server object that an app and its plugins share. */
const patterns = new WeakMap<object, RegExp[]>();

export const hijackRoute: HijackRoute = (app, method, path, handler) => {
  const known = patterns.get(app.server) ?? [];
  known.push(new RegExp(`^(?:/v[0-9.]+)?${path.replace(/:[^/]+/g, '[^/]+')}/?(?:\\?|$)`));
  patterns.set(app.server, known);
  app.route({
    method,
    url: path,
    preParsing: async (request, _reply, payload) => {
      const upgrade = upgrades.get(request.raw);
      if (upgrade === undefined) return payload;
      // Node's parser has not read this body; Fastify gets the one read from the connection.
      return Object.assign(Readable.from([upgrade.body]), { receivedEncodedLength: upgrade.body.length });
    },
    handler: async (request, reply) => {
      let taken: Duplex | undefined;
      const context: HijackContext = {
        params: request.params as Record<string, string>,
        query: request.query as Record<string, string>,
        body: request.body,
        apiMinor: request.apiMinor,
        upgrade: (contentType) => {
          if (taken !== undefined) throw new Error('upgrade was called twice');
          taken = takeOver(request, reply, contentType);
          return taken;
        },
      };
      try {
        await handler(context);
      } catch (error) {
        if (taken === undefined) throw error;
        request.log.error(error);
        taken.destroy();
      }
      if (taken === undefined && !reply.sent) return reply.code(200).send();
      return reply;
    },
  });
};

function takeOver(request: FastifyRequest, reply: FastifyReply, contentType: StreamType): Duplex {
  reply.hijack();
  const upgrade = upgrades.get(request.raw);
  const lines = [`Content-Type: ${contentType}`];
  for (const [name, value] of Object.entries(STANDING_HEADERS)) lines.push(`${name}: ${value}`);
  const socket = request.raw.socket;
  reply.raw.detachSocket(socket);
  if (upgrade === undefined) {
    releaseFromParser(socket);
    socket.write(`HTTP/1.1 200 OK\r\n${lines.join('\r\n')}\r\n\r\n`);
    return socket;
  }
  if (upgrade.rest.length > 0) upgrade.socket.unshift(upgrade.rest);
  upgrade.socket.write(
    `HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n${lines.join('\r\n')}\r\n\r\n`,
  );
  return upgrade.socket;
}

/**
 * Takes a connection away from the HTTP parser in the middle of a response. A `readable` listener makes Node stop
 * feeding the parser from the handle (lib/_http_server.js, generateSocketListenerWrapper); removing it again puts the
 * stream back into the state of one that nobody reads yet. The `close` listener stays: it frees the parser.
 */
function releaseFromParser(socket: Duplex): void {
  const nothing = (): void => undefined;
  socket.on('readable', nothing);
  for (const event of ['data', 'end', 'error', 'timeout', 'drain']) socket.removeAllListeners(event);
  socket.removeListener('readable', nothing);
}

/** For `http.createServer`: only hijacking paths may upgrade, `Upgrade: h2c` elsewhere is an ordinary request. */
export function mayUpgrade(app: FastifyInstance, request: IncomingMessage): boolean {
  return patterns.get(app.server)?.some((pattern) => pattern.test(request.url ?? '')) ?? false;
}

/** Lets `server`'s upgrade requests run through the app's routes like all others. */
export function serveUpgrades(server: Server, app: FastifyInstance): void {
  server.on('upgrade', (request, socket: Duplex, head: Buffer) => {
    // A client that vanishes is no news; whoever takes the stream over adds a listener of its own.
    socket.on('error', () => socket.destroy());
    new BodyReader(request).read(socket, head).then(
      ({ body, rest }) => {
        upgrades.set(request, { socket, body, rest });
        const response = new ServerResponse(request);
        // Without `upgrade` this answer is the connection's last.
        response.shouldKeepAlive = false;
        response.assignSocket(request.socket);
        response.on('finish', () => {
          response.detachSocket(request.socket);
          socket.end();
        });
        app.routing(request, response);
      },
      () => socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n'),
    );
  });
}
