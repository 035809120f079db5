import type { Model } from './model.ts';
import type { SceneNode } from './scene.ts';

/** What a node is called as the end of a question; undefined for one that is none. */
export function askedAs(node: SceneNode | undefined): string | undefined {
  switch (node?.kind) {
    case 'place':
      return node.place.container.name;
    case 'outside':
      return 'outside';
    case 'host':
      return 'host';
    case 'port':
      return node.to;
    default:
      return undefined;
  }
}

/** With the port that is most likely meant: a published one, else one that the image names. */
export function targetOf(model: Model, node: SceneNode, end: string): string {
  if (node.kind === 'outside') return 'internet';
  const container = model.topology.containers.find(({ name }) => name === end);
  if (container === undefined) return end;
  const [published] = model.portsOf.get(container.id) ?? [];
  const [exposed] = container.exposed;
  const port = published === undefined ? exposed : `${published.containerPort}/${published.protocol}`;
  return port === undefined ? end : `${end}:${port.replace(/\/tcp$/, '')}`;
}

/** One end of a question: `web`, `web:80`, `db:53/udp`, `outside`. */
export function endName(text: string): string {
  if (/^\[.*\]/.test(text)) return text.slice(1, text.indexOf(']'));
  return /^[^:]*:\d+(\/\w+)?$/.test(text) ? text.slice(0, text.indexOf(':')) : text;
}
