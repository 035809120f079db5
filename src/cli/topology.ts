import type {
  Topology,
  TopologyContainer,
  TopologyCounters,
  TopologyEndpoint,
  TopologyHost,
  TopologyNetwork,
  TopologyPort,
} from '../model/topology.ts';
import { ApiFailure } from './api-client.ts';
import { clip, size, wrap } from './text.ts';

const WIDTH = 80;
const INNER = WIDTH - 4;
const LONGEST_NAME = 24;

/**
 * Only these networks, with what hangs on them. @param wanted names, ids or beginnings of ids; none means all
 * @throws ApiFailure for one that is not there
 */
export function onlyNetworks(topology: Topology, wanted: readonly string[]): Topology {
  if (wanted.length === 0) return topology;
  const networks = wanted.map((text) => {
    const found =
      topology.networks.find(({ id, name }) => name === text || id === text) ??
      topology.networks.find(({ id }) => text.length >= 3 && id.startsWith(text));
    if (found !== undefined) return found;
    const names = topology.networks.map(({ name }) => name).join(', ');
    throw new ApiFailure(
      `there is no network ${text} that containers have addresses on; there are: ${names}`,
    );
  });
  const ids = new Set(networks.map(({ id }) => id));
  const names = new Set(networks.map(({ name }) => name));
  const endpoints = topology.endpoints.filter(({ network }) => ids.has(network));
  const held = new Set(endpoints.map(({ id }) => id));
  const on = new Set(endpoints.map(({ container }) => container));
  return {
    ...topology,
    networks: topology.networks.filter(({ id }) => ids.has(id)),
    endpoints,
    containers: topology.containers.filter(
      (each) => on.has(each.id) || (!isUp(each) && each.networks.some((name) => names.has(name))),
    ),
    ports: topology.ports.filter(({ endpoint }) => held.has(endpoint)),
  };
}

/** The picture of the tutorial, at most 80 columns wide: outside, host, switches, veth pairs, containers. */
export function drawTopology(topology: Topology, counters: TopologyCounters): string {
  const { networks, hosts } = topology;
  const own = hosts.find((host) => host.own);
  const lines = ['outside', '  │'];
  for (const uplink of own?.uplinks ?? []) {
    const gateways = uplink.gateways.map((gateway) => `gateway ${gateway}`);
    const [first = 'no address', ...more] = wrap([...uplink.addresses, ...gateways], 50);
    const indent = ' '.repeat(uplink.ifName.length);
    lines.push(
      beside(`  │ ${uplink.ifName}  ${first}`, traffic(counters.links[uplink.ifName], 'host')),
      ...more.map((text) => `  │ ${indent}  ${text}`),
    );
  }
  lines.push(`┌─┴─ host ${clip(own?.name ?? '', 50)} `.padEnd(WIDTH - 1, '─').concat('┐'));
  for (const line of hostLines(topology, counters)) lines.push(`│ ${clip(line, INNER).padEnd(INNER)} │`);
  const switches = networks.map((network) => drawNetwork(network, topology, counters));
  const aside = topology.containers.filter(({ mode }) => mode !== 'own');
  lines.push(`└─${switches.length > 0 ? '┬' : '─'}`.padEnd(WIDTH - 1, '─').concat('┘'));
  for (const [i, block] of switches.entries()) {
    const last = i === switches.length - 1;
    lines.push('  │', `  ${last ? '└' : '├'}─${block[0] ?? ''}`);
    for (const line of block.slice(1)) lines.push(`  ${last ? ' ' : '│'} ${line}`);
  }
  if (aside.length > 0) lines.push('', ...aside.map((container) => clip(asideWords(container), WIDTH)));
  return lines.map((line) => line.trimEnd()).join('\n');
}

function hostLines(topology: Topology, counters: TopologyCounters): string[] {
  const names = new Map(topology.containers.map(({ id, name }) => [id, name]));
  const published = topology.ports.map((port) => [
    `DNAT  ${onHost(port)}`,
    `──▶ ${clip(names.get(port.container) ?? '', LONGEST_NAME)} ${inside(port)}`,
    counters.ports?.[port.id] === undefined ? '' : plural(counters.ports[port.id] ?? 0, 'connection'),
  ]);
  const sources = topology.networks.flatMap(({ name, families }) =>
    families.flatMap(({ subnet, egress, to }) =>
      egress === 'none'
        ? []
        : [
            [
              `SNAT  ${clip(name, LONGEST_NAME)} ${subnet}`,
              egress === 'snat' ? `──▶ ${to}` : '──▶ the address it leaves by',
            ],
          ],
    ),
  );
  const rows = [...published, ...sources];
  const first = Math.max(0, ...rows.map(([text = '']) => text.length));
  const lines = rows.map(([from = '', to = '', count = '']) =>
    beside(`${from.padEnd(first)} ${to}`, count, INNER),
  );
  return lines.length > 0 ? lines : ['no port is published, nothing is translated'];
}

function drawNetwork(network: TopologyNetwork, topology: Topology, counters: TopologyCounters): string[] {
  const { endpoints, containers, hosts } = topology;
  const byId = new Map(containers.map((container) => [container.id, container]));
  const here = endpoints.filter((endpoint) => endpoint.network === network.id);
  const on = new Set(here.map(({ container }) => container));
  const down = containers.filter(
    (each) => !isUp(each) && !on.has(each.id) && each.networks.includes(network.name),
  );
  const rows = [
    ...here.map((endpoint) => endpointRow(endpoint, byId.get(endpoint.container), network, hosts)),
    ...down.map(({ name, state }) => ({ wire: ` ${state} `, name, text: '', count: undefined, more: [] })),
  ];
  rows.sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
  const wires = Math.max(0, ...rows.map(({ wire }) => wire.length));
  const names = Math.min(LONGEST_NAME, Math.max(0, ...rows.map(({ name }) => name.length)));
  const [title = '', ...facts] = titles(network);
  const lines = [title, ...(rows.length > 0 ? facts : facts.map((line) => line.replace('│', ' ')))];
  for (const [i, row] of rows.entries()) {
    const last = i === rows.length - 1;
    const name = clip(row.name, names).padEnd(names);
    const text = `  ${last ? '└' : '├'}─${row.wire.padEnd(wires, '─')}─ ${name}  ${row.text}`;
    const passed = row.count === undefined ? undefined : counters.links[row.count];
    lines.push(beside(text, traffic(passed, 'container'), WIDTH - 4));
    for (const more of row.more) {
      lines.push(clip(`  ${last ? ' ' : '│'} ${' '.repeat(wires + 2 + names)}  ${more}`, WIDTH - 4));
    }
  }
  if (rows.length === 0) lines.push('  (no container)');
  return lines;
}

/** The switch, and under it what it is. */
function titles({ name, driver, device, families, ...network }: TopologyNetwork): string[] {
  const facts = [
    driver,
    ...families.flatMap(({ onBridge, gateway }) => (onBridge ? [`gateway ${gateway}`] : [])),
    ...families.flatMap(({ gatewayMode }) => (gatewayMode === 'nat' ? [] : [`gateway mode ${gatewayMode}`])),
    ...(network.internal ? ['internal: no way out'] : []),
    ...(network.icc ? [] : ['containers do not reach each other (icc=false)']),
    ...(network.tunnel === undefined ? [] : [`tunnel ${network.tunnel.ifName}, VNI ${network.tunnel.vni}`]),
    ...(network.project === undefined ? [] : [`project ${network.project}`]),
  ];
  const subnets = families.map(({ subnet }) => subnet).join(', ');
  return [
    clip(`[ ${device} ]═══ ${clip(name, LONGEST_NAME)} ═══ ${subnets}`, WIDTH - 4),
    ...wrap([...new Set(facts)], WIDTH - 8).map((line) => clip(`  │ ${line}`, WIDTH - 4)),
  ];
}

function endpointRow(
  endpoint: TopologyEndpoint,
  container: TopologyContainer | undefined,
  network: TopologyNetwork,
  hosts: readonly TopologyHost[],
): { wire: string; name: string; text: string; count: string | undefined; more: readonly string[] } {
  const name = container?.name ?? endpoint.container.slice(0, 12);
  const [address = '', ...more] = endpoint.addresses.map((text) => text.replace(/\/\d+$/, ''));
  const state = container === undefined || container.state === 'running' ? '' : ` (${container.state})`;
  const host = hosts.find(({ id }) => id === container?.host);
  const remote = host !== undefined && !host.own;
  const outer = remote
    ? `(${clip(host.name, 16)} ${host.address ?? ''})`
    : (endpoint.hostIfName ?? network.device);
  const wire = endpoint.ifName === undefined ? `${outer}` : `${outer} ── ${endpoint.ifName}`;
  return { wire: ` ${wire} `, name, text: `${address}${state}`, count: endpoint.hostIfName, more };
}

function asideWords({ name, mode, of, state }: TopologyContainer): string {
  const words = {
    host: "uses the host's own network",
    none: 'has no network',
    shared: `uses the network of ${of}`,
    own: '',
  };
  return `${clip(name, LONGEST_NAME)} ${words[mode]}${state === 'running' ? '' : ` (${state})`}`;
}

/** Of the host's side of a veth pair what came in is what the container sent. */
function traffic(counters: TopologyCounters['links'][string] | undefined, of: 'host' | 'container'): string {
  if (counters === undefined) return '';
  const [received, sent, , , dropped] = counters;
  const [down, up] = of === 'host' ? [received, sent] : [sent, received];
  return `↓${size(down)} ↑${size(up)}${dropped > 0 ? ` ✗${dropped}` : ''}`;
}

const isUp = ({ state }: TopologyContainer): boolean => state === 'running' || state === 'paused';

const range = (first: number, last: number): string => (first === last ? `${first}` : `${first}-${last}`);

const onHost = ({ hostIp, first, last, protocol }: TopologyPort): string =>
  `${hostIp.includes(':') ? `[${hostIp}]` : hostIp}:${range(first, last)}/${protocol}`;

const inside = ({ address, containerPort, first, last }: TopologyPort): string =>
  `${address.includes(':') ? `[${address}]` : address}:${range(containerPort, containerPort + last - first)}`;

const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;

/** `right` at the end of the line, or not at all where there is no room. */
function beside(left: string, right: string, width = WIDTH): string {
  const text = clip(left, width);
  const room = width - text.length - right.length;
  return right === '' || room < 2 ? text : `${text}${' '.repeat(room)}${right}`;
}
