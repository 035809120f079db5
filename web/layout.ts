import type { TopologyHost, TopologyNetwork, TopologyPort } from '../src/model/topology.ts';
import { type Group, isUp, type Model, type Place, type Section } from './model.ts';
import { plural, portLabel } from './words.ts';

/** Where everything is, in CSS pixels from the picture's corner. Made anew only when what there is changes. */
export interface Scene {
  readonly width: number;
  readonly height: number;
  readonly nodes: readonly SceneNode[];
  readonly edges: readonly SceneEdge[];
}

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}

export type Detail = 'large' | 'small' | 'tiny';

export type SceneNode = Box & { readonly id: string } & (
    | { readonly kind: 'outside' }
    | {
        readonly kind: 'host';
        readonly host: TopologyHost | undefined;
        readonly others: readonly TopologyHost[];
        /** Something drawn is published. */
        readonly published: boolean;
      }
    | { readonly kind: 'port'; readonly port: TopologyPort; readonly to: string }
    | { readonly kind: 'more-ports'; readonly count: number }
    | { readonly kind: 'section'; readonly title: string; readonly text: string }
    | {
        readonly kind: 'network';
        readonly title: string;
        readonly network: TopologyNetwork | undefined;
        readonly count: number;
        readonly detail: Detail;
        readonly panel: Box;
      }
    | { readonly kind: 'peer'; readonly host: TopologyHost; readonly network: TopologyNetwork }
    | { readonly kind: 'place'; readonly place: Place; readonly group: string; readonly detail: Detail }
  );

export type Point = readonly [x: number, y: number];

export interface SceneEdge {
  readonly id: string;
  readonly kind: 'uplink' | 'gateway' | 'veth' | 'dnat' | 'tunnel' | 'idle';
  /** From the host's side towards the container. */
  readonly points: readonly Point[];
  /** Whose counters it shows. */
  readonly link?: string;
  readonly port?: string;
  /** Too short for anything to run along it. */
  readonly calm?: boolean;
  /** The source of what leaves by it is translated. */
  readonly snat?: boolean;
}

export interface LayoutOptions {
  readonly width: number;
  readonly detail: 'auto' | 'large' | 'small';
  /** Ids of groups that are open where the others are closed, or closed where they are open. */
  readonly toggled: ReadonlySet<string>;
  readonly allPorts: boolean;
  /** Id of the container whose ports have their arrows even where there are too many. */
  readonly chosen?: string;
}

/** More places than this are drawn small, and more than the second as an overview. */
export const LARGE_UP_TO = 60;
const SMALL_UP_TO = 150;
const MOST_PORT_ROWS = 4;
const MOST_ARROWS = 12;
const MORE_WIDTH = 84;
/** Room left of a panel for what leads to it. */
const trunkOf = (width: number): number => (width < 500 ? 22 : 30);
const BUS = 14;
const PADDING = 10;
const SWITCH = 50;
const GAP_COLUMN = 18;
const GAP_PANEL = 20;
const LOWEST_PANEL = 330;

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

export function layOut(model: Model, sections: readonly Section[], options: LayoutOptions): Scene {
  const nodes: SceneNode[] = [];
  const edges: SceneEdge[] = [];
  const { width } = options;
  const gutter = trunkOf(width);
  const total = sections.reduce(
    (sum, { groups }) => sum + groups.reduce((n, { places }) => n + places.length, 0),
    0,
  );
  const groups = sections.flatMap((section) => section.groups);
  const detailOf = (group: string): Detail => {
    const [open, other] = detailsOf(options.detail, total);
    return options.toggled.has(group) ? other : open;
  };

  const top = layOutHost(model, groups, options, nodes, edges);
  const columns = Math.max(
    1,
    Math.min(4, Math.floor((width + GAP_COLUMN) / (LOWEST_PANEL + gutter + GAP_COLUMN))),
  );
  const columnWidth = (width - GAP_COLUMN * (columns - 1)) / columns;
  const left = (column: number): number => column * (columnWidth + GAP_COLUMN);
  const busy = groups.length;
  let y = top.bottom + 26;
  const titled = sections.length > 1;
  const drops = new Map<string, Point>();
  const lanes = new Map<string, { readonly x: number; readonly y: number }>();
  for (const { project, groups: of } of sections) {
    if (titled) {
      const containers = new Set(of.flatMap(({ places }) => places.map(({ container }) => container.id)));
      const text = `${plural(containers.size, 'container')} · ${plural(of.length, 'network')}`;
      const title = project === '' ? 'No project' : project;
      nodes.push({
        kind: 'section',
        id: `section:${project}`,
        title,
        text,
        x: gutter,
        y,
        w: width - gutter,
        h: 24,
      });
      y += 32;
    }
    const used = Math.min(columns, Math.max(1, of.length));
    const bottoms = Array.from({ length: used }, () => y);
    // One network alone may have the whole width.
    const wide = busy === 1 || used === 1 ? width : columnWidth;
    for (const group of of) {
      const column = bottoms.indexOf(Math.min(...bottoms));
      const at = bottoms[column] ?? y;
      const detail = detailOf(group.id);
      const panel = { x: left(column) + gutter, y: at, w: wide - gutter, h: 0 };
      const height = layOutGroup(model, group, panel, detail, { nodes, edges, drops, lanes });
      const { network } = group;
      const leads = hasWayOut(group);
      if (leads) {
        const trunk = left(column) + (gutter < 30 ? 4 : 9);
        const middle = at + SWITCH / 2;
        edges.push({
          id: `gateway:${group.id}`,
          kind: network === undefined ? 'idle' : 'gateway',
          points: [
            [trunk, top.bottom],
            [trunk, middle],
            [panel.x, middle],
          ],
          ...(network !== undefined && network.driver !== 'macvlan' && { link: network.device }),
          snat: network?.families.some(({ egress }) => egress !== 'none') ?? false,
        });
      }
      bottoms[column] = at + height + GAP_PANEL;
    }
    y = Math.max(...bottoms) + (titled ? 6 : 0);
  }
  const ports = model.topology.ports.filter(
    ({ container }) => model.topology.ports.length <= MOST_ARROWS || container === options.chosen,
  );
  arrows(ports, top.chips, drops, lanes, top.bottom, edges);
  return { width, height: Math.max(y, top.bottom + 40), nodes, edges };
}

/** By the host itself: containers of an overlay network leave by docker_gwbridge. */
const hasWayOut = ({ id, network }: Group): boolean =>
  network === undefined ? id === 'mode:host' : !network.internal && network.driver !== 'overlay';

/** How groups are drawn, and how those are that were toggled. */
function detailsOf(wanted: LayoutOptions['detail'], total: number): readonly [Detail, Detail] {
  if (wanted !== 'auto') return [wanted, 'tiny'];
  if (total > SMALL_UP_TO) return ['tiny', 'small'];
  return [total > LARGE_UP_TO ? 'small' : 'large', 'tiny'];
}

/** Outside, the way to it, and the host with its published ports. */
function layOutHost(
  model: Model,
  groups: readonly Group[],
  { width, allPorts }: LayoutOptions,
  nodes: SceneNode[],
  edges: SceneEdge[],
): { readonly bottom: number; readonly chips: ReadonlyMap<string, Point> } {
  const middle = width / 2;
  const { own } = model;
  nodes.push({ kind: 'outside', id: 'outside', x: middle - 62, y: 2, w: 124, h: 30 });
  const hostTop = 74;
  const [uplink] = own?.uplinks ?? [];
  edges.push({
    id: 'uplink',
    kind: 'uplink',
    points: [
      [middle, 32],
      [middle, hostTop],
    ],
    ...(uplink !== undefined && { link: uplink.ifName }),
  });
  const shown = new Set(groups.flatMap(({ places }) => places.map(({ container }) => container.id)));
  const ports = model.topology.ports.filter(({ container }) => shown.has(container)).toSorted(byPort);
  const chips = new Map<string, Point>();
  const inner = width - 28;
  let x = 58;
  let y = hostTop + 40;
  let rows = 1;
  const room = (w: number): boolean => x + w <= inner + 14 || x === 58;
  const place = (w: number): Box => {
    if (!room(w)) {
      x = 58;
      y += 30;
      rows++;
    }
    const box = { x, y, w: Math.min(w, inner - 44), h: 24 };
    x += w + 8;
    return box;
  };
  let shownPorts = 0;
  for (const port of ports) {
    const to = model.containers.get(port.container)?.name ?? '';
    const w = Math.min(260, 44 + 6.6 * portLabel(port).length + 7.6 * to.length);
    // The last row keeps room for how many more there are.
    const left = ports.length - shownPorts;
    const full = rows === MOST_PORT_ROWS && !room(left > 1 ? w + MORE_WIDTH + 8 : w);
    if (full && !allPorts) break;
    const box = place(w);
    nodes.push({ kind: 'port', id: `port:${port.id}`, port, to, ...box });
    chips.set(port.id, [box.x + 16, box.y + box.h]);
    shownPorts++;
  }
  if (shownPorts < ports.length || rows > MOST_PORT_ROWS) {
    const count = ports.length - shownPorts;
    nodes.push({ kind: 'more-ports', id: 'more-ports', count, ...place(MORE_WIDTH) });
  }
  const bottom = (ports.length > 0 ? y + 24 : hostTop + 32) + 40;
  const others = model.topology.hosts.filter((host) => !host.own);
  nodes.unshift({
    kind: 'host',
    id: 'host',
    host: own,
    others,
    published: ports.length > 0,
    x: 0,
    y: hostTop,
    w: width,
    h: bottom - hostTop,
  });
  return { bottom, chips };
}

const byPort = (a: TopologyPort, b: TopologyPort): number =>
  a.first - b.first || a.protocol.localeCompare(b.protocol) || a.hostIp.localeCompare(b.hostIp);

/** @returns the panel's height */
function layOutGroup(
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

/** DNAT: from the port's chip below the host, down beside the trunk, to the container. */
function arrows(
  ports: readonly TopologyPort[],
  chips: ReadonlyMap<string, Point>,
  drops: ReadonlyMap<string, Point>,
  lanes: ReadonlyMap<string, { readonly x: number; readonly y: number }>,
  bottom: number,
  edges: SceneEdge[],
): void {
  let drawn = 0;
  for (const port of ports) {
    const from = chips.get(port.id);
    const to = drops.get(port.endpoint);
    const lane = lanes.get(port.endpoint);
    if (from === undefined || to === undefined || lane === undefined) continue;
    const below = bottom + 7 + (drawn % 4) * 4;
    const beside = lane.x - 12 + (drawn % 3) * 3;
    drawn++;
    edges.push({
      id: `dnat:${port.id}`,
      kind: 'dnat',
      port: port.id,
      points: [
        from,
        [from[0], below],
        [beside, below],
        [beside, lane.y + 5],
        [to[0] + 7, lane.y + 5],
        [to[0] + 7, to[1]],
      ],
    });
  }
}
