import type { TopologyPort } from '../src/model/topology.ts';
import type { Group, Model } from './model.ts';
import type { Box, Point, SceneEdge, SceneNode } from './scene.ts';
import { portLabel } from './words.ts';

const MOST_PORT_ROWS = 4;
const MORE_WIDTH = 84;

/** Outside, the way to it, and the host with its published ports. */
export function layOutHost(
  model: Model,
  groups: readonly Group[],
  { width, allPorts }: { readonly width: number; readonly allPorts: boolean },
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

/** DNAT: from the port's chip below the host, down beside the trunk, to the container. */
export function arrows(
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
