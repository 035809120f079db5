import { h } from './elements.ts';
import { isUp, type Model } from './model.ts';
import type { SceneNode } from './scene.ts';
import { bare, plural, portLabel } from './words.ts';

/** What the keyboard and the mouse reach. */
export const isChoice = ({ kind }: SceneNode): boolean => kind !== 'section' && kind !== 'peer';

/** The content of a node; it is made anew only when this text is another. */
export function signature(node: SceneNode, model: Model): string {
  const { x: _x, y: _y, w: _w, h: _h, ...rest } = node;
  const extra = extraOf(node, model);
  return (
    JSON.stringify(rest.kind === 'network' ? { ...rest, panel: undefined } : rest) + JSON.stringify(extra)
  );
}

function extraOf(node: SceneNode, model: Model): unknown {
  if (node.kind === 'host') return sourceWords(model);
  return node.kind === 'place' ? model.portsOf.get(node.place.container.id) : undefined;
}

export function makeNode(node: SceneNode, model: Model): HTMLElement {
  const element = isChoice(node) ? h('button', '') : h('div', '');
  if (element instanceof HTMLButtonElement) {
    element.type = 'button';
    element.tabIndex = -1;
  }
  element.dataset.id = node.id;
  const { classes, label, children } = contentOf(node, model);
  element.className = `node ${classes}`;
  if (label !== '') element.setAttribute('aria-label', label);
  element.append(...children);
  return element;
}

interface Content {
  readonly classes: string;
  readonly label: string;
  readonly children: readonly Node[];
}

function contentOf(node: SceneNode, model: Model): Content {
  switch (node.kind) {
    case 'outside':
      return {
        classes: 'outside',
        label: 'Outside',
        children: [h('span', 'name', 'outside'), h('span', 'rate')],
      };
    case 'host':
      return hostContent(node, model);
    case 'port': {
      const label = portLabel(node.port);
      const pieces = [h('span', 'mono', label), h('span', 'arrow', '→'), h('span', 'name', node.to)];
      return { classes: 'port', label: `Port ${label} leads to ${node.to}`, children: pieces };
    }
    case 'more-ports': {
      const text = node.count === 0 ? 'fewer' : `${node.count} more`;
      return { classes: 'port more', label: `${text} ports`, children: [h('span', '', text)] };
    }
    case 'section':
      return {
        classes: 'section',
        label: '',
        children: [h('h2', '', node.title), h('span', 'quiet', node.text)],
      };
    case 'network':
      return networkContent(node);
    case 'peer':
      return {
        classes: `peer${node.host.alive ? '' : ' away'}`,
        label: '',
        children: [
          h('span', 'name', node.host.name),
          h('span', 'mono quiet', node.host.address ?? ''),
          h('span', 'quiet', node.host.alive ? '' : 'away'),
          h('span', 'rate'),
        ],
      };
    case 'place':
      return placeContent(node, model);
  }
}

function hostContent(
  { host, others, published }: Extract<SceneNode, { kind: 'host' }>,
  model: Model,
): Content {
  const [uplink] = host?.uplinks ?? [];
  const cluster = others.map((other) => h('span', `tag${other.alive ? '' : ' away'}`, other.name));
  const title = h('span', 'title', h('span', 'name', host?.name ?? 'host'), h('span', 'quiet', 'this host'));
  title.append(...cluster);
  const words = sourceWords(model);
  return {
    classes: 'host',
    label: `Host ${host?.name ?? ''}`,
    children: [
      title,
      h(
        'span',
        'uplink',
        h('span', 'mono', uplink?.ifName ?? 'no default route'),
        h('span', 'mono quiet', uplink?.addresses[0] ?? ''),
      ),
      ...(published ? [h('span', 'nat dnat-mark', h('b', '', 'DNAT'))] : []),
      ...(words === '' ? [] : [h('span', 'nat snat-mark', h('b', '', '▲ SNAT'), h('span', 'quiet', words))]),
    ],
  };
}

/** `front, edge leave as the host; ops as 192.0.2.9`. */
function sourceWords(model: Model): string {
  const used = new Set(model.topology.endpoints.map(({ network }) => network));
  const byTarget = new Map<string, Set<string>>();
  for (const { id, name, families } of model.topology.networks) {
    if (!used.has(id)) continue;
    for (const { egress, to } of families) {
      if (egress === 'none') continue;
      const target = egress === 'snat' ? (to ?? '') : 'the host';
      byTarget.set(target, (byTarget.get(target) ?? new Set()).add(name));
    }
  }
  return [...byTarget].map(([target, names]) => `${[...names].join(', ')} leave as ${target}`).join('; ');
}

function networkContent({ title, network, count, detail }: Extract<SceneNode, { kind: 'network' }>): Content {
  if (network === undefined) {
    const line = h('span', 'line', h('span', 'name', title));
    return {
      classes: 'network aside',
      label: title,
      children: [line, h('span', 'line quiet', plural(count, 'container'))],
    };
  }
  const [first] = network.families;
  const tags: Node[] = [];
  if (network.driver !== 'bridge') tags.push(h('span', 'tag', network.driver));
  if (network.internal) tags.push(h('span', 'tag strong', 'internal'));
  if (!network.icc) tags.push(h('span', 'tag strong', 'icc off'));
  for (const { gatewayMode } of network.families) {
    if (gatewayMode !== 'nat' && !(network.internal && gatewayMode === 'isolated'))
      tags.push(h('span', 'tag', gatewayMode));
  }
  if (network.tunnel !== undefined) tags.push(h('span', 'tag tunnel-mark', `VNI ${network.tunnel.vni}`));
  const egress = network.families.find((family) => family.egress !== 'none');
  const snat =
    egress === undefined
      ? undefined
      : h('span', 'snat', egress.egress === 'snat' ? `▲ SNAT ${egress.to}` : '▲ SNAT masquerade');
  return {
    classes: `network ${network.driver}`,
    label: `Network ${title}, ${network.driver}, ${plural(count, 'container')}${network.internal ? ', internal' : ''}`,
    children: [
      h('span', 'line', h('span', 'name', title), ...tags, h('span', 'fill'), h('span', 'rate')),
      h(
        'span',
        'line second',
        h('span', 'mono device', network.device),
        h('span', 'mono quiet', first?.subnet ?? ''),
        snat,
        h('span', 'fill'),
        h('span', 'quiet', detail === 'tiny' ? plural(count, 'container') : ''),
      ),
    ],
  };
}

function placeContent({ place, detail }: Extract<SceneNode, { kind: 'place' }>, model: Model): Content {
  const { container, endpoint } = place;
  const address = bare(endpoint?.addresses[0] ?? '');
  const ports = model.portsOf.get(container.id) ?? [];
  const legs = model.endpointsOf.get(container.id)?.length ?? 0;
  const published = ports.filter((port) => port.endpoint === endpoint?.id);
  const state = container.state === 'running' ? '' : container.state;
  const label = [container.name, address, state || 'running', legs > 1 ? `on ${legs} networks` : '']
    .filter(Boolean)
    .join(', ');
  const classes = `place ${detail} ${isUp(container) ? 'up' : 'down'} ${container.state}${legs > 1 ? ' many' : ''}${published.length > 0 ? ' published' : ''}`;
  if (detail === 'tiny') return { classes, label, children: [h('span', 'body')] };
  const name = h('span', 'name', container.name);
  name.title = container.name;
  const mark = legs > 1 ? h('span', 'legs-mark', '⋔') : undefined;
  if (mark !== undefined) mark.title = `on ${legs} networks`;
  if (detail === 'small') {
    return { classes, label, children: [h('span', 'body', name, mark, h('span', 'rate'))] };
  }
  const where = address === '' ? state || sharedWords(container.of) : address;
  return {
    classes,
    label,
    children: [
      h('span', 'wire', h('span', 'mono veth', endpoint?.hostIfName ?? ''), h('span', 'rate')),
      h(
        'span',
        'body',
        h(
          'span',
          'line',
          name,
          h('span', 'fill'),
          published[0] !== undefined ? h('span', 'dnat-mark mono', portLabel(published[0])) : undefined,
        ),
        h(
          'span',
          'line',
          h(
            'span',
            'mono quiet',
            endpoint?.ifName === undefined ? undefined : h('span', 'iface', `${endpoint.ifName} `),
            where,
          ),
          h('span', 'fill'),
          mark,
        ),
      ),
    ],
  };
}

const sharedWords = (of: string | undefined): string => (of === undefined ? '' : `of ${of.slice(0, 12)}`);
