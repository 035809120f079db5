import type { Topology } from '../src/model/topology.ts';
import type { DaemonState, DropEvent, Rates } from '../src/ui/messages.ts';
import { Details } from './details.ts';
import { Drops } from './drops.ts';
import { byId, setText } from './elements.ts';
import { askedAs, endName, targetOf } from './ends.ts';
import { FlowLayer } from './flow.ts';
import { Focus } from './focus.ts';
import { DIRECTIONS, neighbour } from './keys.ts';
import { LARGE_UP_TO, layOut } from './layout.ts';
import { listen } from './live.ts';
import { emptyNetworks, type Model, modelOf, sectionsOf } from './model.ts';
import { Picture } from './picture.ts';
import { Question } from './question.ts';
import type { SceneNode } from './scene.ts';
import { Tools } from './tools.ts';
import { drawWay, wayOf } from './ways.ts';

const root = byId('picture', HTMLElement);
const picture = new Picture(root, byId('nodes', HTMLElement), byId('edges', SVGSVGElement));
const flow = new FlowLayer(byId('flow', HTMLCanvasElement), root);
const way = byId('way', SVGSVGElement);
const details = new Details(byId('details', HTMLElement));
const search = byId('search', HTMLInputElement);
const notice = byId('empty', HTMLElement);
const help = byId('help', HTMLDialogElement);
const drops = new Drops(byId('drops', HTMLElement), byId('drop-count', HTMLElement), (from, to) =>
  question.ask(from, to),
);
const question = new Question(draw, crowded);
const tools = new Tools(draw);
const focus = new Focus(picture);

const narrow = matchMedia('(max-width: 1000px)');
let model: Model | undefined;
let rates: Rates = { time: 0, links: {}, ports: {} };
let daemon: DaemonState = { state: 'connecting', watch: false };
let lost = false;
let allPorts = false;
const toggled = new Set<string>();
let chosen: string | undefined;
/** The container under the mouse: its other places are shown. */
let pointed: string | undefined;

function draw(): void {
  if (model === undefined) return;
  const sections = sectionsOf(model, search.value, question.only);
  const before = nodeOf(chosen);
  const open = before?.kind === 'place' ? { chosen: before.place.container.id } : {};
  const { detail } = tools;
  const scene = layOut(model, sections, { width: root.clientWidth, detail, toggled, allPorts, ...open });
  picture.draw(scene, model);
  flow.setScene(scene);
  flow.setRates(scene.edges, rates);
  picture.showRates(rates, Date.now());
  showWay();
  marks();
  focus.keep(scene.nodes);
  details.show(nodeOf(chosen), model);
  details.showRates(rates);
  tell(sections.length === 0);
}

const nodeOf = (id: string | undefined): SceneNode | undefined =>
  picture.scene.nodes.find((node) => node.id === id);

function tell(nothing: boolean): void {
  if (model === undefined) return;
  const empty = emptyNetworks(model).map(({ name }) => name);
  const all = search.value === '' && question.only === undefined;
  setText(
    byId('without', HTMLElement),
    all && empty.length > 0 ? `Without containers: ${empty.join(', ')}` : '',
  );
  notice.hidden = !nothing;
  const sought = search.value.trim();
  setText(
    notice,
    sought !== ''
      ? `Nothing here is like “${sought}”.`
      : 'No container is on a network yet. docker run -d --name web -p 8080:80 httpd brings the first one here.',
  );
}

/** The first one chosen is A; the next one is B, and the question is asked. */
function choose(id: string): void {
  const node = nodeOf(id);
  if (node === undefined || model === undefined) return;
  if (node.kind === 'more-ports') {
    allPorts = !allPorts;
    draw();
    return;
  }
  const end = askedAs(node);
  const before = askedAs(nodeOf(chosen));
  if (chosen === id) {
    clear();
    return;
  }
  chosen = id;
  if (end !== undefined && before !== undefined && before !== end && question.answered === undefined) {
    question.ask(before, targetOf(model, node, end));
  } else if (end !== undefined) question.begin(end);
  draw();
  document.body.classList.add('asking');
  // There the answer covers the lower half.
  const top = picture.element(id)?.getBoundingClientRect().top ?? 0;
  if (narrow.matches) window.scrollBy({ top: top - window.innerHeight * 0.22 });
}

function clear(): void {
  document.body.classList.remove('asking');
  chosen = undefined;
  question.clear();
  draw();
}

/** Whether all that there is would hide the way between these. */
function crowded(names: ReadonlySet<string>): boolean {
  if (model === undefined || model.topology.endpoints.length <= LARGE_UP_TO) return false;
  return model.topology.containers.some(({ name }) => names.has(name));
}

function showWay(): void {
  const { answered } = question;
  const drawn =
    answered === undefined || model === undefined
      ? undefined
      : wayOf(picture.scene, model, answered.from, answered.to);
  drawWay(way, drawn, answered?.answer);
  root.classList.toggle('has-way', drawn !== undefined);
}

function marks(): void {
  const found = new Map<string, string>();
  const add = (id: string, name: string): void => {
    found.set(id, found.has(id) ? `${found.get(id)} ${name}` : name);
  };
  const dropped = drops.marked(Date.now());
  const current = nodeOf(chosen);
  const { answered } = question;
  const ends = answered === undefined ? [] : [endName(answered.from), endName(answered.to)];
  for (const node of picture.scene.nodes) {
    if (node.id === chosen) add(node.id, 'chosen');
    const name = askedAs(node);
    if (name !== undefined && node.kind === 'place') {
      if (name === pointed || (name === askedAs(current) && node.id !== chosen)) add(node.id, 'same');
      if (name === ends[0]) add(node.id, 'end-a');
      else if (name === ends[1]) add(node.id, 'end-b');
      if (dropped.has(name)) add(node.id, 'dropped');
    }
  }
  picture.mark(found);
}

const idOf = (target: EventTarget | null): string | undefined =>
  target instanceof Element ? target.closest<HTMLElement>('.node')?.dataset.id : undefined;

function collapse(id: string | undefined): void {
  const node = nodeOf(id);
  const group = node?.kind === 'place' ? node.group : node?.kind === 'network' ? node.id : undefined;
  if (group === undefined) return;
  if (!toggled.delete(group)) toggled.add(group);
  draw();
  focus.move(group);
}

root.addEventListener('click', (event) => {
  const id = idOf(event.target);
  if (id === undefined) return;
  const node = nodeOf(id);
  focus.move(id);
  if (node?.kind === 'network' && chosen === id) collapse(id);
  else choose(id);
});

root.addEventListener('pointerover', (event) => {
  const node = nodeOf(idOf(event.target));
  const name = node?.kind === 'place' || node?.kind === 'port' ? askedAs(node) : undefined;
  if (name === pointed) return;
  pointed = name;
  marks();
});

root.addEventListener('keydown', (event) => {
  const direction = DIRECTIONS[event.key];
  const id = idOf(event.target);
  if (direction === undefined || id === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  const next = neighbour(picture.scene, id, direction);
  if (next !== undefined) focus.move(next.id);
});

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || help.open) return;
  const typing = event.target instanceof HTMLInputElement;
  if (event.key === 'Escape') {
    if (event.target === search || search.value !== '') {
      search.value = '';
      search.blur();
      draw();
    }
    clear();
    return;
  }
  if (typing) return;
  const keys: Readonly<Record<string, () => void>> = {
    '/': () => search.focus(),
    '?': () => help.showModal(),
    d: () => tools.nextDetail(),
    t: () => tools.nextTheme(),
    c: () => collapse(idOf(event.target) ?? chosen),
  };
  const act = keys[event.key];
  if (act === undefined) return;
  event.preventDefault();
  act();
});

function showState(): void {
  const state = byId('state', HTMLElement);
  const name = lost ? 'away' : daemon.state;
  state.className = name;
  const words = lost
    ? '`gangway ui` has ended, or this session has: run it again and open its link.'
    : { up: 'live', connecting: 'connecting…', away: daemon.reason ?? 'the daemon is away' }[daemon.state];
  setText(state, words);
  root.classList.toggle('stale', name !== 'up');
  if (model === undefined) {
    notice.hidden = false;
    setText(notice, name === 'away' ? words : 'Looking at the network…');
  }
}

byId('close', HTMLElement).addEventListener('click', () => document.body.classList.remove('asking'));
byId('help-button', HTMLElement).addEventListener('click', () => help.showModal());
search.addEventListener('input', draw);
let drawnWidth = 0;
new ResizeObserver(() => {
  // Its height is what drawing makes of it.
  if (root.clientWidth === drawnWidth) return;
  drawnWidth = root.clientWidth;
  draw();
}).observe(root);

listen(
  {
    topology: (topology: Topology) => {
      model = modelOf(topology);
      setText(byId('hostname', HTMLElement), model.own?.name ?? '');
      question.offer(['outside', 'internet', 'host', ...topology.containers.map(({ name }) => name)]);
      draw();
    },
    rates: (news: Rates) => {
      rates = news;
      picture.showRates(rates, Date.now());
      flow.setRates(picture.scene.edges, rates);
      details.showRates(rates);
      marks();
    },
    drops: (events: readonly DropEvent[]) => {
      drops.add(events);
      marks();
    },
    daemon: (news: DaemonState) => {
      daemon = news;
      drops.setWatched(news.watch);
      showState();
    },
  },
  (gone) => {
    lost = gone;
    showState();
  },
);
showState();
Object.assign(window, { flow });
