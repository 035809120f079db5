import type { Duplex } from 'node:stream';
import type { FastifyInstance } from 'fastify';

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
