import { invalid } from '../model/errors.ts';

const UNIT_NS: Readonly<Record<string, bigint>> = {
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};

/**
 * A moment as Docker's clients send it: seconds since the epoch with an optional fraction, RFC 3339, or a Go duration
 * back from now (moby api/types/time). @returns nanoseconds since the epoch; undefined when absent or `0`
 * @throws EngineError INVALID_PARAMETER
 */
export function parseMoment(
  text: string | undefined,
  now: bigint = BigInt(Date.now()) * 1_000_000n,
): bigint | undefined {
  if (text === undefined || text === '' || text === '0') return undefined;
  const [, whole, fraction = ''] = /^(\d+)(?:\.(\d{1,9}))?$/.exec(text) ?? [];
  if (whole !== undefined) return BigInt(whole) * 1_000_000_000n + BigInt(fraction.padEnd(9, '0'));
  const parts = [...text.matchAll(/(\d+)(?:\.\d+)?(ms|s|m|h)/g)];
  if (parts.length > 0 && parts.map((part) => part[0]).join('') === text) {
    return (
      now -
      parts.reduce((sum, [, amount = '0', unit = '']) => sum + BigInt(amount) * (UNIT_NS[unit] ?? 0n), 0n)
    );
  }
  const time = Date.parse(text);
  if (Number.isNaN(time)) throw invalid(`failed to parse value as time or duration: "${text}"`);
  return BigInt(time) * 1_000_000n;
}
