import { layOutGroup, SWITCH } from './group-layout.ts';
import { arrows, layOutHost } from './host-layout.ts';
import type { Group, Model, Section } from './model.ts';
import type { Detail, Point, Scene, SceneEdge, SceneNode } from './scene.ts';
import { plural } from './words.ts';

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
const MOST_ARROWS = 12;
/** Room left of a panel for what leads to it. */
const trunkOf = (width: number): number => (width < 500 ? 22 : 30);
const GAP_COLUMN = 18;
const GAP_PANEL = 20;
const LOWEST_PANEL = 330;

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
