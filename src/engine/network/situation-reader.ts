import { lookup as hostLookup } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { foreignTables } from '../../explain/foreign/listing.ts';
import { Elements } from '../../explain/packet.ts';
import type { Asked } from '../../explain/question.ts';
import {
  type ContainerFacts,
  hasAddress,
  type Lookup,
  type Situation,
  sandboxOwner,
} from '../../explain/situation.ts';
import { isKnown, type Plan, planQuestion, type Reading, resolveAsker } from '../../explain/target.ts';
import { uplinkOf } from '../../explain/uplink.ts';
import type { OwnTable, Space, Where, World } from '../../explain/world.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { AskedPort } from '../../kernel/namespace-reader.ts';
import { type Ip, parseIp } from '../../model/address.ts';
import type { NamespaceFacts } from '../../model/kernel-facts.ts';
import type { RemoteEndpoint } from '../../model/overlay.ts';
import { isPort, type Port } from '../../model/port.ts';
import { type PlanFacts, plan } from '../../plan/plan.ts';
import type { ElementResource } from '../../plan/resource.ts';
import type { Ruleset, TableFamily } from '../../plan/rule.ts';
import { ruleset } from '../../plan/ruleset.ts';
import { SPOOF_GUARD } from '../../plan/spoof-guard.ts';
import type { ContainerNames } from './container-names.ts';
import type { NetworkRegistry } from './network-registry.ts';
import type { Overlays } from './overlays.ts';
import type { SandboxTable } from './sandbox-table.ts';

/** A name server that does not answer must not keep the asker of a question for long. */
const PATIENCE_MS = 2500;

export interface SituationReaderOptions {
  readonly kernel: Kernel;
  readonly facts: PlanFacts;
  readonly registry: NetworkRegistry;
  readonly table: SandboxTable;
  readonly names: ContainerNames;
  readonly overlays: Overlays | undefined;
  /** Where a container's `/etc/hosts` is. */
  readonly hostsDirectory: (containerId: string) => string;
}

/** Reads what an answer to "why can FROM reach TO" is computed from: the model, and the kernel as it is at this moment. */
export class SituationReader {
  readonly #options: SituationReaderOptions;

  readonly #index = new WeakMap<readonly ElementResource[], Partial<Record<TableFamily, Elements>>>();

  constructor(options: SituationReaderOptions) {
    this.#options = options;
  }

  /** @throws EngineError when FROM is nobody here; KernelError */
  async read(asked: Asked, containers: readonly ContainerFacts[]): Promise<Situation> {
    const { kernel, registry } = this.#options;
    // A name server outside may need a while; what the kernel has is read after it, in one go.
    const early = kernel.namespace();
    const hosts = new Set(early.addresses.map(({ address }) => address));
    const remotes = this.#remotes();
    const asker = resolveAsker({ containers, remotes }, asked.from, hosts);
    const from = asker.kind === 'container' ? sandboxOwner({ containers }, asker.container) : undefined;
    const name = asked.to.kind === 'name' ? asked.to.name : undefined;
    const known = name !== undefined && isKnown(containers, name);
    const lookup = name === undefined ? undefined : await this.#lookUp(from, name, known);
    const facts = kernel.namespace();
    const reading: Reading = {
      asked,
      containers,
      networks: registry.list(),
      lookup,
      uplink: uplinkOf(facts),
      remotes,
    };
    const planned = planQuestion(reading, hosts);
    return { ...reading, world: this.#world(reading, planned, facts), wanted: this.#wanted() };
  }

  /** @param known a container of that name is on this host: no name server outside is asked about it */
  async #lookUp(from: ContainerFacts | undefined, name: string, known: boolean): Promise<Lookup | undefined> {
    if (from === undefined) return known ? undefined : outside(hostLookup(name, { all: true }));
    const written = this.#inHostsFile(from.id, name);
    if (written.length > 0) return { by: 'hosts-file', addresses: written };
    const { table, names } = this.#options;
    const sandbox = table.sandbox(from.id);
    const served = sandbox !== undefined && names.serves(from.id);
    const own = served ? names.known(sandbox, name) : [];
    if (own.length > 0) return { by: 'gangway', addresses: own };
    if (known) return { by: served ? 'gangway' : 'upstream', addresses: [] };
    if (served)
      return outside(names.askOutside(sandbox, name).then((all) => all.map((address) => ({ address }))));
    // Its resolv.conf names the host's name servers.
    return outside(hostLookup(name, { all: true }));
  }

  #inHostsFile(containerId: string, name: string): readonly Ip[] {
    let text: string;
    try {
      text = readFileSync(join(this.#options.hostsDirectory(containerId), 'hosts'), 'utf8');
    } catch {
      return [];
    }
    const wanted = name.toLowerCase();
    return text.split('\n').flatMap((line) => {
      const [address = '', ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
      if (!names.some((each) => each.toLowerCase() === wanted)) return [];
      try {
        return [parseIp(address)];
      } catch {
        return [];
      }
    });
  }

  #remotes(): Situation['remotes'] {
    const found = (this.#options.overlays?.elsewhere() ?? []).flatMap(({ remote, host }) => {
      const { containerName: name, networkId } = remote;
      return addressesOfRemote(remote).map((address) => [address, { name, host, networkId }] as const);
    });
    return new Map(found);
  }

  #world(reading: Reading, planned: Plan, host: NamespaceFacts): World {
    const { kernel, table } = this.#options;
    const ports = portsOf(reading, planned);
    const asked: readonly AskedPort[] = ports.map((port) => ({ protocol: reading.asked.protocol, port }));
    const sandboxes = concerned(reading, planned).flatMap((container): Space[] => {
      const path = table.sandbox(container.id)?.path;
      if (path === undefined) return [];
      const facts = { ...kernel.namespace(path), listeners: kernel.listeners(asked, path) };
      return [space({ kind: 'container', id: container.id, name: container.name }, facts)];
    });
    return {
      host: space({ kind: 'host' }, { ...host, listeners: kernel.listeners(asked) }),
      sandboxes,
      own: this.#own((family) => kernel.elements(family)),
      held: heldPorts(reading, ports),
      tunnels: this.#tunnels(host),
    };
  }

  #wanted(): World['own'] {
    const { registry, table, facts } = this.#options;
    const model = {
      networks: registry.list(),
      sandboxes: table.sandboxes(),
      endpoints: table.allEndpoints(),
    };
    const elements = plan(model, facts).filter((resource) => resource.kind === 'element');
    return this.#own((family) => (facts.tables.has(family) ? elements : undefined));
  }

  #own(elementsOf: (family: TableFamily) => readonly ElementResource[] | undefined): World['own'] {
    const { acceptMark } = this.#options.facts;
    const rules: Readonly<Record<TableFamily, Ruleset>> = {
      ip: ruleset('ip', acceptMark),
      ip6: ruleset('ip6', acceptMark),
      bridge: SPOOF_GUARD,
    };
    const tables: Partial<Record<TableFamily, OwnTable>> = {};
    for (const family of ['ip', 'ip6', 'bridge'] as const) {
      const elements = elementsOf(family);
      if (elements !== undefined)
        tables[family] = { ruleset: rules[family], elements: this.#indexed(family, elements) };
    }
    return tables;
  }

  /** A listing that did not change is the same array. */
  #indexed(family: TableFamily, elements: readonly ElementResource[]): Elements {
    const byFamily = this.#index.get(elements) ?? {};
    const found = byFamily[family] ?? new Elements(family, elements);
    this.#index.set(elements, { ...byFamily, [family]: found });
    return found;
  }

  /** What the tunnels lead to by the kernel's own entries; names and life are the cluster's. */
  #tunnels({ links }: NamespaceFacts): World['tunnels'] {
    const elsewhere = this.#options.overlays?.elsewhere() ?? [];
    if (elsewhere.length === 0) return [];
    const entries = this.#options.kernel.tunnelEntries();
    return links.flatMap(({ index, name }) => {
      const here = new Map(
        elsewhere
          .filter(({ vxlan }) => vxlan === name)
          .flatMap((each) => addressesOfRemote(each.remote).map((address) => [address, each] as const)),
      );
      const remotes = entries.flatMap(({ link, address, host }) => {
        const known = here.get(address);
        return link !== index || known === undefined
          ? []
          : [{ address, host, name: known.remote.containerName, alive: known.alive }];
      });
      return here.size === 0 ? [] : [{ link: index, remotes }];
    });
  }
}

const addressesOfRemote = ({ ipv4, ipv6 }: RemoteEndpoint): readonly Ip[] =>
  [ipv4, ipv6].filter((address) => address !== undefined);

async function outside(asking: Promise<readonly { readonly address: string }[]>): Promise<Lookup> {
  const late = new Promise<readonly never[]>((resolve) => setTimeout(resolve, PATIENCE_MS, []).unref());
  const found = await Promise.race([asking.catch(() => []), late]);
  return { by: 'upstream', addresses: found.map(({ address }) => parseIp(address)) };
}

const space = (where: Where, facts: NamespaceFacts): Space => ({
  where,
  facts,
  foreign: foreignTables(facts),
});

/** Ports that are asked, and those behind them where they are published. */
function portsOf({ asked, containers }: Reading, { to, attempts }: Plan): readonly Port[] {
  // One that did not start: somebody may have the port it wanted.
  const wished =
    to.kind === 'container' && to.container.status !== 'running'
      ? to.container.wished.map(({ hostPort }) => Number(hostPort)).filter(isPort)
      : [];
  const first = [asked.port, ...attempts.map(({ port }) => port), ...wished].filter(
    (port) => port !== undefined,
  );
  const behind = containers.flatMap(({ endpoints }) =>
    endpoints.flatMap(({ published }) =>
      published.flatMap(({ hostPorts, containerPorts }) =>
        first.flatMap((port) =>
          hostPorts.first <= port && port <= hostPorts.last
            ? [(containerPorts.first + port - hostPorts.first) as Port]
            : [],
        ),
      ),
    ),
  );
  return [...new Set([...first, ...behind])];
}

/** The containers whose namespaces the packets may enter. */
function concerned(reading: Reading, { from, to, attempts }: Plan): readonly ContainerFacts[] {
  const { containers } = reading;
  const ends = [from, to].flatMap((party) => {
    const owner = 'container' in party ? sandboxOwner(reading, party.container) : undefined;
    return owner === undefined ? [] : [owner];
  });
  const others = containers.filter(({ endpoints }) =>
    endpoints.some(
      (endpoint) =>
        attempts.some(({ address }) => hasAddress(endpoint, address)) ||
        endpoint.published.some(({ hostPorts }) =>
          attempts.some(
            ({ port }) => port !== undefined && hostPorts.first <= port && port <= hostPorts.last,
          ),
        ),
    ),
  );
  return [...new Set([...ends, ...others])];
}

function heldPorts({ containers }: Reading, ports: readonly Port[]): ReadonlySet<string> {
  const published = containers.flatMap(({ endpoints }) =>
    endpoints.flatMap((endpoint) => endpoint.published),
  );
  return new Set(
    published.flatMap(({ protocol, hostIp, hostPorts }) =>
      ports
        .filter((port) => hostPorts.first <= port && port <= hostPorts.last)
        .map((port) => `${protocol} ${hostIp} ${port}`),
    ),
  );
}
