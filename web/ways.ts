import { s } from './elements.ts';
import type { Point, Scene } from './layout.ts';
import type { Model } from './model.ts';
import { rounded } from './picture.ts';

/** What `GET /gangway/why` says of a question. */
export interface WhyAnswer {
  readonly reachable: boolean;
  readonly cause?: string | null;
  readonly sentence: string;
  readonly steps?: readonly WhyStep[];
  readonly fix?: string | readonly string[] | null;
}

export interface WhyStep {
  readonly kind: string;
  readonly rule?: string | null;
  readonly from?: unknown;
  readonly to?: unknown;
  readonly detail?: string | null;
}

/** One end of a question: `web`, `web:80`, `db:53/udp`, `outside`. */
export function endName(text: string): string {
  if (/^\[.*\]/.test(text)) return text.slice(1, text.indexOf(']'));
  return /^[^:]*:\d+(\/\w+)?$/.test(text) ? text.slice(0, text.indexOf(':')) : text;
}

/** Where the way ends short, by the answer's cause. */
const AT_THE_END: ReadonlySet<string> = new Set([
  'nothing-listens',
  'listens-on-loopback',
  'listens-on-other-address',
  'container-stopped',
  'container-restarting',
  'container-paused',
  'port-not-open',
]);
const AT_THE_START: ReadonlySet<string> = new Set(['name-unknown', 'no-address', 'no-network', 'no-route']);

/** The way of a packet in the picture: over switches where there is one in common, else by the host. */
export function wayOf(scene: Scene, model: Model, from: string, to: string): readonly Point[] | undefined {
  const a = endOf(scene, model, endName(from));
  const b = endOf(scene, model, endName(to));
  if (a === undefined || b === undefined) return undefined;
  if (a.kind === 'places' && b.kind === 'places') {
    for (const leg of a.legs) {
      const other = b.legs.find(({ group }) => group === leg.group);
      if (other !== undefined) return [...leg.wire.toReversed(), ...other.wire];
    }
  }
  const start = toHost(a, scene, b, 'from');
  const end = toHost(b, scene, a, 'to');
  return [...start, ...end.toReversed()];
}

type End =
  | { readonly kind: 'places'; readonly legs: readonly Leg[] }
  | { readonly kind: 'outside' }
  | { readonly kind: 'host' };

interface Leg {
  readonly group: string;
  readonly endpoint: string | undefined;
  /** From the switch to the container. */
  readonly wire: readonly Point[];
  /** From the host to the switch; absent where the network has no way out. */
  readonly trunk: readonly Point[] | undefined;
  readonly dnat: readonly Point[] | undefined;
  readonly gateway: boolean;
}

function endOf(scene: Scene, model: Model, name: string): End | undefined {
  if (['outside', 'internet'].includes(name)) return { kind: 'outside' };
  if (name === 'host' || name === model.own?.name) return { kind: 'host' };
  const edge = (id: string): readonly Point[] | undefined =>
    scene.edges.find((each) => each.id === id)?.points;
  const legs: Leg[] = [];
  for (const node of scene.nodes) {
    if (node.kind !== 'place') continue;
    const { container, endpoint, id } = node.place;
    const fits =
      container.name === name ||
      container.service === name ||
      (name.length >= 3 && container.id.startsWith(name));
    const address = endpoint?.addresses.some((text) => text.replace(/\/\d+$/, '') === name) ?? false;
    if (!fits && !address) continue;
    const port = model.topology.ports.find((each) => each.endpoint === endpoint?.id);
    legs.push({
      group: node.group,
      endpoint: endpoint?.id,
      wire: edge(`veth:${id}`) ?? [],
      trunk: edge(`gateway:${node.group}`),
      dnat: port === undefined ? undefined : edge(`dnat:${port.id}`),
      gateway: endpoint?.gateway ?? false,
    });
  }
  if (legs.length > 0) return { kind: 'places', legs };
  // An address that is nobody's here is out there.
  return /^[\d.]+$|:/.test(name) ? { kind: 'outside' } : undefined;
}

/** From the end to the lower edge of the host. */
function toHost(end: End, scene: Scene, other: End, role: 'from' | 'to'): readonly Point[] {
  const host = scene.nodes.find(({ kind }) => kind === 'host');
  const bottom = host === undefined ? 0 : host.y + host.h;
  const middle = scene.width / 2;
  if (end.kind === 'outside') {
    return [
      [middle, 18],
      [middle, bottom - 14],
    ];
  }
  if (end.kind === 'host') return [[middle, bottom - 14]];
  const published =
    role === 'to' && other.kind !== 'places' ? end.legs.find(({ dnat }) => dnat !== undefined) : undefined;
  if (published?.dnat !== undefined)
    return [...published.dnat.toReversed(), [published.dnat[0]?.[0] ?? 0, bottom - 14]];
  const leg = end.legs.find(({ gateway }) => gateway) ?? end.legs[0];
  if (leg === undefined) return [];
  const first = leg.wire[0] ?? [0, 0];
  const trunk = leg.trunk ?? [[first[0], first[1] - 25] as const];
  const [x] = trunk[0] ?? [middle];
  const top: readonly Point[] = leg.trunk === undefined ? [] : [[x, bottom - 14]];
  return [...leg.wire.toReversed(), ...trunk.toReversed(), ...top];
}

/** Draws the way over the picture; what does not come through ends in a cross. */
export function drawWay(
  svg: SVGSVGElement,
  points: readonly Point[] | undefined,
  answer: WhyAnswer | undefined,
): void {
  svg.replaceChildren();
  if (points === undefined || points.length < 2 || answer === undefined) return;
  if (answer.reachable) {
    svg.append(s('path', { d: rounded(points), class: 'way good' }));
    svg.append(s('path', { d: rounded(points), class: 'way-run' }));
    return;
  }
  const cause = answer.cause ?? '';
  const part = AT_THE_START.has(cause) ? 0.04 : AT_THE_END.has(cause) ? 0.97 : 0.5;
  const [before, at, after] = cut(points, part);
  svg.append(s('path', { d: rounded([at, ...after]), class: 'way rest' }));
  svg.append(s('path', { d: rounded([...before, at]), class: 'way bad' }));
  const [x, y] = at;
  svg.append(s('circle', { cx: x, cy: y, r: 10, class: 'cross-back' }));
  svg.append(s('path', { d: `M${x - 4} ${y - 4}l8 8m0 -8l-8 8`, class: 'cross' }));
}

function cut(points: readonly Point[], part: number): readonly [Point[], Point, Point[]] {
  const length = (i: number): number => {
    const [x, y] = points[i] ?? [0, 0];
    const [fromX, fromY] = points[i - 1] ?? [0, 0];
    return Math.hypot(x - fromX, y - fromY);
  };
  const total = points.reduce((sum, _, i) => (i === 0 ? 0 : sum + length(i)), 0);
  let left = total * part;
  for (let i = 1; i < points.length; i++) {
    const here = length(i);
    if (left <= here) {
      const [x, y] = points[i] ?? [0, 0];
      const [fromX, fromY] = points[i - 1] ?? [0, 0];
      const share = here === 0 ? 0 : left / here;
      return [
        points.slice(0, i),
        [fromX + (x - fromX) * share, fromY + (y - fromY) * share],
        points.slice(i),
      ];
    }
    left -= here;
  }
  return [points.slice(0, -1), points.at(-1) ?? [0, 0], []];
}
