import { s } from './elements.ts';
import { endName } from './ends.ts';
import type { Model } from './model.ts';
import { rounded } from './picture.ts';
import type { Point, Scene } from './scene.ts';

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

/** A way in the picture; `middle` is the index of the switch or the host that hands over from one side to the other. */
export interface DrawnWay {
  readonly points: readonly Point[];
  readonly middle: number;
}

/** The way of a packet in the picture: over a switch where there is one in common, else by the host. */
export function wayOf(scene: Scene, model: Model, from: string, to: string): DrawnWay | undefined {
  const a = endOf(scene, model, endName(from));
  const b = endOf(scene, model, endName(to));
  if (a === undefined || b === undefined) return undefined;
  if (a.kind === 'places' && b.kind === 'places') {
    for (const leg of a.legs) {
      const other = b.legs.find(({ group }) => group === leg.group);
      if (other === undefined) continue;
      return { points: [...leg.wire.toReversed(), ...other.wire], middle: leg.wire.length - 1 };
    }
  }
  const start = toHost(a, scene, b, 'from');
  const end = toHost(b, scene, a, 'to');
  return { points: [...start, ...end.toReversed()], middle: start.length - 1 };
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
  /** From the host to the switch, also where nothing may go. */
  readonly trunk: readonly Point[];
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
      trunk: edge(`gateway:${node.group}`) ?? besidePanel(scene, node.group),
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
      [middle, bottom],
    ];
  }
  if (end.kind === 'host') return [[middle, bottom]];
  const published =
    role === 'to' && other.kind !== 'places' ? end.legs.find(({ dnat }) => dnat !== undefined) : undefined;
  if (published?.dnat !== undefined)
    return [...published.dnat.toReversed(), [published.dnat[0]?.[0] ?? 0, bottom]];
  const leg = end.legs.find(({ gateway }) => gateway) ?? end.legs[0];
  if (leg === undefined) return [];
  const [x] = leg.trunk[0] ?? [middle];
  // Through the switch, from the wire's side to the trunk's.
  const [bus] = leg.wire[0] ?? [x];
  const [, middleOfSwitch] = leg.trunk.at(-1) ?? [0, bottom];
  return [...leg.wire.toReversed(), [bus, middleOfSwitch], ...leg.trunk.toReversed()];
}

/** Where the trunk of a network would be that has none. */
function besidePanel(scene: Scene, group: string): readonly Point[] {
  const host = scene.nodes.find(({ kind }) => kind === 'host');
  const panel = scene.nodes.find(({ id }) => id === group);
  if (host === undefined || panel === undefined) return [];
  const x = panel.x - 16;
  const middle = panel.y + panel.h / 2;
  return [
    [x, host.y + host.h],
    [x, middle],
    [panel.x, middle],
  ];
}

/** Draws the way over the picture; what does not come through ends in a cross. */
export function drawWay(
  svg: SVGSVGElement,
  drawn: DrawnWay | undefined,
  answer: WhyAnswer | undefined,
): void {
  svg.replaceChildren();
  if (drawn === undefined || drawn.points.length < 2 || answer === undefined) return;
  const { points } = drawn;
  if (answer.reachable) {
    svg.append(s('path', { d: rounded(points), class: 'way good' }));
    svg.append(s('path', { d: rounded(points), class: 'way-run' }));
    return;
  }
  const cause = answer.cause ?? '';
  const part = AT_THE_START.has(cause) ? 0.04 : AT_THE_END.has(cause) ? 0.97 : shareOf(drawn);
  const [before, at, after] = cut(points, part);
  svg.append(s('path', { d: rounded([at, ...after]), class: 'way rest' }));
  svg.append(s('path', { d: rounded([...before, at]), class: 'way bad' }));
  const [x, y] = at;
  svg.append(s('circle', { cx: x, cy: y, r: 10, class: 'cross-back' }));
  svg.append(s('path', { d: `M${x - 4} ${y - 4}l8 8m0 -8l-8 8`, class: 'cross' }));
}

const lengthOf = (points: readonly Point[]): number =>
  points.reduce((sum, [x, y], i) => {
    const [fromX, fromY] = points[i - 1] ?? [x, y];
    return sum + Math.hypot(x - fromX, y - fromY);
  }, 0);

const shareOf = ({ points, middle }: DrawnWay): number =>
  lengthOf(points.slice(0, middle + 1)) / Math.max(1, lengthOf(points));

function cut(points: readonly Point[], part: number): readonly [Point[], Point, Point[]] {
  let left = lengthOf(points) * part;
  for (let i = 1; i < points.length; i++) {
    const [x, y] = points[i] ?? [0, 0];
    const [fromX, fromY] = points[i - 1] ?? [0, 0];
    const here = Math.hypot(x - fromX, y - fromY);
    if (left <= here) {
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
