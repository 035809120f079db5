const UNIT_NS: Readonly<Record<string, number>> = {
  h: 3_600_000_000_000,
  m: 60_000_000_000,
  s: 1_000_000_000,
  ms: 1_000_000,
  us: 1000,
  ns: 1,
};

/** A Go duration without sign (time.ParseDuration): `1h30m`, `1.5h`, `250ms`. @returns nanoseconds; undefined for no duration */
export function parseDuration(text: string): number | undefined {
  if (!/^(\d+(\.\d+)?(h|ms|m|s|us|ns))+$/.test(text)) return undefined;
  let sum = 0;
  for (const [, amount, unit = ''] of text.matchAll(/(\d+(?:\.\d+)?)(h|ms|m|s|us|ns)/g)) {
    sum += Number(amount) * (UNIT_NS[unit] ?? 0);
  }
  return Math.round(sum);
}
