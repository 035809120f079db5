import { styleText } from 'node:util';
import type { FlowEnd, FlowEvent, FlowNat, WatchEvent } from '../model/flow.ts';
import type { ApiClient } from './api-client.ts';

export interface WatchOptions {
  readonly container?: readonly string[];
  readonly network?: readonly string[];
  readonly drops?: boolean;
  readonly json?: boolean;
}

export interface LineStyle {
  /** Columns; undefined where a line may have any length. */
  readonly width: number | undefined;
  readonly color: boolean;
}

const FROM_WIDTH = 18;
const TO_WIDTH = 22;
const COLORS = {
  open: 'green',
  close: 'gray',
  drop: 'red',
  'left-out': 'yellow',
  missing: 'yellow',
} as const;

/** Prints events as they come, until the daemon ends or the reader does. @throws ApiFailure */
export async function watch(client: ApiClient, options: WatchOptions): Promise<void> {
  const { stdout } = process;
  // A reader that has seen enough (`gangway watch | head`).
  stdout.on('error', () => process.exit(0));
  const style: LineStyle = {
    width: stdout.isTTY ? stdout.columns : undefined,
    color: stdout.isTTY && stdout.hasColors(),
  };
  if (!options.json) console.log(fit(header, style.width));
  await client.lines(watchPath(options), (line) => {
    if (options.json) return console.log(line);
    const now = { ...style, ...(stdout.isTTY && { width: stdout.columns }) };
    console.log(formatEvent(JSON.parse(line) as WatchEvent, now));
  });
}

export function watchPath({ container = [], network = [], drops }: WatchOptions): string {
  const query = new URLSearchParams([
    ...container.map((name): [string, string] => ['container', name]),
    ...network.map((name): [string, string] => ['network', name]),
    ...(drops ? [['drops', '1'] as [string, string]] : []),
  ]);
  return `/gangway/watch?${query}`;
}

function columns(
  ...[time, what, protocol, from, arrow, to]: readonly [string, string, string, string, string, string]
): string {
  return `${time.padEnd(12)}  ${what.padEnd(5)}  ${protocol.padEnd(6)}  ${from.padEnd(FROM_WIDTH)} ${arrow} ${to.padEnd(TO_WIDTH)}`;
}
const header = `${columns('TIME', 'EVENT', 'PROTO', 'FROM', ' ', 'TO')}  DETAIL`;

/** One line of at most the style's width. */
export function formatEvent(event: WatchEvent, { width, color }: LineStyle): string {
  const line = fit(eventLine(event), width);
  if (!color) return line;
  return styleText(COLORS[event.kind], line, { validateStream: false });
}

function eventLine(event: WatchEvent): string {
  // Local time: it is read beside a clock and a log.
  const at = new Date(event.time);
  const time = `${at.toTimeString().slice(0, 8)}.${String(at.getMilliseconds()).padStart(3, '0')}`;
  if (event.kind === 'left-out')
    return `${time}  (at least ${event.events} events left out: they came faster than they were read)`;
  if (event.kind === 'missing') return `${time}  (${event.what})`;
  const { kind, protocol, from, to } = event;
  const ends = columns(time, kind, String(protocol), nameOf(from), '→', `${nameOf(to)}${portOf(to)}`);
  return `${ends}  ${details(event)}`.trimEnd();
}

/** The sender's port is of no use to people. */
const nameOf = ({ name, address }: FlowEnd): string => name ?? address;
const portOf = ({ name, address, port }: Partial<FlowEnd>): string => {
  if (port === undefined) return '';
  return name === undefined && address?.includes(':') ? ` port ${port}` : `:${port}`;
};

function details(event: FlowEvent): string {
  switch (event.kind) {
    case 'open':
      return natText(event.nat);
    case 'close': {
      const { bytes, answered } = event;
      if (!answered) return 'no answer';
      return bytes === undefined ? '' : `${size(bytes.there)} there, ${size(bytes.back)} back`;
    }
    case 'drop':
      return `${event.cause} (rule ${event.rule})`;
  }
}

function natText(nat: FlowNat | undefined): string {
  const parts: string[] = [];
  if (nat?.asked !== undefined) parts.push(`asked ${nat.asked.address}${portOf(nat.asked)}`);
  if (nat?.seenAs !== undefined) parts.push(`seen as ${nat.seenAs.address}`);
  return parts.join(', ');
}

/** Decimal units, as `docker stats` has them. */
export function size(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  for (; value >= 1000 && unit < units.length - 1; unit++) value /= 1000;
  return `${unit === 0 ? value : value.toPrecision(3)} ${units[unit]}`;
}

const fit = (line: string, width: number | undefined): string =>
  width === undefined || line.length <= width ? line : `${line.slice(0, Math.max(0, width - 1))}…`;
