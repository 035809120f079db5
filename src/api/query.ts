import type { FastifyRequest } from 'fastify';
import { invalid } from '../model/errors.ts';

type Query = Readonly<Record<string, string | string[] | undefined>>;

/** `:id` of the route: a name or an id as the client gave it. */
export function pathId(request: FastifyRequest): string {
  return (request.params as { id: string }).id;
}

/** The first value of a query parameter. */
export function queryText(query: unknown, key: string): string | undefined {
  const value = (query as Query)[key];
  return Array.isArray(value) ? value[0] : value;
}

export function queryTexts(query: unknown, key: string): readonly string[] {
  const value = (query as Query)[key];
  return value === undefined ? [] : Array.isArray(value) ? value : [value];
}

/** Go's `httputils.BoolValue`: everything but these is true. */
export function queryFlag(query: unknown, key: string): boolean {
  return !['', '0', 'no', 'false', 'none'].includes((queryText(query, key) ?? '').trim().toLowerCase());
}

/** @throws EngineError INVALID_PARAMETER in Go's words */
export function queryNumber(query: unknown, key: string): number | undefined {
  const text = queryText(query, key);
  if (text === undefined || text === '') return undefined;
  if (!/^-?\d+$/.test(text)) throw invalid(`strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`);
  return Number(text);
}
