import type { IncomingMessage } from 'node:http';
import { invalid } from '../model/errors.ts';

export const GANGWAY_VERSION = '0.1.0';
/** Engine API versions spoken: https://docs.docker.com/reference/api/engine/version-history/ */
export const API_VERSION = '1.51';
export const MIN_API_VERSION = '1.24';

/** On every answer, hijacked ones too. */
export const STANDING_HEADERS = {
  'Api-Version': API_VERSION,
  'Docker-Experimental': 'false',
  Ostype: 'linux',
  Server: `Gangway/${GANGWAY_VERSION} (linux)`,
} as const;

const NEWEST = 51;
const OLDEST = 24;

const asked = new WeakMap<IncomingMessage, string>();

/** Takes `/v1.44` off the front of a request's URL and remembers it; moby's pattern is `/v{version:[0-9.]+}`. */
export function stripVersion(request: IncomingMessage): string {
  const url = request.url ?? '/';
  const match = /^\/v([0-9.]+)(\/.*)$/.exec(url);
  if (match?.[1] === undefined || match[2] === undefined) return url;
  asked.set(request, match[1]);
  return match[2];
}

/** moby api/types/versions: compared part by part as numbers. */
function compare(a: string, b: string): number {
  const left = a.split('.').map(Number);
  const right = b.split('.').map(Number);
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/**
 * The minor part of the API version the request asks for, 24 to 51; the newest without one.
 * @throws EngineError INVALID_PARAMETER for versions outside
 */
export function apiMinor(request: IncomingMessage): number {
  const version = asked.get(request);
  if (version === undefined) return NEWEST;
  if (compare(version, MIN_API_VERSION) < 0) {
    throw invalid(
      `client version ${version} is too old. Minimum supported API version is ${MIN_API_VERSION}, please upgrade your client to a newer version`,
    );
  }
  if (compare(version, API_VERSION) > 0) {
    throw invalid(`client version ${version} is too new. Maximum supported API version is ${API_VERSION}`);
  }
  return Math.min(NEWEST, Math.max(OLDEST, Number(version.split('.')[1])));
}
