import type { Family, IfName, InterfaceAddress, Ip, Ipv4, Mac, NetnsPath } from '../model/address.ts';
import type { LegacyFirewall, ListenerFacts, NamespaceFacts } from '../model/kernel-facts.ts';
import type { Protocol } from '../model/port.ts';
import type { ProbeFacts, ProbeRequest } from '../model/probe.ts';
import type { LinkCounters, TopologyUplink } from '../model/topology.ts';
import type { Change, ElementResource, InnerInterface, Resource } from '../plan/resource.ts';
import type { TableFamily } from '../plan/rule.ts';
import type { SettingNote } from './accounting.ts';
import type { KernelEvent } from './change-monitor.ts';
import type { RuleCounter } from './drop-counters.ts';
import type { EchoOutcome } from './echo.ts';
import type { Firewall } from './firewall-rules.ts';
import type { ForeignChain } from './foreign-firewall.ts';
import type { Inventory } from './inventory.ts';
import type { AskedPort } from './namespace-reader.ts';
import type { OpenConnections } from './open-connections.ts';
import type { PublishedTraffic } from './published-traffic.ts';
import type { ConnectionSource, DropSource } from './traffic.ts';

/**
 * The one edge to the kernel. Everything is synchronous: an operation takes well under a millisecond, and nothing
 * else of the daemon can run between two changes of one transaction.
 */
export interface Kernel {
  /**
   * Carries out the changes in order; elements of one call are committed in one nft transaction.
   * When one fails, those already done are undone, newest first, and the error is thrown.
   * @throws KernelError with errno name, the resource and what was tried; HostPortTaken for EADDRINUSE
   */
  apply(changes: readonly Change[]): void;
  /** Like apply, but goes on after a failure and returns what failed: for teardown. */
  tearDown(changes: readonly Change[]): readonly KernelError[];
  /** What of ours (by mark) is in the kernel now. Costs a listing: for start and drift checks, never per operation. */
  observe(): readonly Resource[];
  /**
   * Tells what others do to the kernel's network, soon after it happened; what the engine does itself is told too, but
   * for changes of its tables. One listener. @returns ends it
   */
  watch(listener: (event: KernelEvent) => void): () => void;
  /** A link of this namespace; undefined when there is none. */
  link(name: string): { readonly up: boolean; readonly master: number } | undefined;
  /** Names of the links of this namespace, by index. Costs a listing. */
  linkNames(): ReadonlyMap<number, string>;
  /** Addresses of an interface; undefined when there is none of that name. */
  addressesOf(name: string): readonly Ip[] | undefined;
  /** MTU of the interface that has the address; undefined when none has. */
  mtuAt(address: Ip): number | undefined;
  /** Chains of others that let nothing be forwarded by default. Costs a listing. */
  foreignChains(): readonly ForeignChain[];
  /**
   * What decides about packets in a namespace now, but for `listeners`. Costs some dumps: for questions, never per
   * operation. @param netns the host's when absent. @throws KernelError
   */
  namespace(netns?: NetnsPath): NamespaceFacts;
  /** Who waits for clients on these ports, and which program that is. Walks /proc. @throws KernelError */
  listeners(asked: readonly AskedPort[], netns?: NetnsPath): readonly ListenerFacts[];
  /** What is in one of the engine's tables; undefined when there is no such table. Costs a listing when something changed. */
  elements(family: TableFamily): readonly ElementResource[] | undefined;
  /** Which address a tunnel's host entries lead to. Costs a listing. */
  tunnelEntries(): readonly TunnelEntry[];
  /** Base chains and rules, of others too. Costs a listing. */
  firewall(): Firewall;
  /** Rules of iptables-legacy, which `firewall` does not have. Runs a process for each family that has tables of it. */
  legacyFirewall(): readonly LegacyFirewall[];
  /** Links, addresses and routes, of others too. Costs listings. */
  inventory(): Inventory;
  /** A setting below `/proc/sys`, with slashes; undefined when the kernel has none of that name. */
  sysctl(name: string): string | undefined;
  /** Counters of all links of this namespace by name. One dump. @throws KernelError */
  linkCounters(): ReadonlyMap<string, LinkCounters>;
  /** The same inside a namespace, in one listing. @throws KernelError ENOENT when it is gone */
  innerCounters(netns: NetnsPath): ReadonlyMap<string, LinkCounters>;
  /** Connections translated for each published port, by `tcp 0.0.0.0 8080`. Costs a listing. @throws KernelError */
  publishedConnections(): ReadonlyMap<string, number>;
  /** Counts what passes for published ports from now on, until it is closed. @throws KernelError before Linux 5.12 */
  countPublished(): Pick<PublishedTraffic, 'read' | 'close'>;
  /** What rules of the engine's tables that drop have dropped. Costs a listing of the rules. @throws KernelError */
  ruleCounters(): readonly RuleCounter[];
  /** Connections that are tracked now, from and to each of the addresses. One dump. @throws KernelError */
  openConnections(addresses: readonly Ip[]): Promise<ReadonlyMap<Ip, OpenConnections>>;
  /** The interfaces with default routes. Costs a listing. @throws KernelError */
  uplinks(): readonly TopologyUplink[];
  /** Facts of the host that planning needs. */
  host(): HostFacts;
  /** A foreign bridge's address and MTU, for `-b/--bridge`; undefined when there is no such device. */
  foreignBridge(
    ifName: IfName,
  ): { readonly addresses: readonly InterfaceAddress[]; readonly mtu: number } | undefined;
  /** `route_localnet` of a bridge that is not ours, without which 127.0.0.1:PORT leads to nothing behind it. */
  routeLocalnet(ifName: IfName): void;
  /**
   * Switches forwarding of a family on, without touching any policy. Interfaces that are configured by IPv6 router
   * advertisements stay so (accept_ra=2, ip-sysctl): forwarding alone would end that.
   */
  enableForwarding(family: Family): void;
  /** Runs `body` with the calling thread in `netns`, and comes back whatever happens. `body` must not return a promise. */
  inNetns<T>(netns: NetnsPath, body: () => T extends PromiseLike<unknown> ? never : T): T;
  /** Sockets bound to one port of a namespace, to be served from here; the caller owns the descriptors. @throws KernelError */
  bindInside(netns: NetnsPath, address: Ipv4, port: number): { readonly udp: number; readonly tcp: number };
  /** A datagram socket of a namespace, for asking from there; the caller owns it. @throws KernelError */
  datagramInside(netns: NetnsPath, family: Family): number;
  /** An IPv4 datagram socket of a namespace whose packets are never cut in pieces; 0 is a port of the kernel's choice. */
  wholeDatagramsInside(netns: NetnsPath, port: number): number;
  /** Whether a host answers an ICMP echo. @throws KernelError EADDRNOTAVAIL when `from` is no address of this host */
  echo(to: Ip, from: Ip | undefined, milliseconds: number): Promise<EchoOutcome>;
  /** Tells the neighbours of an endpoint whose its addresses are. @throws KernelError */
  announce(inner: InnerInterface): void;
  /** Tells who is on a bridge which MAC an address has whose owner is on another host. @throws KernelError */
  announceNeighbour(bridge: IfName, address: Ip, mac: Mac): void;
  /** Deletes conntrack entries that touch this address (as original or reply endpoint), after it is gone. Done in the background. */
  forgetConnections(address: Ip): void;
  /**
   * Deletes conntrack entries that came for these host ports and lead elsewhere than to `leadsTo`: a UDP client would
   * else go on to where the port led before. In the background.
   */
  forgetPublished(
    protocol: Protocol,
    ports: { readonly first: number; readonly last: number },
    leadsTo: Ip,
  ): void;
  /** Whether rules that drop can tell of it, by nflog. */
  canLogDrops(): boolean;
  /**
   * Connections of the host from now on, until it is closed.
   * @param note what is changed for it, to be put back by `putBack` should the daemon be killed meanwhile
   */
  hearConnections(note: SettingNote): ConnectionSource;
  /** Dropped packets of the host from now on, until it is closed; only one may hear them. */
  hearDrops(): DropSource;
  /** What a daemon that was killed had changed for hearing. @throws KernelError */
  putBack(note: SettingNote): void;
  /** Sends one real packet and sees what becomes of it; one probe at a time. @throws KernelError */
  probe(request: ProbeRequest): Promise<ProbeFacts>;
  /** Closes sockets and netlink handles; containers and rules stay. */
  close(): void;
}

/** An address that has a MAC which has a host: what an overlay network's tunnel knows of a container elsewhere. */
export interface TunnelEntry {
  /** Index of the tunnel's link. */
  readonly link: number;
  readonly address: Ip;
  readonly host: Ip;
}

export interface HostFacts {
  /** On-link routes and addresses of the host: automatic subnets must not overlap these. */
  readonly usedPrefixes: readonly InterfaceAddress[];
  readonly localAddresses: readonly string[];
  /** `net.ipv4.ip_local_port_range`. */
  readonly ephemeralPorts: { readonly first: number; readonly last: number };
  /** MTU of the interface that carries the default route; 1500 without one. */
  readonly uplinkMtu: number;
  /** The firewall sees what a bridge hands on between its ports (br_netfilter, `bridge-nf-call-iptables`). */
  readonly bridgeFirewall: boolean;
}

export class KernelError extends Error {
  override readonly name: string = 'KernelError';
  readonly errno: string;
  readonly resource: Resource | undefined;
  constructor(message: string, errno: string, resource?: Resource, options?: ErrorOptions) {
    super(message, options);
    this.errno = errno;
    this.resource = resource;
  }
}

/** The host port is bound by a program that is not ours. */
export class HostPortTaken extends KernelError {
  override readonly name = 'HostPortTaken';
}
