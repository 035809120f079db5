import { isChoice } from './node-view.ts';
import type { Scene, SceneNode } from './scene.ts';

export type Direction = 'left' | 'right' | 'up' | 'down';

export const DIRECTIONS: Readonly<Record<string, Direction>> = {
  ArrowLeft: 'left',
  ArrowRight: 'right',
  ArrowUp: 'up',
  ArrowDown: 'down',
};

/** The next one in that direction: near, and rather straight ahead than aside. */
export function neighbour(scene: Scene, from: string, direction: Direction): SceneNode | undefined {
  const start = scene.nodes.find(({ id }) => id === from);
  if (start === undefined) return scene.nodes.find(isChoice);
  const [x, y] = middle(start);
  let best: SceneNode | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const node of scene.nodes) {
    if (node === start || !isChoice(node)) continue;
    const [toX, toY] = middle(node);
    const [dx, dy] = [toX - x, toY - y];
    const ahead = { left: -dx, right: dx, up: -dy, down: dy }[direction];
    const aside = direction === 'left' || direction === 'right' ? Math.abs(dy) : Math.abs(dx);
    if (ahead <= 4) continue;
    // What is wide is not far aside from what is above or below it.
    const covered = (direction === 'up' || direction === 'down') && node.x <= x && x <= node.x + node.w;
    const distance = ahead + (covered ? 0 : aside * 2.2);
    if (distance < least) {
      least = distance;
      best = node;
    }
  }
  return best;
}

const middle = ({ x, y, w, h }: SceneNode): readonly [number, number] => [x + w / 2, y + h / 2];
