import { EngineError } from '../../model/errors.ts';

/** No answer at all: no connection, no TLS. */
export class RegistryUnreachable extends EngineError {
  constructor(message: string, cause: unknown) {
    super('SYSTEM', message, { cause });
  }
}

/** errno(3) texts as Go prints them. */
const TEXTS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset by peer',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'network is unreachable',
  ETIMEDOUT: 'i/o timeout',
};

interface SystemError extends Error {
  readonly code?: string;
  readonly address?: string;
  readonly port?: number;
  readonly hostname?: string;
}

/** Why a `fetch` failed, in the words of Go's net package, which is what users of Docker search for. */
export function networkCause(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (!(error.cause instanceof Error)) return error.message;
  // A name with several addresses: the last one that was tried.
  const cause = (
    error.cause instanceof AggregateError ? error.cause.errors.at(-1) : error.cause
  ) as SystemError;
  const { code = '', address, port, hostname } = cause;
  if (code === 'ENOTFOUND') return `dial tcp: lookup ${hostname}: no such host`;
  if (code === 'EAI_AGAIN') return `dial tcp: lookup ${hostname}: Temporary failure in name resolution`;
  const text = TEXTS[code];
  if (text === undefined) return cause.message || error.message;
  if (address === undefined) return text;
  return `dial tcp ${address.includes(':') ? `[${address}]` : address}:${port}: connect: ${text}`;
}
