import type {
  Topology,
  TopologyContainer,
  TopologyEndpoint,
  TopologyHost,
  TopologyNetwork,
  TopologyPort,
} from '../src/model/topology.ts';

/** A topology with what is asked of it again and again. */
export interface Model {
  readonly topology: Topology;
  readonly own: TopologyHost | undefined;
  readonly containers: ReadonlyMap<string, TopologyContainer>;
  readonly networks: ReadonlyMap<string, TopologyNetwork>;
  readonly hosts: ReadonlyMap<string, TopologyHost>;
  readonly endpointsOf: ReadonlyMap<string, readonly TopologyEndpoint[]>;
  readonly portsOf: ReadonlyMap<string, readonly TopologyPort[]>;
}

export function modelOf(topology: Topology): Model {
  const index = <T extends { readonly id: string }>(all: readonly T[]): ReadonlyMap<string, T> =>
    new Map(all.map((each) => [each.id, each]));
  return {
    topology,
    own: topology.hosts.find((host) => host.own),
    containers: index(topology.containers),
    networks: index(topology.networks),
    hosts: index(topology.hosts),
    endpointsOf: Map.groupBy(topology.endpoints, ({ container }) => container),
    portsOf: Map.groupBy(topology.ports, ({ container }) => container),
  };
}

export const isUp = ({ state }: TopologyContainer): boolean => state === 'running' || state === 'paused';

/** A container's place in the picture: on one network, or beside all of them. */
export interface Place {
  /** The endpoint's id, or made from the container's where there is no endpoint. */
  readonly id: string;
  readonly container: TopologyContainer;
  readonly endpoint?: TopologyEndpoint;
}

export interface Group {
  /** The network's id, or `mode:host` and the like. */
  readonly id: string;
  readonly network?: TopologyNetwork;
  readonly title: string;
  readonly places: readonly Place[];
}

export interface Section {
  /** A compose project; empty for what belongs to none. */
  readonly project: string;
  readonly groups: readonly Group[];
}

const ASIDE: Readonly<Record<string, string>> = {
  host: "On the host's own network",
  shared: "With another container's network",
  none: 'Without a network',
};

/**
 * What is drawn, in its order: projects by name, their networks, the containers on each.
 * @param query filters @param only names of containers, where no others are to be drawn
 */
export function sectionsOf(model: Model, query: string, only?: ReadonlySet<string>): readonly Section[] {
  const matches = matcher(model, query);
  const wanted: typeof matches = (container, ...more) =>
    (only === undefined || only.has(container.name)) && matches(container, ...more);
  const groups = model.topology.networks.map((network) => groupOf(model, network, wanted));
  const aside = Object.entries(ASIDE).map(([mode, title]): Group => {
    const containers = model.topology.containers.filter((each) => each.mode === mode && wanted(each));
    return { id: `mode:${mode}`, title, places: byName(containers.map(alone(mode))) };
  });
  const filled = [...groups, ...aside].filter(({ places }) => places.length > 0);
  const projects = Map.groupBy(filled, ({ network, places }) => network?.project ?? projectOf(places));
  return [...projects]
    .map(([project, of]) => ({ project, groups: of.toSorted(order(model)) }))
    .sort(
      (a, b) => Number(a.project === '') - Number(b.project === '') || a.project.localeCompare(b.project),
    );
}

/** Networks nobody is on. */
export function emptyNetworks(model: Model): readonly TopologyNetwork[] {
  const used = new Set(model.topology.endpoints.map(({ network }) => network));
  const wanted = new Set(model.topology.containers.flatMap(({ networks }) => networks));
  return model.topology.networks.filter(({ id, name }) => !used.has(id) && !wanted.has(name));
}

function groupOf(
  model: Model,
  network: TopologyNetwork,
  wanted: (container: TopologyContainer, network?: TopologyNetwork, endpoint?: TopologyEndpoint) => boolean,
): Group {
  const places: Place[] = [];
  const on = new Set<string>();
  for (const endpoint of model.topology.endpoints) {
    if (endpoint.network !== network.id) continue;
    on.add(endpoint.container);
    const container = model.containers.get(endpoint.container);
    if (container === undefined || !wanted(container, network, endpoint)) continue;
    places.push({ id: endpoint.id, container, endpoint });
  }
  for (const container of model.topology.containers) {
    if (container.mode !== 'own' || on.has(container.id) || !container.networks.includes(network.name))
      continue;
    if (wanted(container, network)) places.push(alone(network.id)(container));
  }
  return { id: network.id, network, title: network.name, places: byName(places) };
}

const alone =
  (where: string) =>
  (container: TopologyContainer): Place => ({ id: `${where}/${container.id}`, container });

/** Up before down, this host before others, then names with their numbers as numbers. */
function byName(places: readonly Place[]): readonly Place[] {
  const collator = new Intl.Collator('en', { numeric: true });
  const far = ({ endpoint, container }: Place): string =>
    endpoint !== undefined && endpoint.hostIfName === undefined && container.image === ''
      ? container.host
      : '';
  return places.toSorted(
    (a, b) =>
      Number(!isUp(a.container)) - Number(!isUp(b.container)) ||
      far(a).localeCompare(far(b)) ||
      collator.compare(a.container.name, b.container.name),
  );
}

function projectOf(places: readonly Place[]): string {
  const projects = new Set(places.map(({ container }) => container.project ?? ''));
  return projects.size === 1 ? ([...projects][0] ?? '') : '';
}

/** What is published is near the host, what has no way out far from it; then large ones, for even columns. */
function order(model: Model): (a: Group, b: Group) => number {
  const published = new Set(model.topology.ports.map(({ endpoint }) => endpoint));
  const rank = ({ network, places }: Group): number => {
    if (network === undefined) return 3;
    if (network.internal) return 2;
    return places.some(({ id }) => published.has(id)) ? 0 : 1;
  };
  return (a, b) => rank(a) - rank(b) || b.places.length - a.places.length || a.title.localeCompare(b.title);
}

/** Every word of the query has to be in something that is known of the container. */
function matcher(
  model: Model,
  query: string,
): (container: TopologyContainer, network?: TopologyNetwork, endpoint?: TopologyEndpoint) => boolean {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return () => true;
  return (container, network, endpoint) => {
    const ports = (model.portsOf.get(container.id) ?? []).map(({ first, last }) => `:${first} :${last}`);
    const text = [
      container.name,
      container.image,
      container.state,
      container.project,
      container.service,
      model.hosts.get(container.host)?.name,
      network?.name,
      network?.device,
      endpoint?.hostIfName,
      ...(endpoint?.addresses ?? []),
      ...ports,
    ]
      .join(' ')
      .toLowerCase();
    return words.every((word) => text.includes(word));
  };
}
