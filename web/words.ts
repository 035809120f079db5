const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'] as const;

/** `0 B/s`, `1.2 MB/s`. */
export function rate(bytesPerSecond: number): string {
  const [value, unit] = scaled(bytesPerSecond);
  return `${value} ${unit}/s`;
}

/** `0`, `1.2M`, for where there is little room. */
export function shortRate(bytesPerSecond: number): string {
  const [value, unit] = scaled(bytesPerSecond);
  return unit === 'B' ? value : `${value}${unit.slice(0, 1)}`;
}

function scaled(amount: number): readonly [string, (typeof UNITS)[number]] {
  let value = amount;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  const text = value >= 9.95 || unit === 0 ? String(Math.round(value)) : value.toFixed(1);
  return [text, UNITS[unit] ?? 'B'];
}

export const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;

export const bare = (address: string): string => address.replace(/\/\d+$/, '');

/** `8080`, `127.0.0.1:8080`, `[::1]:53/udp`, `7000-7009`. */
export function portLabel(port: {
  readonly hostIp: string;
  readonly first: number;
  readonly last: number;
  readonly protocol: string;
}): string {
  const { hostIp, first, last, protocol } = port;
  const any = hostIp === '0.0.0.0' || hostIp === '::';
  const address = any ? '' : hostIp.includes(':') ? `[${hostIp}]` : hostIp;
  const six = hostIp === '::' ? ' v6' : '';
  const range = first === last ? `${first}` : `${first}-${last}`;
  return `${address}:${range}${protocol === 'tcp' ? '' : `/${protocol}`}${six}`;
}

/** `14:03:59`, of milliseconds or RFC 3339. */
export function clock(time: number | string): string {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? '' : date.toTimeString().slice(0, 8);
}
