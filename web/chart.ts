import type { HistoryAnswer } from '../src/ui/messages.ts';
import { h, s } from './elements.ts';
import { rate } from './words.ts';

const WIDTH = 300;
const HEIGHT = 76;
/** Minutes that may be shown; as many as something is known of. */
const SPANS = [5, 15, 60] as const;
const MOST_POINTS = 150;

/** The last hour, or what is known of it, as two lines: what came, and what went. */
export function chart(history: HistoryAnswer, names: readonly [received: string, sent: string]): HTMLElement {
  const first = history.received.findIndex((value) => value !== null);
  const known = first < 0 ? 0 : history.received.length - first;
  const minutes = SPANS.find((span) => (known * history.step) / 60 <= span) ?? 60;
  const count = (minutes * 60) / history.step;
  const received = thin(history.received.slice(-count));
  const sent = thin(history.sent.slice(-count));
  const most = Math.max(1, ...received.map((value) => value ?? 0), ...sent.map((value) => value ?? 0));
  const svg = s('svg', {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    preserveAspectRatio: 'none',
    class: 'chart',
    role: 'img',
  });
  const last = (values: readonly (number | null)[]): string =>
    rate(values.findLast((value) => value !== null) ?? 0);
  svg.setAttribute(
    'aria-label',
    `The last ${minutes} minutes, at most ${rate(most)}. ${names[0]} now ${last(received)}, ${names[1]} ${last(sent)}.`,
  );
  for (const part of [0.25, 0.5, 0.75]) {
    svg.append(s('line', { x1: WIDTH * part, x2: WIDTH * part, y1: 0, y2: HEIGHT, class: 'grid' }));
  }
  svg.append(s('path', { d: area(received, most), class: 'area received' }));
  svg.append(s('path', { d: line(received, most), class: 'line received' }));
  svg.append(s('path', { d: line(sent, most), class: 'line sent' }));
  return h(
    'figure',
    'history',
    h(
      'figcaption',
      '',
      h('span', 'received', names[0]),
      h('span', 'sent', names[1]),
      h('span', 'most quiet', most > 1 ? `at most ${rate(most)}` : 'at rest'),
    ),
    svg as unknown as Node,
    h('div', 'axis quiet', h('span', '', `${minutes} min ago`), h('span', '', 'now')),
  );
}

function thin(values: readonly (number | null)[]): (number | null)[] {
  const bucket = Math.ceil(values.length / MOST_POINTS);
  const found: (number | null)[] = [];
  for (let i = values.length; i > 0; i -= bucket) {
    const known = values.slice(Math.max(0, i - bucket), i).filter((value) => value !== null);
    found.unshift(known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length);
  }
  return found;
}

function points(values: readonly (number | null)[], most: number): (readonly [number, number] | undefined)[] {
  const step = WIDTH / Math.max(1, values.length - 1);
  return values.map((value, i) =>
    value === null ? undefined : ([i * step, HEIGHT - 2 - (value / most) * (HEIGHT - 6)] as const),
  );
}

function line(values: readonly (number | null)[], most: number): string {
  let pen = 'M';
  let path = '';
  for (const point of points(values, most)) {
    if (point === undefined) pen = 'M';
    else {
      // A lone point is a dash.
      path += pen === 'M' ? `M${(point[0] - 2).toFixed(1)} ${point[1].toFixed(1)}` : '';
      path += `L${point[0].toFixed(1)} ${point[1].toFixed(1)}`;
      pen = 'L';
    }
  }
  return path;
}

function area(values: readonly (number | null)[], most: number): string {
  let path = '';
  let open: readonly [number, number] | undefined;
  let before: readonly [number, number] | undefined;
  for (const point of [...points(values, most), undefined]) {
    if (point !== undefined) {
      path += open === undefined ? `M${point[0].toFixed(1)} ${HEIGHT}L` : 'L';
      path += `${point[0].toFixed(1)} ${point[1].toFixed(1)}`;
      open ??= point;
    } else if (open !== undefined && before !== undefined) {
      path += `L${before[0].toFixed(1)} ${HEIGHT}Z`;
      open = undefined;
    }
    before = point;
  }
  return path;
}
