import { type ServiceError, status } from '@grpc/grpc-js';
import { EngineError, notFound, system } from '../../model/errors.ts';

const isServiceError = (error: unknown): error is ServiceError =>
  error instanceof Error && 'details' in error && 'code' in error;

export const isNotFound = (error: unknown): boolean =>
  isServiceError(error) &&
  (error.code === status.NOT_FOUND || /process already finished/.test(error.details));

export const isAlreadyExists = (error: unknown): boolean =>
  isServiceError(error) && error.code === status.ALREADY_EXISTS;

/** The shim went away under the call: nothing was done that the next attempt would meet. */
export const isShimGone = (error: unknown): boolean =>
  isServiceError(error) && /ttrpc: closed|connection refused|shim.*(dead|gone)/.test(error.details);

/**
 * containerd's error as the engine's, runc's words untouched.
 * @param prefix what dockerd puts before it (`failed to create task for container: `)
 */
export function taskError(error: unknown, prefix = ''): EngineError {
  if (error instanceof EngineError) return error;
  if (!isServiceError(error)) return system(error instanceof Error ? error.message : String(error), error);
  if (isNotFound(error)) return notFound(error.details);
  return system(`${prefix}${withUnknown(error.details, error.code)}`, error);
}

/** dockerd prints an unclassified error with its class, `: unknown`; containerd sends the class as the status code. */
function withUnknown(details: string, code: number): string {
  return code === status.UNKNOWN && !details.endsWith(': unknown') ? `${details}: unknown` : details;
}
