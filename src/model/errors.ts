/**
 * The one error catalogue: code, HTTP status, Docker's words. Every error a user can cause is thrown from here; an
 * Error that is not an EngineError is a fault of ours and answers 500.
 *
 * Texts follow Docker Engine 28.5 (moby/moby daemon/errors.go, errdefs) where Docker has the case.
 */
export type ErrorCode =
  | 'INVALID_PARAMETER'
  | 'UNAUTHORIZED'
  | 'FORBIDDEN'
  | 'NOT_FOUND'
  | 'CONFLICT'
  | 'NOT_MODIFIED'
  | 'SYSTEM'
  | 'NOT_IMPLEMENTED'
  | 'UNAVAILABLE';

const STATUS: Readonly<Record<ErrorCode, number>> = {
  INVALID_PARAMETER: 400,
  UNAUTHORIZED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  CONFLICT: 409,
  NOT_MODIFIED: 304,
  SYSTEM: 500,
  NOT_IMPLEMENTED: 501,
  UNAVAILABLE: 503,
};

export class EngineError extends Error {
  override readonly name = 'EngineError';
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
  get status(): number {
    return STATUS[this.code];
  }
}

export const invalid = (message: string): EngineError => new EngineError('INVALID_PARAMETER', message);
/** Every mistake at once, as moby's multierror prints them. */
export const invalidAll = (what: string, mistakes: readonly string[]): EngineError =>
  invalid([what, ...mistakes.map((mistake) => (mistakes.length > 1 ? `* ${mistake}` : mistake))].join('\n'));
export const notFound = (message: string): EngineError => new EngineError('NOT_FOUND', message);
export const conflict = (message: string): EngineError => new EngineError('CONFLICT', message);
export const forbidden = (message: string): EngineError => new EngineError('FORBIDDEN', message);
export const notModified = (): EngineError => new EngineError('NOT_MODIFIED', '');
export const system = (message: string, cause?: unknown): EngineError =>
  new EngineError('SYSTEM', message, { cause });
export const notImplemented = (what: string): EngineError =>
  new EngineError('NOT_IMPLEMENTED', `${what} is not implemented by Gangway yet`);
export const unavailable = (message: string): EngineError => new EngineError('UNAVAILABLE', message);

/** Docker's words for named things, so that the same mistake reads the same wherever it is made. */
export const errors = {
  noSuchContainer: (ref: string) => notFound(`No such container: ${ref}`),
  noSuchExec: (id: string) => notFound(`No such exec instance: ${id}`),
  noSuchImage: (ref: string) => notFound(`No such image: ${ref}`),
  imageNotLocal: (name: string) => notFound(`An image does not exist locally with the tag: ${name}`),
  noSuchNetwork: (ref: string) => notFound(`network ${ref} not found`),
  noSuchVolume: (name: string) => notFound(`get ${name}: no such volume`),
  containerNotRunning: (id: string) => conflict(`container ${id} is not running`),
  nameInUse: (name: string, id: string) =>
    conflict(
      `Conflict. The container name "/${name}" is already in use by container "${id}". You have to remove (or rename) that container to be able to reuse that name.`,
    ),
  networkExists: (name: string) => conflict(`network with name ${name} already exists`),
  /** @param users as `name:"web" id:"0123456789ab"` */
  networkInUse: (name: string, users: readonly string[]) =>
    forbidden(`error while removing network: network ${name} has active endpoints (${users.join(', ')})`),
  poolOverlaps: () => forbidden('invalid pool request: Pool overlaps with other one on this address space'),
  swarm: () =>
    unavailable(
      'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
    ),
} as const;
