import type { Rates } from '../src/ui/messages.ts';
import { flowOf } from './picture.ts';
import type { Point, Scene, SceneEdge } from './scene.ts';

interface Flow {
  readonly points: readonly Point[];
  /** Of each piece, and from the beginning to it. */
  readonly lengths: readonly number[];
  readonly total: number;
  readonly top: number;
  readonly bottom: number;
  /** Pixels a second; 0 when nothing flows that way. */
  down: number;
  up: number;
}

const SPACING = 44;
const DOT = 4;

/**
 * Dots that run along busy edges. A canvas as large as the window, drawn anew each frame with what is in sight; nothing
 * of the document changes for it, and where nothing flows nothing is drawn.
 */
export class FlowLayer {
  readonly #canvas: HTMLCanvasElement;
  readonly #picture: HTMLElement;
  readonly #still = matchMedia('(prefers-reduced-motion: reduce)');
  readonly #flows = new Map<string, Flow>();
  #busy: readonly Flow[] = [];
  #colours: readonly [down: string, up: string] = ['', ''];
  #frame = 0;
  #size = '';
  /** Frames drawn, for who measures. */
  frames = 0;

  constructor(canvas: HTMLCanvasElement, picture: HTMLElement) {
    this.#canvas = canvas;
    this.#picture = picture;
    document.addEventListener('visibilitychange', () => this.#run());
    this.#still.addEventListener('change', () => this.#run());
  }

  setScene(scene: Scene): void {
    this.#flows.clear();
    for (const edge of scene.edges)
      if (edge.link !== undefined && edge.calm !== true) this.#flows.set(edge.id, measure(edge.points));
    const style = getComputedStyle(this.#picture);
    this.#colours = [
      style.getPropertyValue('--flow-down').trim(),
      style.getPropertyValue('--flow-up').trim(),
    ];
  }

  setRates(edges: readonly SceneEdge[], rates: Rates): void {
    const busy: Flow[] = [];
    for (const edge of edges) {
      const flow = this.#flows.get(edge.id);
      if (flow === undefined) continue;
      const [down, up] = flowOf(edge, rates);
      flow.down = speed(down);
      flow.up = speed(up);
      if (flow.down + flow.up > 0) busy.push(flow);
    }
    this.#busy = busy;
    this.#run();
  }

  #run(): void {
    const wanted = this.#busy.length > 0 && !document.hidden && !this.#still.matches;
    if (!wanted) {
      cancelAnimationFrame(this.#frame);
      this.#frame = 0;
      this.#canvas.getContext('2d')?.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
    } else if (this.#frame === 0) this.#frame = requestAnimationFrame((time) => this.#draw(time));
  }

  #draw(time: number): void {
    this.#frame = requestAnimationFrame((next) => this.#draw(next));
    this.frames++;
    const { left, top, width } = this.#picture.getBoundingClientRect();
    const height = window.innerHeight;
    const size = `${width} ${height}`;
    if (size !== this.#size) {
      this.#size = size;
      this.#canvas.width = Math.round(width);
      this.#canvas.height = height;
    }
    this.#canvas.style.left = `${left}px`;
    const context = this.#canvas.getContext('2d');
    if (context === null) return;
    context.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
    const seen = this.#busy.filter((flow) => flow.bottom + top > 0 && flow.top + top < height);
    for (const way of ['down', 'up'] as const) {
      context.fillStyle = this.#colours[way === 'down' ? 0 : 1];
      for (const flow of seen) {
        if (flow[way] === 0) continue;
        // The two ways keep out of step.
        const run = ((time / 1000) * flow[way] + (way === 'up' ? SPACING / 2 : 0)) % SPACING;
        for (let at = run; at < flow.total; at += SPACING) {
          const [x, y] = pointAt(flow, way === 'down' ? at : flow.total - at);
          context.fillRect(x - DOT / 2, y + top - DOT / 2, DOT, DOT);
        }
      }
    }
  }
}

/** 24 to 140 pixels a second, from 1 B/s to 100 MB/s. */
const speed = (rate: number): number => (rate <= 0 ? 0 : Math.min(140, 24 + 14.5 * Math.log10(rate)));

function measure(points: readonly Point[]): Flow {
  const lengths: number[] = [0];
  for (let i = 1; i < points.length; i++) {
    const [x, y] = points[i] ?? [0, 0];
    const [fromX, fromY] = points[i - 1] ?? [0, 0];
    lengths.push((lengths[i - 1] ?? 0) + Math.hypot(x - fromX, y - fromY));
  }
  const ys = points.map(([, y]) => y);
  return {
    points,
    lengths,
    total: lengths.at(-1) ?? 0,
    top: Math.min(...ys),
    bottom: Math.max(...ys),
    down: 0,
    up: 0,
  };
}

function pointAt({ points, lengths }: Flow, at: number): Point {
  let i = 1;
  while (i < points.length - 1 && (lengths[i] ?? 0) < at) i++;
  const [fromX, fromY] = points[i - 1] ?? [0, 0];
  const [x, y] = points[i] ?? [0, 0];
  const start = lengths[i - 1] ?? 0;
  const length = (lengths[i] ?? 0) - start;
  const part = length === 0 ? 0 : (at - start) / length;
  return [fromX + (x - fromX) * part, fromY + (y - fromY) * part];
}
