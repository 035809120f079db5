import type { FastifyInstance, FastifyRequest } from 'fastify';
import { invalid } from '../model/errors.ts';
import { JsonSyntaxError, parseJson } from '../model/go-json.ts';

/** Routes whose body dockerd reads as JSON (httputils.ReadJSON); parameters are written as `:`. */
const JSON_ROUTES = new Set([
  'POST /auth',
  'POST /containers/create',
  'POST /containers/:/update',
  'POST /containers/:/exec',
  'POST /exec/:/start',
  'POST /networks/create',
  'POST /networks/:/connect',
  'POST /networks/:/disconnect',
  'POST /volumes/create',
]);

/** JSON only; tar streams are never buffered. No request of Docker's clients comes near. */
const LIMIT = 16 << 20;

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** The complaint of Go's mime.ParseMediaType about a Content-Type, or undefined. */
function malformed(header: string): string | undefined {
  const type = header.split(';')[0]?.trim() ?? '';
  if (type === '') return 'mime: no media type';
  const [main = '', sub, ...more] = type.split('/');
  if (!TOKEN.test(main)) return 'mime: no media type';
  if (sub === undefined) return undefined;
  if (!TOKEN.test(sub)) return 'mime: expected token after slash';
  return more.length > 0 ? 'mime: unexpected content after media subtype' : undefined;
}

function hasBody(request: FastifyRequest): boolean {
  const length = request.headers['content-length'];
  return request.headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0');
}

function isJsonRoute(request: FastifyRequest): boolean {
  const path = request.routeOptions.url?.replace(/:[^/]+/g, ':') ?? '';
  return JSON_ROUTES.has(`${request.method} ${path}`);
}

/** httputils.CheckForJSON. */
function checkContentType(request: FastifyRequest): void {
  const header = request.headers['content-type'];
  if (header === undefined && !hasBody(request)) return;
  const complaint = malformed(header ?? '');
  if (complaint !== undefined) throw invalid(`malformed Content-Type header (${header ?? ''}): ${complaint}`);
  if (header?.split(';')[0]?.trim().toLowerCase() !== 'application/json') {
    throw invalid(`unsupported Content-Type header (${header}): must be 'application/json'`);
  }
}

/** @throws EngineError INVALID_PARAMETER in dockerd's words */
function parse(text: string): unknown {
  if (text.trim() === '') throw invalid('invalid JSON: got EOF while reading request body');
  try {
    return parseJson(text);
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    // dockerd decodes the first value, then asks whether there is more.
    if (error.message.endsWith('after top-level value')) throw invalid('unexpected content after JSON');
    throw invalid(`invalid JSON: ${error.message}`);
  }
}

/**
 * Bodies as dockerd takes them: JSON where a route wants JSON (`request.body` is the value, undefined without one),
 * everywhere else the bare stream in `request.raw`, whatever its Content-Type says.
 */
export function readBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addHook('onRequest', async (request) => {
    if (isJsonRoute(request)) {
      checkContentType(request);
      return;
    }
    // Fastify refuses malformed types by itself; dockerd does not look at them here.
    if (hasBody(request) || request.headers['content-type'] !== undefined)
      request.raw.headers['content-type'] = 'application/octet-stream';
  });
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'string', bodyLimit: LIMIT },
    async (request: FastifyRequest, text: string | Buffer) =>
      !hasBody(request) && request.headers['content-type'] === undefined ? undefined : parse(String(text)),
  );
  app.addContentTypeParser('*', async () => undefined);
}
