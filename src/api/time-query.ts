import { parseDuration } from '../model/duration.ts';
import { invalid } from '../model/errors.ts';
import type { Filters } from '../model/filters.ts';

const NS_PER_MS = 1_000_000n;

/**
 * A point in time as clients give it (moby api/types/time): seconds since 1970 with a fraction (`1700000000.25`),
 * RFC 3339, or a Go duration before now (`1h30m`). @returns nanoseconds since 1970; undefined for none of these
 */
function readTime(text: string, nowMs: number): bigint | undefined {
  const [, whole, fraction = ''] = /^(\d+)(?:\.(\d{1,9}))?$/.exec(text) ?? [];
  if (whole !== undefined) return BigInt(whole) * 1_000_000_000n + BigInt(fraction.padEnd(9, '0'));
  const before = parseDuration(text);
  if (before !== undefined) return BigInt(nowMs) * NS_PER_MS - BigInt(before);
  const date = /^\d{4}-\d{2}-\d{2}(T|$)/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(date) ? undefined : BigInt(date) * NS_PER_MS;
}

/** `since` and `until` of a stream. @throws EngineError INVALID_PARAMETER with the text of Go's parser */
export function parseTime(text: string | undefined, nowMs = Date.now()): bigint | undefined {
  if (text === undefined || text === '') return undefined;
  const time = readTime(text, nowMs);
  if (time === undefined) throw invalid(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  return time;
}

/** The `until` filters of a listing or prune, in milliseconds since 1970. @throws EngineError INVALID_PARAMETER */
export function untilTimes(filters: Filters): readonly number[] {
  return [...(filters.get('until') ?? [])].map((text) => {
    const time = readTime(text, Date.now());
    if (time === undefined) throw invalid(`failed to parse value as time or duration: "${text}"`);
    return Number(time / NS_PER_MS);
  });
}
