import { type Group, isUp, type Model } from './model.ts';
import type { Box, Detail, Point, SceneEdge, SceneNode } from './scene.ts';

export const SWITCH = 50;
const BUS = 14;
const PADDING = 10;

/** A card: the wire above it, then its body. */
const CARDS: Readonly<
  Record<
    Detail,
    {
      readonly least: number;
      readonly most: number;
      readonly wire: number;
      readonly body: number;
      readonly gap: number;
    }
  >
> = {
  large: { least: 132, most: 230, wire: 36, body: 44, gap: 12 },
  small: { least: 118, most: 190, wire: 9, body: 25, gap: 7 },
  tiny: { least: 16, most: 16, wire: 2, body: 16, gap: 4 },
};

/** @returns the panel's height */
export function layOutGroup(
  model: Model,
  group: Group,
  panel: Box,
  detail: Detail,
  into: {
    readonly nodes: SceneNode[];
    readonly edges: SceneEdge[];
    readonly drops: Map<string, Point>;
    readonly lanes: Map<string, { readonly x: number; readonly y: number }>;
  },
): number {
  const { network, places } = group;
  const card = CARDS[detail];
  const room = panel.w - PADDING - BUS - PADDING;
  const perRow = Math.max(1, Math.floor((room + card.gap) / (card.least + card.gap)));
  const across = Math.min(perRow, Math.max(places.length, 1));
  const w = Math.min(card.most, (room - card.gap * (across - 1)) / across);
  const bus = panel.x + PADDING + 4;
  const cards: SceneNode[] = [];
  let y = panel.y + SWITCH + (detail === 'tiny' ? 10 : 14);
  let column = 0;
  let far = '';
  // A tunnel is counted as a whole.
  const alone = new Set(places.map(({ container }) => container.host)).size <= 2;
  for (const place of places) {
    const host = model.hosts.get(place.container.host);
    const remote = host !== undefined && !host.own && network !== undefined;
    if (remote && far !== host.id) {
      if (column > 0) y += card.wire + card.body + card.gap;
      column = 0;
      far = host.id;
      const x = panel.x + PADDING + BUS;
      cards.push({
        kind: 'peer',
        id: `peer:${network.id}:${host.id}`,
        host,
        network,
        x,
        y: y + 4,
        w: room,
        h: 24,
      });
      into.edges.push({
        id: `tunnel:${network.id}:${host.id}`,
        kind: 'tunnel',
        points: [
          [bus, panel.y + SWITCH],
          [bus, y + 16],
          [x, y + 16],
        ],
        ...(network.tunnel !== undefined && alone && { link: network.tunnel.ifName }),
      });
      y += 36;
    }
    if (column === across) {
      column = 0;
      y += card.wire + card.body + card.gap;
    }
    const x = panel.x + PADDING + BUS + column * (w + card.gap);
    const drop = x + Math.min(w / 2, detail === 'large' ? 16 : 10);
    cards.push({
      kind: 'place',
      id: place.id,
      place,
      group: group.id,
      detail,
      x,
      y,
      w,
      h: card.wire + card.body,
    });
    into.edges.push({
      id: `veth:${place.id}`,
      kind: remote ? 'tunnel' : place.endpoint === undefined || !isUp(place.container) ? 'idle' : 'veth',
      points: [
        [bus, panel.y + SWITCH],
        [bus, y],
        [drop, y],
        [drop, y + card.wire],
      ],
      ...(place.endpoint?.hostIfName !== undefined && { link: place.endpoint.hostIfName }),
      calm: detail === 'tiny',
    });
    into.drops.set(place.id, [drop, y + card.wire]);
    into.lanes.set(place.id, { x: panel.x, y });
    column++;
  }
  const height = y + card.wire + card.body + PADDING - panel.y;
  into.nodes.push({
    kind: 'network',
    id: group.id,
    title: group.title,
    network,
    count: places.length,
    detail,
    panel: { ...panel, h: height },
    x: panel.x,
    y: panel.y,
    w: panel.w,
    h: SWITCH,
  });
  into.nodes.push(...cards);
  return height;
}
