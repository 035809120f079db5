import {
  type Family,
  familyOf,
  type IfName,
  type InterfaceAddress,
  type Ip,
  isAny,
  type Mac,
  type NetnsPath,
} from '../model/address.ts';
import type { LegacyFirewall, ListenerFacts, NamespaceFacts } from '../model/kernel-facts.ts';
import type { Protocol } from '../model/port.ts';
import type { ProbeFacts } from '../model/probe.ts';
import type { LinkCounters, TopologyUplink } from '../model/topology.ts';
import { type Change, type ElementResource, type Resource, resourceKey } from '../plan/resource.ts';
import type { TableFamily } from '../plan/rule.ts';
import type { KernelEvent } from './change-monitor.ts';
import type { RuleCounter } from './drop-counters.ts';
import type { EchoOutcome } from './echo.ts';
import type { Firewall } from './firewall-rules.ts';
import type { ForeignChain } from './foreign-firewall.ts';
import type { Inventory } from './inventory.ts';
import { type HostFacts, HostPortTaken, type Kernel, KernelError } from './kernel.ts';
import type { OpenConnections } from './open-connections.ts';
import type { PortTraffic } from './published-traffic.ts';
import type { ConnectionReport, ConnectionSource, DropReport, DropSource } from './traffic.ts';

export interface FakeKernelOptions {
  /** Keys of host ports (`host-port tcp 0.0.0.0:80`) that a foreign program listens on. */
  readonly taken?: Iterable<string>;
  readonly host?: Partial<HostFacts>;
  readonly foreignBridges?: Readonly<
    Record<string, { readonly addresses: readonly InterfaceAddress[]; readonly mtu: number }>
  >;
}

/** A kernel in memory, for tests of what stands above it: the same promises as LinuxKernel's, no root. */
export class FakeKernel implements Kernel {
  readonly resources = new Map<string, Resource>();
  /** Every change carried out, undone ones and their undoing too. */
  readonly log: Change[] = [];
  readonly taken: Set<string>;
  readonly forgotten: string[] = [];
  /** Addresses with their MACs, in the name of their owners. */
  readonly announced: string[] = [];
  readonly forwarding = new Set<Family>();
  closed = false;
  /** To whoever watches. */
  tell: (event: KernelEvent) => void = () => {};
  chains: readonly ForeignChain[] = [];
  readonly connectionReports: ConnectionReport[] = [];
  readonly dropReports: DropReport[] = [];
  /** What is heard now. */
  readonly heard = new Set<'connections' | 'drops'>();
  counters = new Map<string, LinkCounters>();
  connections = new Map<string, number>();
  uplink: TopologyUplink | undefined;
  #host: Partial<HostFacts>;
  readonly #foreignBridges: NonNullable<FakeKernelOptions['foreignBridges']>;
  #failIn: number | undefined;

  constructor(options: FakeKernelOptions = {}) {
    this.taken = new Set(options.taken);
    this.#host = options.host ?? {};
    this.#foreignBridges = options.foreignBridges ?? {};
  }

  changeHost(facts: Partial<HostFacts>): void {
    this.#host = { ...this.#host, ...facts };
  }

  /** The n-th change from now on (1 is the next) throws a KernelError EIO, once. */
  failOn(n: number): void {
    this.#failIn = n;
  }

  apply(changes: readonly Change[]): void {
    const before = new Map(this.resources);
    for (const change of changes) {
      try {
        this.#carryOut(change);
      } catch (error) {
        this.#restore(before);
        throw error;
      }
    }
  }

  tearDown(changes: readonly Change[]): readonly KernelError[] {
    const failures: KernelError[] = [];
    for (const change of changes) {
      try {
        this.#carryOut(change);
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
        failures.push(error);
      }
    }
    return failures;
  }

  observe(): readonly Resource[] {
    return [...this.resources.values()];
  }

  namespace(): NamespaceFacts {
    throw new KernelError('a fake kernel has no namespaces to read', 'ENOSYS');
  }

  listeners(): readonly ListenerFacts[] {
    return [];
  }

  elements(family: TableFamily): readonly ElementResource[] | undefined {
    const all = this.observe();
    if (!all.some((resource) => resource.kind === 'ruleset' && resource.table === family)) return undefined;
    return all.flatMap((resource) =>
      resource.kind === 'element' && resource.table === family ? [resource] : [],
    );
  }

  tunnelEntries(): readonly never[] {
    return [];
  }

  watch(listener: (event: KernelEvent) => void): () => void {
    this.tell = listener;
    return () => {
      this.tell = () => {};
    };
  }

  link(name: string): { readonly up: boolean; readonly master: number } | undefined {
    const link = this.resources.get(`link ${name}`);
    if (link === undefined) return undefined;
    return { up: true, master: link.kind === 'veth' && this.resources.has(`link ${link.bridge}`) ? 1 : 0 };
  }

  linkNames(): ReadonlyMap<number, string> {
    return new Map();
  }

  addressesOf(name: string): readonly Ip[] | undefined {
    return this.#foreignBridges[name]?.addresses.map(({ address }) => address);
  }

  mtuAt(_address: Ip): number | undefined {
    return undefined;
  }

  foreignChains(): readonly ForeignChain[] {
    return this.chains;
  }

  firewall(): Firewall {
    return { chains: [], rules: [] };
  }

  legacyFirewall(): readonly LegacyFirewall[] {
    return [];
  }

  linkCounters(): ReadonlyMap<string, LinkCounters> {
    return this.counters;
  }

  innerCounters(): ReadonlyMap<string, LinkCounters> {
    return this.counters;
  }

  publishedConnections(): ReadonlyMap<string, number> {
    return this.connections;
  }

  countPublished(): { read(): readonly PortTraffic[]; close(): void } {
    return { read: () => [], close: () => {} };
  }

  ruleCounters(): readonly RuleCounter[] {
    return [];
  }

  async openConnections(): Promise<ReadonlyMap<Ip, OpenConnections>> {
    return new Map();
  }

  uplinks(): readonly TopologyUplink[] {
    return this.uplink === undefined ? [] : [this.uplink];
  }

  inventory(): Inventory {
    return { links: [], addresses: [], routes: [] };
  }

  sysctl(): string | undefined {
    return undefined;
  }

  host(): HostFacts {
    return {
      usedPrefixes: [],
      localAddresses: ['127.0.0.1'],
      ephemeralPorts: { first: 32768, last: 60999 },
      uplinkMtu: 1500,
      bridgeFirewall: true,
      ...this.#host,
    };
  }

  foreignBridge(
    ifName: IfName,
  ): { readonly addresses: readonly InterfaceAddress[]; readonly mtu: number } | undefined {
    return this.#foreignBridges[ifName];
  }

  routeLocalnet(_ifName: IfName): void {}

  enableForwarding(family: Family): void {
    this.forwarding.add(family);
  }

  inNetns<T>(netns: NetnsPath, body: () => T extends PromiseLike<unknown> ? never : T): T {
    if (!this.resources.has(`netns ${netns}`)) throw new KernelError(`no namespace ${netns}`, 'ENOENT');
    return body();
  }

  bindInside(): { readonly udp: number; readonly tcp: number } {
    throw new KernelError('there are no sockets in a fake kernel', 'ENOSYS');
  }

  datagramInside(): number {
    throw new KernelError('there are no sockets in a fake kernel', 'ENOSYS');
  }

  wholeDatagramsInside(): number {
    throw new KernelError('there are no sockets in a fake kernel', 'ENOSYS');
  }

  async echo(): Promise<EchoOutcome> {
    return 'silent';
  }

  announce(): void {}

  announceNeighbour(_bridge: IfName, address: Ip, mac: Mac): void {
    this.announced.push(`${address} ${mac}`);
  }

  forgetConnections(address: Ip): void {
    this.forgotten.push(address);
  }

  forgetPublished(
    protocol: Protocol,
    ports: { readonly first: number; readonly last: number },
    leadsTo: Ip,
  ): void {
    this.forgotten.push(`${protocol} ${ports.first}-${ports.last} but to ${leadsTo}`);
  }

  canLogDrops(): boolean {
    return false;
  }

  /** Gives what is put into `connectionReports`, once. */
  hearConnections(): ConnectionSource {
    const nothing = { connections: [], bridged: [], lost: 0, more: false };
    return {
      ...this.#heard('connections'),
      trackedOnBridges: new Set(['ipv4']),
      read: () => this.connectionReports.splice(0)[0] ?? nothing,
    };
  }

  /** Gives what is put into `dropReports`, once. */
  hearDrops(): DropSource {
    const nothing = { drops: [], foreignDrops: [], lost: 0, more: false };
    return { ...this.#heard('drops'), read: () => this.dropReports.splice(0)[0] ?? nothing };
  }

  putBack(): void {}

  #heard(what: 'connections' | 'drops'): { readonly missing: readonly string[]; close(): void } {
    this.heard.add(what);
    return { missing: [], close: () => void this.heard.delete(what) };
  }

  async probe(): Promise<ProbeFacts> {
    throw new KernelError('nothing is sent in a fake kernel', 'ENOSYS');
  }

  close(): void {
    this.closed = true;
  }

  #carryOut(change: Change): void {
    if (this.#failIn !== undefined && --this.#failIn === 0) {
      this.#failIn = undefined;
      throw new KernelError('told to fail', 'EIO', change.resource);
    }
    const { resource } = change;
    const key = resourceKey(resource);
    if (change.op === 'create') {
      if (
        resource.kind === 'host-port' &&
        this.#isTaken(resource.protocol, resource.address, resource.port)
      ) {
        throw new HostPortTaken(`${key}: address already in use`, 'EADDRINUSE', resource);
      }
      // As nft does, an element that is there with the same value is accepted.
      const present = this.resources.get(key);
      const same = present !== undefined && JSON.stringify(present) === JSON.stringify(resource);
      if (present !== undefined && resource.kind !== 'ruleset' && !(resource.kind === 'element' && same)) {
        throw new KernelError(`${key}: file exists`, 'EEXIST', resource);
      }
    }
    if (change.op === 'replace') this.resources.delete(resourceKey(change.before));
    if (change.op === 'delete') this.resources.delete(key);
    else this.resources.set(key, resource);
    this.log.push(change);
  }

  /** 0.0.0.0 conflicts with every address of its family, as in the kernel. */
  #isTaken(protocol: Protocol, address: Ip, port: number): boolean {
    const start = `host-port ${protocol} `;
    const end = `:${port}`;
    return [...this.taken, ...this.resources.keys()].some((key) => {
      if (!key.startsWith(start) || !key.endsWith(end)) return false;
      const other = key.slice(start.length, -end.length).replace(/^\[(.*)\]$/, '$1') as Ip;
      return other === address || (familyOf(other) === familyOf(address) && (isAny(other) || isAny(address)));
    });
  }

  #restore(before: ReadonlyMap<string, Resource>): void {
    this.resources.clear();
    for (const [key, resource] of before) this.resources.set(key, resource);
  }
}
