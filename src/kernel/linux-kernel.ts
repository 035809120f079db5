import type { Family, IfName, InterfaceAddress, Ip, Ipv4, Mac, NetnsPath } from '../model/address.ts';
import type { LegacyFirewall, ListenerFacts, NamespaceFacts } from '../model/kernel-facts.ts';
import type { Protocol } from '../model/port.ts';
import type { ProbeFacts, ProbeRequest } from '../model/probe.ts';
import type { LinkCounters, TopologyUplink } from '../model/topology.ts';
import type { Change, ElementResource, InnerInterface, Resource } from '../plan/resource.ts';
import type { TableFamily } from '../plan/rule.ts';
import { putBack } from './accounting.ts';
import { Applier, type KernelParts } from './applier.ts';
import { ChangeMonitor, type KernelEvent } from './change-monitor.ts';
import { type ConnectionFilter, cameFor, forget, touches } from './conntrack.ts';
import { type RuleCounter, ruleCounters } from './drop-counters.ts';
import { canLogDrops } from './drop-log.ts';
import { type EchoOutcome, echo } from './echo.ts';
import { type Firewall, firewall } from './firewall-rules.ts';
import { type ForeignChain, foreignChains } from './foreign-firewall.ts';
import { enableForwarding } from './forwarding.ts';
import { foreignBridge, hostFacts } from './host-facts.ts';
import { HostPorts } from './host-port.ts';
import { announce } from './inner-interface.ts';
import { bindInside, datagramInside, wholeDatagramsInside } from './inside-sockets.ts';
import { type Inventory, inventory } from './inventory.ts';
import type { HostFacts, Kernel, KernelError, TunnelEntry } from './kernel.ts';
import { readLegacyFirewall } from './legacy-firewall.ts';
import { raiseOpenFileLimit, reserveDescriptors } from './libc.ts';
import { isGone } from './link.ts';
import { type AskedPort, readListeners, readNamespace } from './namespace-reader.ts';
import { announceNeighbour } from './neighbour-announcement.ts';
import { NetnsSwitch } from './netns.ts';
import { NftTable } from './nft-table.ts';
import { Nftables } from './nftables.ts';
import { observe } from './observer.ts';
import { type OpenConnections, openConnections } from './open-connections.ts';
import { publishedConnections } from './port-counters.ts';
import { probe } from './probe.ts';
import { PublishedTraffic } from './published-traffic.ts';
import { RouteSocket } from './rtnetlink.ts';
import { RulesetGeneration } from './ruleset-generation.ts';
import { readSysctl, writeSysctl } from './sysctl.ts';
import { hearConnections, hearDrops } from './traffic.ts';
import { innerCounters, LinkStatistics, uplinks } from './traffic-counters.ts';

const PROTOCOL_NUMBERS: Readonly<Record<Protocol, number>> = { tcp: 6, udp: 17, sctp: 132 };

/** Time for the answer to the client to be on its way. */
const FORGET_AFTER_MS = 20;

/** 64 kB of kernel memory. */
const DESCRIPTORS = 8192;

export interface LinuxKernelOptions {
  /** Where the persistent network namespaces are kept, one file each; made when absent. */
  readonly netnsDirectory: string;
  /** Debug notes: a port not held, an undo that failed. */
  readonly log?: (message: string) => void;
}

/**
 * The kernel of this machine, in the network namespace of the thread that makes the object (the daemon's main thread;
 * every method must be called from it). Needs CAP_NET_ADMIN and CAP_SYS_ADMIN.
 */
export class LinuxKernel implements Kernel {
  readonly #nft: Nftables;
  readonly #parts: KernelParts;
  readonly #applier: Applier;
  readonly #netnsDirectory: string;
  readonly #statistics: LinkStatistics;
  readonly #generation = new RulesetGeneration();
  /** Listings of the engine's tables, good as long as nobody changed anything in nftables. */
  #listed:
    | { generation: number; elements: Map<TableFamily, readonly ElementResource[] | undefined> }
    | undefined;
  readonly #toForget: ConnectionFilter[] = [];
  #probing: Promise<unknown> = Promise.resolve();

  /** @throws KernelError EPERM without the capabilities, ENOENT without libnftables */
  constructor(options: LinuxKernelOptions) {
    const log = options.log ?? (() => {});
    this.#netnsDirectory = options.netnsDirectory;
    this.#nft = new Nftables();
    this.#parts = {
      routes: new RouteSocket(),
      namespaces: new NetnsSwitch(),
      table: new NftTable(this.#nft),
      ports: new HostPorts(log),
      log,
    };
    this.#applier = new Applier(this.#parts);
    this.#statistics = new LinkStatistics(this.#parts.routes);
    // A held port is a descriptor, and ranges are published by the thousand.
    reserveDescriptors(Math.min(raiseOpenFileLimit(), DESCRIPTORS));
  }

  apply(changes: readonly Change[]): void {
    this.#applier.apply(changes);
  }

  tearDown(changes: readonly Change[]): readonly KernelError[] {
    return this.#applier.tearDown(changes);
  }

  observe(): readonly Resource[] {
    return observe(this.#parts, this.#netnsDirectory);
  }

  watch(listener: (event: KernelEvent) => void): () => void {
    const monitor = new ChangeMonitor(listener);
    return () => monitor.close();
  }

  link(name: string): { readonly up: boolean; readonly master: number } | undefined {
    try {
      return this.#parts.routes.link(name);
    } catch (error) {
      if (isGone(error)) return undefined;
      throw error;
    }
  }

  linkNames(): ReadonlyMap<number, string> {
    return new Map(this.#parts.routes.links().map(({ index, name }) => [index, name]));
  }

  addressesOf(name: string): readonly Ip[] | undefined {
    const { routes } = this.#parts;
    try {
      const { index } = routes.link(name);
      return routes.addresses().flatMap(({ link, address }) => (link === index ? [address] : []));
    } catch (error) {
      if (isGone(error)) return undefined;
      throw error;
    }
  }

  mtuAt(address: Ip): number | undefined {
    const { routes } = this.#parts;
    const holder = routes.addresses().find((each) => each.address === address);
    return routes.links().find(({ index }) => index === holder?.link)?.mtu;
  }

  foreignChains(): readonly ForeignChain[] {
    return foreignChains(this.#nft);
  }

  namespace(netns?: NetnsPath): NamespaceFacts {
    return netns === undefined ? readNamespace() : this.#parts.namespaces.inside(netns, readNamespace);
  }

  listeners(asked: readonly AskedPort[], netns?: NetnsPath): readonly ListenerFacts[] {
    const read = (): readonly ListenerFacts[] => readListeners(asked);
    return netns === undefined ? read() : this.#parts.namespaces.inside(netns, read);
  }

  elements(family: TableFamily): readonly ElementResource[] | undefined {
    const generation = this.#generation.now();
    if (this.#listed?.generation !== generation) this.#listed = { generation, elements: new Map() };
    const { elements } = this.#listed;
    if (!elements.has(family)) elements.set(family, this.#parts.table.list(family)?.elements);
    return elements.get(family);
  }

  tunnelEntries(): readonly TunnelEntry[] {
    const { routes } = this.#parts;
    const hosts = new Map(routes.forwardings().map(({ link, mac, host }) => [`${link} ${mac}`, host]));
    return routes.neighbours().flatMap(({ link, address, mac }) => {
      const host = hosts.get(`${link} ${mac}`);
      return host === undefined ? [] : [{ link, address, host }];
    });
  }

  firewall(): Firewall {
    return firewall(this.#nft);
  }

  legacyFirewall(): readonly LegacyFirewall[] {
    return readLegacyFirewall();
  }

  inventory(): Inventory {
    return inventory(this.#parts.routes);
  }

  sysctl(name: string): string | undefined {
    return readSysctl(name);
  }

  linkCounters(): ReadonlyMap<string, LinkCounters> {
    return this.#statistics.read();
  }

  innerCounters(netns: NetnsPath): ReadonlyMap<string, LinkCounters> {
    return this.#parts.namespaces.inside(netns, innerCounters);
  }

  publishedConnections(): ReadonlyMap<string, number> {
    return publishedConnections();
  }

  countPublished(): PublishedTraffic {
    return new PublishedTraffic();
  }

  ruleCounters(): readonly RuleCounter[] {
    return ruleCounters();
  }

  openConnections(addresses: readonly Ip[]): Promise<ReadonlyMap<Ip, OpenConnections>> {
    return openConnections(addresses);
  }

  uplinks(): readonly TopologyUplink[] {
    return uplinks(this.#parts.routes);
  }

  host(): HostFacts {
    return hostFacts(this.#parts.routes);
  }

  foreignBridge(
    ifName: IfName,
  ): { readonly addresses: readonly InterfaceAddress[]; readonly mtu: number } | undefined {
    return foreignBridge(this.#parts.routes, ifName);
  }

  routeLocalnet(ifName: IfName): void {
    writeSysctl(`net/ipv4/conf/${ifName}/route_localnet`, '1');
  }

  enableForwarding(family: Family): void {
    enableForwarding(this.#parts.routes, family);
  }

  inNetns<T>(netns: NetnsPath, body: () => T extends PromiseLike<unknown> ? never : T): T {
    return this.#parts.namespaces.inside<T>(netns, body);
  }

  bindInside(netns: NetnsPath, address: Ipv4, port: number): { readonly udp: number; readonly tcp: number } {
    return bindInside(this.#parts.namespaces, netns, address, port);
  }

  datagramInside(netns: NetnsPath, family: Family): number {
    return datagramInside(this.#parts.namespaces, netns, family);
  }

  wholeDatagramsInside(netns: NetnsPath, port: number): number {
    return wholeDatagramsInside(this.#parts.namespaces, netns, port);
  }

  echo(to: Ip, from: Ip | undefined, milliseconds: number): Promise<EchoOutcome> {
    return echo(to, from, milliseconds);
  }

  announce(inner: InnerInterface): void {
    announce(this.#parts.namespaces, inner);
  }

  announceNeighbour(bridge: IfName, address: Ip, mac: Mac): void {
    announceNeighbour(this.#parts.routes, bridge, address, mac);
  }

  forgetConnections(address: Ip): void {
    this.#forgetSoon(touches(address));
  }

  forgetPublished(
    protocol: Protocol,
    ports: { readonly first: number; readonly last: number },
    leadsTo: Ip,
  ): void {
    this.#forgetSoon(cameFor(PROTOCOL_NUMBERS[protocol], ports, leadsTo));
  }

  /**
   * One walk through the kernel's table for all that was asked meanwhile. Another thread walks, but the kernel does not
   * give way while it does, and a thread that was just woken runs where its waker ran: begun at once, it would keep this
   * one off the processor for those 9 ms.
   */
  #forgetSoon(filter: ConnectionFilter): void {
    this.#toForget.push(filter);
    if (this.#toForget.length > 1) return;
    setTimeout(() => void forget(this.#toForget.splice(0)), FORGET_AFTER_MS);
  }

  canLogDrops(): boolean {
    return canLogDrops(this.#nft);
  }

  readonly hearConnections = hearConnections;
  readonly hearDrops = hearDrops;
  readonly putBack = putBack;

  probe(request: ProbeRequest): Promise<ProbeFacts> {
    const facts = this.#probing.then(() => probe(this.#parts, this.#netnsDirectory, request));
    this.#probing = facts.catch(() => undefined);
    return facts;
  }

  close(): void {
    this.#parts.ports.close();
    this.#generation.close();
    this.#parts.routes.close();
    this.#parts.namespaces.close();
    this.#nft.close();
  }
}
