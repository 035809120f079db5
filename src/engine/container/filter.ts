import { invalid } from '../../model/errors.ts';
import type { Filters } from '../../model/filters.ts';
import { type Container, isRunning } from './container.ts';
import type { Containers } from './containers.ts';
import { settingsOf } from './inspect.ts';

export const CONTAINER_FILTERS = [
  'ancestor',
  'before',
  'exited',
  'expose',
  'health',
  'id',
  'isolation',
  'is-task',
  'label',
  'label!',
  'name',
  'network',
  'publish',
  'since',
  'status',
  'volume',
  'until',
] as const;
const STATUSES = ['created', 'running', 'paused', 'restarting', 'removing', 'exited', 'dead'];
const HEALTHS = ['none', 'starting', 'healthy', 'unhealthy'];

/**
 * The containers `docker ps` lists (moby daemon/list.go): running ones, or all when `all`, `limit`, or a filter by
 * status, exit code, name order asks for more. Newest first.
 * @throws EngineError INVALID_PARAMETER, NOT_FOUND for `before` and `since`
 */
export function filterContainers(
  containers: Containers,
  filters: Filters,
  options: {
    readonly all: boolean;
    readonly limit: number;
    readonly labels: (container: Container) => boolean;
  },
): readonly Container[] {
  const values = (key: string): readonly string[] => [...(filters.get(key) ?? [])];
  for (const status of values('status')) {
    if (!STATUSES.includes(status)) {
      throw invalid(
        `invalid filter 'status=${status}': invalid value for state (${status}): must be one of ${STATUSES.join(', ')}`,
      );
    }
  }
  for (const health of values('health')) {
    if (!HEALTHS.includes(health)) {
      throw invalid(
        `invalid filter 'health=${health}': invalid value for health (${health}): must be one of ${HEALTHS.join(', ')}`,
      );
    }
  }
  for (const code of values('exited'))
    if (!/^\d+$/.test(code)) {
      throw invalid(
        `invalid filter 'exited=${code}': strconv.Atoi: parsing ${JSON.stringify(code)}: invalid syntax`,
      );
    }
  const all =
    options.all ||
    options.limit > 0 ||
    ['status', 'exited', 'before', 'since'].some((key) => filters.has(key));
  const images = ancestors(containers, values('ancestor'));
  const created = (ref: string): number => Date.parse(containers.lookUp(ref).created);
  const before = values('before').map(created);
  const since = values('since').map(created);
  const matches = (container: Container): boolean => {
    const any = (key: string, test: (value: string) => boolean): boolean => {
      const wanted = values(key);
      return wanted.length === 0 || wanted.some(test);
    };
    const { state, config } = container;
    const time = Date.parse(container.created);
    return (
      (all || isRunning(container) || state.status === 'restarting') &&
      options.labels(container) &&
      any('id', (id) => container.id.startsWith(id)) &&
      any(
        'name',
        (name) => expression(name).test(`/${container.name}`) || expression(name).test(container.name),
      ) &&
      any('status', (status) => state.status === status) &&
      any('exited', (code) => state.exitCode === Number(code) && state.status === 'exited') &&
      any('health', (health) => (state.health?.status ?? 'none') === health) &&
      (images === undefined || images.has(container.imageId)) &&
      any('volume', (volume) =>
        container.mounts.some((m) => m.name === volume || m.destination === volume || m.source === volume),
      ) &&
      any('network', (ref) => onNetwork(containers, container, ref)) &&
      any('expose', (port) => portMatches(port, Object.keys(config.ExposedPorts ?? {}))) &&
      any('publish', (port) => portMatches(port, publishedPorts(containers, container))) &&
      any('is-task', (task) => task !== 'true') &&
      before.every((limit) => time < limit) &&
      since.every((limit) => time > limit)
    );
  };
  const found = containers
    .all()
    .filter(matches)
    .toSorted((a, b) => Date.parse(b.created) - Date.parse(a.created));
  return options.limit > 0 ? found.slice(0, options.limit) : found;
}

/** A text that is no regular expression matches nothing (moby api/types/filters, Args.Match). */
function expression(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch {
    return /(?!)/;
  }
}

/** Images that are the named ones; unknown names match nothing. */
function ancestors(containers: Containers, refs: readonly string[]): ReadonlySet<string> | undefined {
  if (refs.length === 0) return undefined;
  const ids = new Set<string>();
  for (const ref of refs) {
    try {
      ids.add(containers.platform.images.resolve(ref).id);
    } catch {
      // Nothing has it as its ancestor.
    }
  }
  return ids;
}

function onNetwork(containers: Containers, container: Container, ref: string): boolean {
  const networks = settingsOf(containers, container).Networks ?? {};
  return Object.entries(networks).some(
    ([name, endpoint]) =>
      name === ref || ((endpoint.NetworkID ?? '').startsWith(ref) && endpoint.NetworkID !== ''),
  );
}

/** `80`, `80/udp`, `8000-8010`. */
function portMatches(wanted: string, ports: readonly string[]): boolean {
  const [, first = '', last = first, protocol] = /^(\d+)(?:-(\d+))?(?:\/(\w+))?$/.exec(wanted) ?? [];
  if (first === '') throw invalid(`invalid filter 'port=${wanted}'`);
  return ports.some((port) => {
    const [number, type] = port.split('/');
    return (
      Number(number) >= Number(first) &&
      Number(number) <= Number(last || first) &&
      (protocol ?? 'tcp') === type
    );
  });
}

function publishedPorts(containers: Containers, container: Container): string[] {
  const ports = settingsOf(containers, container).Ports ?? {};
  return Object.entries(ports).flatMap(([key, bindings]) => {
    const type = key.split('/')[1] ?? 'tcp';
    return [
      ...(bindings ?? []).map((binding) => `${binding.HostPort}/${type}`),
      ...((bindings ?? []).length > 0 ? [key] : []),
    ];
  });
}
