import type { TopologyContainer, TopologyNetwork } from '../src/model/topology.ts';
import type { HistoryAnswer, Rates } from '../src/ui/messages.ts';
import { chart } from './chart.ts';
import { h, setText } from './elements.ts';
import { ask } from './live.ts';
import type { Model } from './model.ts';
import type { SceneNode } from './scene.ts';
import { bare, plural, portLabel, rate } from './words.ts';

const HISTORY_EVERY_MS = 5000;
/** What fits into a request. */
const MOST_LINKS = 500;

interface Subject {
  readonly key: string;
  readonly links: readonly string[];
  readonly names: readonly [received: string, sent: string];
  readonly content: readonly Node[];
}

/** What is known of the chosen one, and its last hour; the host's when nothing is chosen. */
export class Details {
  readonly #root: HTMLElement;
  #subject: Subject | undefined;
  #history: HTMLElement = h('div', '');
  #timer = 0;

  constructor(root: HTMLElement) {
    this.#root = root;
    this.#timer = window.setInterval(() => void this.#refresh(), HISTORY_EVERY_MS);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  show(node: SceneNode | undefined, model: Model): void {
    const subject = subjectOf(node, model);
    const same = this.#subject?.key === subject.key;
    this.#subject = subject;
    if (!same) this.#history = h('div', 'history-space');
    this.#root.replaceChildren(...subject.content, this.#history);
    if (!same) void this.#refresh();
  }

  showRates(rates: Rates): void {
    for (const cell of this.#root.querySelectorAll<HTMLElement>('[data-link]')) {
      const [received, sent] = rates.links[cell.dataset.link ?? ''] ?? [0, 0];
      const [down, up] = cell.dataset.outer === undefined ? [sent, received] : [received, sent];
      setText(cell, `↓ ${rate(down)}  ↑ ${rate(up)}`);
    }
    for (const cell of this.#root.querySelectorAll<HTMLElement>('[data-port]')) {
      const count = rates.ports[cell.dataset.port ?? ''];
      if (count !== undefined) setText(cell, plural(count, 'connection'));
    }
  }

  async #refresh(): Promise<void> {
    const subject = this.#subject;
    if (subject === undefined || subject.links.length === 0 || document.hidden) return;
    const query = subject.links.slice(0, MOST_LINKS).map((link) => `link=${encodeURIComponent(link)}`);
    try {
      const history = await ask<HistoryAnswer>(`/history?${query.join('&')}`);
      if (this.#subject?.key === subject.key) this.#history.replaceChildren(chart(history, subject.names));
    } catch {
      // The next one may come.
    }
  }
}

function subjectOf(node: SceneNode | undefined, model: Model): Subject {
  switch (node?.kind) {
    case 'place':
      return containerSubject(node.place.container, model);
    case 'network':
      return node.network === undefined ? hostSubject(model) : networkSubject(node.network, model);
    case 'port': {
      const container = model.containers.get(node.port.container);
      return container === undefined ? hostSubject(model) : containerSubject(container, model);
    }
    default:
      return hostSubject(model);
  }
}

function containerSubject(container: TopologyContainer, model: Model): Subject {
  const endpoints = model.endpointsOf.get(container.id) ?? [];
  const ports = model.portsOf.get(container.id) ?? [];
  const facts = rows([
    ['State', container.state],
    ['Image', container.image],
    ['Project', [container.project, container.service].filter(Boolean).join(' / ')],
    [
      'Host',
      model.hosts.get(container.host)?.own === false ? (model.hosts.get(container.host)?.name ?? '') : '',
    ],
    [
      'Network',
      { own: '', host: "the host's own", none: 'none', shared: `of ${container.of}` }[container.mode],
    ],
  ]);
  const legs = endpoints.map((endpoint) => {
    const network = model.networks.get(endpoint.network);
    const pair = [endpoint.hostIfName, endpoint.ifName].filter(Boolean).join(' ⇄ ');
    const flow = h('span', 'flow');
    if (endpoint.hostIfName !== undefined) flow.dataset.link = endpoint.hostIfName;
    return h(
      'li',
      '',
      h('strong', '', network?.name ?? ''),
      endpoint.gateway ? h('span', 'tag', 'way out') : undefined,
      h('div', 'mono', endpoint.addresses.map(bare).join(' ')),
      h('div', 'mono quiet', pair, ' ', endpoint.mac),
      flow,
    );
  });
  const published = ports.map((port) => {
    const count = h('span', 'quiet');
    count.dataset.port = port.id;
    const last = port.containerPort + port.last - port.first;
    const inner = last === port.containerPort ? `${last}` : `${port.containerPort}-${last}`;
    return h(
      'li',
      '',
      h('span', 'mono dnat-mark', portLabel(port)),
      h('span', 'mono', ` → ${inner} `),
      count,
    );
  });
  return {
    key: `container:${container.id}`,
    links: endpoints.flatMap(({ hostIfName }) => hostIfName ?? []),
    names: ['from it', 'to it'],
    content: [
      h('h2', '', container.name),
      facts,
      ...(legs.length > 0 ? [h('ul', 'legs', ...legs)] : []),
      ...(published.length > 0 ? [h('h3', '', 'Published'), h('ul', 'ports', ...published)] : []),
    ],
  };
}

function networkSubject(network: TopologyNetwork, model: Model): Subject {
  const endpoints = model.topology.endpoints.filter((endpoint) => endpoint.network === network.id);
  const flow = h('span', 'flow');
  flow.dataset.link = network.device;
  const families = network.families.map(({ subnet, gateway, gatewayMode, egress, to }) =>
    h(
      'li',
      '',
      h('div', 'mono', subnet),
      h('div', 'quiet', `gateway ${gateway}, mode ${gatewayMode}`),
      egress === 'none'
        ? undefined
        : h(
            'div',
            'snat-mark',
            egress === 'snat' ? `▲ SNAT to ${to}` : '▲ SNAT to the address of the way out',
          ),
    ),
  );
  return {
    key: `network:${network.id}`,
    links: endpoints.flatMap(({ hostIfName }) => hostIfName ?? []),
    names: ['from its containers', 'to its containers'],
    content: [
      h('h2', '', network.name),
      rows([
        ['Driver', network.driver + (network.internal ? ', internal: no way out' : '')],
        ['Project', network.project ?? ''],
        ['Device', network.device],
        ['MTU', network.mtu === undefined ? '' : String(network.mtu)],
        ['Containers', String(new Set(endpoints.map(({ container }) => container)).size)],
        ['Among them', network.icc ? '' : 'they do not reach each other (icc=false)'],
        ['Tunnel', network.tunnel === undefined ? '' : `${network.tunnel.ifName}, VNI ${network.tunnel.vni}`],
      ]),
      h('ul', 'legs', ...families, h('li', '', h('div', 'quiet', 'By the gateway'), flow)),
    ],
  };
}

function hostSubject(model: Model): Subject {
  const { own, topology } = model;
  const uplinks = (own?.uplinks ?? []).map(({ ifName, addresses, gateways }) => {
    const flow = h('span', 'flow');
    flow.dataset.link = ifName;
    flow.dataset.outer = '';
    return h(
      'li',
      '',
      h('strong', 'mono', ifName),
      h('div', 'mono', addresses.join(' ')),
      gateways.length > 0 ? h('div', 'quiet', `by ${gateways.join(', ')}`) : undefined,
      flow,
    );
  });
  const running = topology.containers.filter(({ state }) => state === 'running').length;
  const others = topology.hosts.filter((host) => !host.own);
  return {
    key: 'host',
    links: (own?.uplinks ?? []).map(({ ifName }) => ifName),
    names: ['from outside', 'to outside'],
    content: [
      h('h2', '', own?.name ?? 'This host'),
      rows([
        ['Containers', `${topology.containers.length}, ${running} running`],
        ['Networks', String(topology.networks.length)],
        ['Published', plural(topology.ports.length, 'port')],
        ['Other hosts', others.map(({ name, alive }) => (alive ? name : `${name} (away)`)).join(', ')],
      ]),
      h('ul', 'legs', ...uplinks),
    ],
  };
}

function rows(all: readonly (readonly [name: string, value: string])[]): HTMLElement {
  const shown = all.filter(([, value]) => value !== '');
  return h(
    'dl',
    'facts',
    ...shown.map(([name, value]) => h('div', '', h('dt', '', name), h('dd', '', value))),
  );
}
