import { familyOf, type Ip, isAny, isLoopback } from '../model/address.ts';
import { errors, invalid, notFound } from '../model/errors.ts';
import { addressesOf, familiesOf, GATEWAY_NETWORK } from '../model/network.ts';
import type { Port, PublishedPort } from '../model/port.ts';
import type { Party } from './question.ts';
import { type ContainerFacts, holderOf, networkOf, type Situation, sandboxOwner } from './situation.ts';

/** All that is known before the kernel is asked. */
export type Reading = Omit<Situation, 'world' | 'wanted'>;

export type Asker =
  | { readonly kind: 'host' }
  | { readonly kind: 'container'; readonly container: ContainerFacts }
  /** @property address absent: an example of a neighbour. @property name of a container of another host */
  | {
      readonly kind: 'outside';
      readonly internet: boolean;
      readonly address: Ip | undefined;
      readonly name?: string | undefined;
    };

export type Target =
  | { readonly kind: 'host' }
  | { readonly kind: 'container'; readonly container: ContainerFacts }
  | { readonly kind: 'remote'; readonly name: string; readonly host: Ip; readonly networkId: string }
  | { readonly kind: 'outside'; readonly internet: boolean }
  | { readonly kind: 'address'; readonly address: Ip }
  | { readonly kind: 'nobody'; readonly name: string };

/** One connection to try; the first that comes about is the answer. */
export interface Attempt {
  readonly address: Ip;
  readonly port: Port | undefined;
  /** It goes by this published port. */
  readonly published?: PublishedPort;
}

export interface Plan {
  readonly from: Asker;
  readonly to: Target;
  readonly attempts: readonly Attempt[];
  /** FROM asks for a name that its name service does not know. */
  readonly nameMissing: boolean;
}

/** RFC 5737, RFC 3849: an address behind the default route. */
export const FAR: readonly Ip[] = ['203.0.113.1' as Ip, '2001:db8:ffff::1' as Ip];

/** By id, name, or id prefix, as docker finds it. @throws EngineError INVALID_PARAMETER for an ambiguous prefix */
export function findContainer(
  containers: readonly ContainerFacts[],
  ref: string,
): ContainerFacts | undefined {
  const exact = containers.find(({ id, name }) => id === ref || name === ref);
  if (exact !== undefined || !/^[0-9a-f]{1,64}$/.test(ref)) return exact;
  const found = containers.filter(({ id }) => id.startsWith(ref));
  if (found.length > 1) throw invalid(`multiple IDs found with provided prefix: ${ref}`);
  return found[0];
}

/** Whom a name means that is no container's: a service of a compose project, an alias. */
function findCarrier(containers: readonly ContainerFacts[], name: string): ContainerFacts | undefined {
  const wanted = name.toLowerCase();
  return containers.find(({ names }) =>
    Object.values(names).some((list) => list.some((each) => each.toLowerCase() === wanted)),
  );
}

/** Containers of other hosts, which no name service may know any more: their host is away. */
const remotesNamed = ({ remotes }: Pick<Reading, 'remotes'>, name: string) =>
  [...remotes].filter(([, remote]) => remote.name === name);

export const isKnown = (containers: readonly ContainerFacts[], name: string): boolean =>
  (findContainer(containers, name) ?? findCarrier(containers, name)) !== undefined;

/** @throws EngineError NOT_FOUND when nobody on this host is FROM */
export function resolveAsker(
  reading: Pick<Reading, 'containers' | 'remotes'>,
  from: Party,
  hosts: ReadonlySet<Ip>,
): Asker {
  switch (from.kind) {
    case 'host':
      return { kind: 'host' };
    case 'outside':
    case 'internet':
      return { kind: 'outside', internet: from.kind === 'internet', address: undefined };
    case 'address': {
      const holder = holderOf(reading, from.address);
      if (holder !== undefined) return { kind: 'container', container: holder };
      if (hosts.has(from.address)) return { kind: 'host' };
      const { address } = from;
      return { kind: 'outside', internet: false, address, name: reading.remotes.get(address)?.name };
    }
    case 'name': {
      const { containers } = reading;
      const container = findContainer(containers, from.name) ?? findCarrier(containers, from.name);
      const remote = remotesNamed(reading, from.name)[0];
      if (container === undefined && remote !== undefined) {
        const [address, { host }] = remote;
        throw notFound(
          `${from.name} is a container of the host ${host}: ask there, or here by its address, ${address}`,
        );
      }
      if (container === undefined) {
        throw notFound(
          `${errors.noSuchContainer(from.name).message}, and nobody on this host has that name: docker ps -a lists who can ask; host, outside and internet can as well`,
        );
      }
      return { kind: 'container', container };
    }
  }
}

/** Who is asked, and which connections would do. @param hosts the host's own addresses */
export function planQuestion(reading: Reading, hosts: ReadonlySet<Ip>): Plan {
  const { asked } = reading;
  const from = resolveAsker(reading, asked.from, hosts);
  const { to, nameMissing, addresses } = resolveTarget(reading, from, hosts);
  const attempts = dedupe(
    addresses === undefined
      ? attemptsOf(reading, from, to)
      : addresses.map((address) => ({ address, port: asked.port })),
  );
  return { from, to, attempts, nameMissing };
}

interface Found {
  readonly to: Target;
  readonly nameMissing: boolean;
  /** What the name stands for. */
  readonly addresses?: readonly Ip[];
}

function resolveTarget(reading: Reading, from: Asker, hosts: ReadonlySet<Ip>): Found {
  const { to } = reading.asked;
  const plain = (target: Target): Found => ({ to: target, nameMissing: false });
  switch (to.kind) {
    case 'host':
      return plain({ kind: 'host' });
    case 'outside':
    case 'internet':
      return plain({ kind: 'outside', internet: to.kind === 'internet' });
    case 'address':
      return { ...plain(holder(reading, to.address, hosts)), addresses: [to.address] };
    case 'name':
      return resolveName(reading, from, to.name, hosts);
  }
}

function holder(reading: Reading, address: Ip, hosts: ReadonlySet<Ip>): Target {
  const container = holderOf(reading, address);
  if (container !== undefined) return { kind: 'container', container };
  const remote = reading.remotes.get(address);
  if (remote !== undefined) return { kind: 'remote', ...remote };
  return hosts.has(address) ? { kind: 'host' } : { kind: 'address', address };
}

function resolveName(reading: Reading, from: Asker, name: string, hosts: ReadonlySet<Ip>): Found {
  const { lookup, containers } = reading;
  const [first] = lookup?.addresses ?? [];
  const known = findContainer(containers, name);
  const asks = from.kind === 'container';
  if (lookup !== undefined && first !== undefined && (asks || known === undefined)) {
    return { to: holder(reading, first, hosts), nameMissing: false, addresses: lookup.addresses };
  }
  const container = known ?? findCarrier(containers, name);
  if (container === undefined) {
    const [remote] = remotesNamed(reading, name);
    if (remote === undefined) return { to: { kind: 'nobody', name }, nameMissing: true, addresses: [] };
    return { to: { kind: 'remote', ...remote[1] }, nameMissing: true };
  }
  // An id says which container is meant, and is no name to look up.
  const byName = container.name === name || !container.id.startsWith(name);
  return { to: { kind: 'container', container }, nameMissing: asks && byName };
}

function attemptsOf(reading: Reading, from: Asker, to: Target): readonly Attempt[] {
  const { port } = reading.asked;
  const at = (addresses: readonly Ip[]): readonly Attempt[] =>
    addresses.map((address) => ({ address, port }));
  switch (to.kind) {
    case 'host':
      return at(hostAddresses(reading, from));
    case 'outside':
      return at(to.internet ? FAR : (reading.uplink?.neighbours ?? []));
    case 'address':
      return at([to.address]);
    case 'container':
      return attemptsToContainer(reading, from, to.container);
    case 'remote':
      return at(remoteAddresses(reading, from, to.name));
    case 'nobody':
      return [];
  }
}

/** On networks of the asker's first. */
function remoteAddresses(reading: Reading, from: Asker, name: string): readonly Ip[] {
  const own = new Set(
    from.kind === 'container'
      ? sandboxOwner(reading, from.container)?.endpoints.map(({ networkId }) => networkId)
      : [],
  );
  return remotesNamed(reading, name)
    .toSorted(([, a], [, b]) => Number(own.has(b.networkId)) - Number(own.has(a.networkId)))
    .map(([address]) => address);
}

/** Those that the asker would use: its gateways before the host's own. */
function hostAddresses(reading: Reading, from: Asker): readonly Ip[] {
  if (from.kind === 'host') return ['127.0.0.1' as Ip, '::1' as Ip];
  const own = reading.uplink?.addresses ?? [];
  if (from.kind === 'outside') return own;
  const endpoints = sandboxOwner(reading, from.container)?.endpoints ?? [];
  const gateways = endpoints.flatMap(({ networkId }) => {
    const network = networkOf(reading, networkId);
    if (network?.driver !== 'bridge') return [];
    return familiesOf(network).flatMap(({ gateway, onBridge }) => (onBridge ? [gateway.address] : []));
  });
  return [...gateways, ...own];
}

function attemptsToContainer(reading: Reading, from: Asker, container: ContainerFacts): readonly Attempt[] {
  const owner = sandboxOwner(reading, container);
  const { port } = reading.asked;
  if (owner === undefined) return hostAddresses(reading, from).map((address) => ({ address, port }));
  const direct = directAddresses(reading, from, owner).map((address) => ({ address, port }));
  if (from.kind !== 'outside' || port === undefined) return direct;
  return [...publishedAttempts(reading, owner, port), ...direct];
}

/** On networks of the asker's first; IPv4 before IPv6. */
function directAddresses(reading: Reading, from: Asker, owner: ContainerFacts): readonly Ip[] {
  const shared = new Set(
    from.kind === 'container'
      ? sandboxOwner(reading, from.container)?.endpoints.map(({ networkId }) => networkId)
      : [],
  );
  const endpoints = owner.endpoints
    .filter(({ networkId }) => networkOf(reading, networkId)?.name !== GATEWAY_NETWORK)
    .toSorted((a, b) => Number(shared.has(b.networkId)) - Number(shared.has(a.networkId)));
  return endpoints.flatMap(addressesOf).map(({ address }) => address);
}

/** The ways in by the host's own addresses. `web:8080` of `-p 8080:80` means the same port as `web:80`. */
function publishedAttempts(reading: Reading, owner: ContainerFacts, port: Port): readonly Attempt[] {
  const { protocol } = reading.asked;
  const own = reading.uplink?.addresses ?? [];
  const published = owner.endpoints
    .flatMap((endpoint) => endpoint.published)
    .filter((each) => each.protocol === protocol);
  const by = (end: 'containerPorts' | 'hostPorts'): readonly Attempt[] =>
    published.flatMap((each) => {
      const { first, last } = each[end];
      if (port < first || port > last) return [];
      const hostPort = (each.hostPorts.first + port - first) as Port;
      const family = familyOf(each.hostIp);
      const addresses =
        isAny(each.hostIp) || isLoopback(each.hostIp)
          ? own.filter((address) => familyOf(address) === family)
          : [each.hostIp];
      return addresses.map((address) => ({ address, port: hostPort, published: each }));
    });
  const exact = by('containerPorts');
  return exact.length > 0 ? exact : by('hostPorts');
}

function dedupe(attempts: readonly Attempt[]): readonly Attempt[] {
  const seen = new Map(
    attempts.toReversed().map((attempt) => [`${attempt.address} ${attempt.port}`, attempt]),
  );
  return [...seen.values()].reverse();
}
