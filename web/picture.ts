import type { Rates } from '../src/ui/messages.ts';
import { s, setText } from './elements.ts';
import type { Model } from './model.ts';
import { makeNode, signature } from './node-view.ts';
import type { Box, Point, Scene, SceneEdge, SceneNode } from './scene.ts';
import { rate, shortRate } from './words.ts';

interface Drawn {
  readonly element: HTMLElement;
  readonly signature: string;
}

/** Packets dropped are shown for so long. */
const DROPS_SHOWN_MS = 10_000;

/** The nodes as elements, the edges as paths; both are kept from one scene to the next, by id. */
export class Picture {
  readonly #root: HTMLElement;
  readonly #layer: HTMLElement;
  readonly #svg: SVGSVGElement;
  readonly #nodes = new Map<string, Drawn>();
  readonly #panels = new Map<string, SVGRectElement>();
  readonly #paths = new Map<string, SVGPathElement>();
  #scene: Scene = { width: 0, height: 0, nodes: [], edges: [] };
  readonly #dropped = new Map<string, { count: number; until: number }>();
  readonly #hits = new Map<string, number>();
  #marked = new Map<string, string>();

  constructor(root: HTMLElement, layer: HTMLElement, svg: SVGSVGElement) {
    this.#root = root;
    this.#layer = layer;
    this.#svg = svg;
  }

  get scene(): Scene {
    return this.#scene;
  }

  element(id: string): HTMLElement | undefined {
    return this.#nodes.get(id)?.element;
  }

  draw(scene: Scene, model: Model): void {
    this.#scene = scene;
    this.#root.style.height = `${scene.height}px`;
    for (const svg of this.#root.querySelectorAll('svg')) {
      svg.setAttribute('width', String(scene.width));
      svg.setAttribute('height', String(scene.height));
    }
    this.#drawNodes(scene.nodes, model);
    this.#drawPanels(scene.nodes);
    this.#drawEdges(scene.edges);
  }

  #drawNodes(nodes: readonly SceneNode[], model: Model): void {
    const seen = new Set<string>();
    let before: Element | null = null;
    for (const node of nodes) {
      seen.add(node.id);
      const content = signature(node, model);
      let drawn = this.#nodes.get(node.id);
      if (drawn?.signature !== content) {
        const element = makeNode(node, model);
        if (drawn !== undefined) {
          element.tabIndex = drawn.element.tabIndex;
          const focused = drawn.element === document.activeElement;
          drawn.element.replaceWith(element);
          if (focused) element.focus({ preventScroll: true });
        }
        drawn = { element, signature: content };
        this.#nodes.set(node.id, drawn);
      }
      const { element } = drawn;
      // The order of the document is that of reading.
      const wanted: Element | null =
        before === null ? this.#layer.firstElementChild : before.nextElementSibling;
      if (wanted !== element) this.#layer.insertBefore(element, wanted);
      before = element;
      element.style.transform = `translate(${Math.round(node.x)}px, ${Math.round(node.y)}px)`;
      element.style.width = `${Math.round(node.w)}px`;
      element.style.height = `${Math.round(node.h)}px`;
    }
    for (const [id, { element }] of this.#nodes) {
      if (seen.has(id)) continue;
      element.remove();
      this.#nodes.delete(id);
    }
  }

  #drawPanels(nodes: readonly SceneNode[]): void {
    const seen = new Set<string>();
    for (const node of nodes) {
      if (node.kind !== 'network') continue;
      seen.add(node.id);
      let rect = this.#panels.get(node.id);
      if (rect === undefined) {
        rect = s('rect', { class: 'panel', rx: 8 });
        this.#panels.set(node.id, rect);
        this.#svg.prepend(rect);
      }
      for (const [name, value] of Object.entries(sizes(node.panel))) rect.setAttribute(name, value);
    }
    prune(this.#panels, seen);
  }

  #drawEdges(edges: readonly SceneEdge[]): void {
    const seen = new Set<string>();
    for (const edge of edges) {
      seen.add(edge.id);
      let path = this.#paths.get(edge.id);
      if (path === undefined) {
        path = s('path', { 'data-id': edge.id });
        this.#paths.set(edge.id, path);
        this.#svg.append(path);
      }
      path.setAttribute('d', rounded(edge.points));
      path.setAttribute('class', `edge ${edge.kind}`);
      delete path.dataset.width;
      if (edge.kind === 'dnat') path.setAttribute('marker-end', 'url(#dnat-head)');
      if (edge.snat) path.setAttribute('marker-start', 'url(#snat-head)');
    }
    prune(this.#paths, seen);
  }

  /** Once a second: text and widths, no layout of the scene. */
  showRates(rates: Rates, now: number): void {
    for (const [link, [, , dropped]] of Object.entries(rates.links)) {
      if (dropped === 0) continue;
      const before = this.#dropped.get(link);
      const count = (before !== undefined && before.until > now ? before.count : 0) + dropped;
      this.#dropped.set(link, { count, until: now + DROPS_SHOWN_MS });
    }
    for (const edge of this.#scene.edges) {
      const path = this.#paths.get(edge.id);
      if (edge.port !== undefined && path !== undefined) this.#showHits(edge.port, path, rates);
      const [down, up] = flowOf(edge, rates);
      if (edge.link !== undefined) {
        const width = `w${widthOf(down + up)}`;
        if (path !== undefined && path.dataset.width !== width) {
          path.dataset.width = width;
          path.setAttribute('class', `edge ${edge.kind} ${width}`);
        }
      }
      const id = edge.id.slice(edge.id.indexOf(':') + 1);
      if (edge.link === undefined) continue;
      if (edge.kind === 'uplink') this.#label(this.element('outside'), down, up, true);
      if (edge.kind === 'veth' || edge.kind === 'gateway') {
        const element = this.element(id);
        const dropped = this.#droppedOn(edge.link, now);
        this.#label(element, down, up, edge.kind === 'gateway', dropped);
        element?.classList.toggle('dropping', dropped > 0);
        element?.classList.toggle('busy', down + up > 0);
        if (element?.classList.contains('tiny')) heat(element, down, up);
      } else if (edge.kind === 'tunnel')
        this.#label(this.element(edge.id.replace('tunnel:', 'peer:')), down, up, true);
    }
    for (const node of this.#scene.nodes) {
      const tunnel = node.kind === 'network' ? node.network?.tunnel : undefined;
      if (tunnel === undefined) continue;
      const [received, sent] = rates.links[tunnel.ifName] ?? [0, 0];
      this.#label(this.element(node.id), sent, received, true);
    }
  }

  /** A new connection to a published port runs along its arrow once. */
  #showHits(port: string, path: SVGPathElement, rates: Rates): void {
    const now = rates.ports[port];
    if (now === undefined) return;
    const before = this.#hits.get(port);
    this.#hits.set(port, now);
    path.classList.remove('hit');
    if (before === undefined || now <= before) return;
    // Reading a measure makes the browser begin the animation anew.
    path.getBoundingClientRect();
    path.classList.add('hit');
  }

  #droppedOn(link: string | undefined, now: number): number {
    const found = link === undefined ? undefined : this.#dropped.get(link);
    return found !== undefined && found.until > now ? found.count : 0;
  }

  #label(element: HTMLElement | undefined, down: number, up: number, long: boolean, dropped = 0): void {
    if (element === undefined) return;
    const target = element.querySelector('.rate');
    if (target === null) return;
    const words = long ? `↓ ${rate(down)}  ↑ ${rate(up)}` : `↓${shortRate(down)} ↑${shortRate(up)}`;
    setText(
      target,
      element.classList.contains('small')
        ? down + up > 0
          ? shortRate(down + up)
          : ''
        : dropped > 0
          ? `✗${dropped} ${words}`
          : words,
    );
  }

  /** @param marks class by node id; every other loses it */
  mark(marks: ReadonlyMap<string, string>): void {
    for (const [id, name] of this.#marked) {
      if (marks.get(id) !== name) this.element(id)?.classList.remove(...name.split(' '));
    }
    for (const [id, name] of marks) this.element(id)?.classList.add(...name.split(' '));
    this.#marked = new Map(marks);
  }
}

/** What flows to the end of the edge, and from it. The host's end of a link sends what the container receives. */
export function flowOf(edge: SceneEdge, rates: Rates): readonly [down: number, up: number] {
  const counted = edge.link === undefined ? undefined : rates.links[edge.link];
  if (counted === undefined) return [0, 0];
  const [received, sent] = counted;
  return edge.kind === 'uplink' ? [received, sent] : [sent, received];
}

/** 0 at rest, to 5 from 10 MB/s. */
const widthOf = (rate: number): number =>
  rate <= 0 ? 0 : Math.max(1, Math.min(5, Math.ceil(Math.log10(rate) - 2)));

/** In an overview a container is a square, darker where more passes. */
function heat(element: HTMLElement, down: number, up: number): void {
  const share = `${20 + 16 * widthOf(down + up)}%`;
  if (element.style.getPropertyValue('--heat') !== share) element.style.setProperty('--heat', share);
  const title = `${element.getAttribute('aria-label')}: ↓ ${rate(down)} ↑ ${rate(up)}`;
  if (element.title !== title) element.title = title;
}

const sizes = ({ x, y, w, h }: Box): Readonly<Record<string, string>> => ({
  x: String(x),
  y: String(y),
  width: String(w),
  height: String(h),
});

function prune(all: Map<string, Element>, seen: ReadonlySet<string>): void {
  for (const [id, element] of all) {
    if (seen.has(id)) continue;
    element.remove();
    all.delete(id);
  }
}

const RADIUS = 7;

/** A path through the points whose corners are round. */
export function rounded(points: readonly Point[]): string {
  const parts: string[] = [];
  for (const [i, [x, y]] of points.entries()) {
    const before = points[i - 1];
    const after = points[i + 1];
    if (before === undefined) parts.push(`M${x} ${y}`);
    else if (after === undefined) parts.push(`L${x} ${y}`);
    else {
      const enter = towards([x, y], before);
      const leave = towards([x, y], after);
      parts.push(`L${enter[0]} ${enter[1]}Q${x} ${y} ${leave[0]} ${leave[1]}`);
    }
  }
  return parts.join('');
}

function towards([x, y]: Point, [toX, toY]: Point): Point {
  const length = Math.hypot(toX - x, toY - y);
  const part = length === 0 ? 0 : Math.min(RADIUS, length / 2) / length;
  return [Math.round((x + (toX - x) * part) * 10) / 10, Math.round((y + (toY - y) * part) * 10) / 10];
}
