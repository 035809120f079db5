import type { IfName, InterfaceAddress, Ip, Ipv4, Ipv6, Mac, NetnsPath } from '../model/address.ts';
import { formatSocketAddress } from '../model/address.ts';
import type { MacvlanMode } from '../model/network.ts';
import type { Protocol } from '../model/port.ts';
import type { TableFamily } from './rule.ts';

/**
 * The kernel objects the engine can want. Plan makes them from the model, the kernel observes them, diff compares the
 * two, apply carries out the difference. Every resource has a key that is unique among wanted and observed ones.
 */
export type Resource =
  | NetnsResource
  | BridgeResource
  | VethResource
  | MacvlanResource
  | VxlanResource
  | FdbResource
  | NeighbourResource
  | RulesetResource
  | ElementResource
  | HostPortResource;

/** A persistent network namespace: a file under the engine's netns directory with the namespace bind-mounted on it. */
export interface NetnsResource {
  readonly kind: 'netns';
  readonly path: NetnsPath;
}

/** A bridge device of ours, in the daemon's namespace, marked by ifalias. */
export interface BridgeResource {
  readonly kind: 'bridge';
  readonly ifName: IfName;
  readonly mac: Mac;
  readonly mtu: number;
  /** IPv6 is on when one of them is. */
  readonly addresses: readonly InterfaceAddress[];
  readonly ipv6: boolean;
  /**
   * Lets 127.0.0.1:PORT and [::1]:PORT be translated to a container behind this bridge:
   * `net.ipv4.conf.<bridge>.route_localnet`, and a local route to ::1 by the bridge for the answers.
   */
  readonly routeLocalnet: boolean;
}

/** An interface inside a sandbox. */
export interface InnerInterface {
  readonly netns: NetnsPath;
  readonly ifName: IfName;
  readonly mac: Mac;
  readonly addresses: readonly InterfaceAddress[];
  readonly ipv6: boolean;
  /** Default routes inside, when this is the sandbox's gateway endpoint. */
  readonly gateway?: Ipv4;
  readonly gateway6?: Ipv6;
  /** Of the interface, below `/proc/sys`; written, not observed. */
  readonly sysctls?: Readonly<Record<string, string>>;
}

/** A veth pair: `hostIfName` in the daemon's namespace as a port of `bridge`, `ifName` inside `netns`. */
export interface VethResource extends InnerInterface {
  readonly kind: 'veth';
  readonly hostIfName: IfName;
  readonly bridge: IfName;
  readonly mtu: number;
  /** The bridge hands nothing on between isolated ports. */
  readonly isolated?: true;
}

/** A second MAC on an interface of the host, seen inside `netns` only. Its MTU is the parent's unless given. */
export interface MacvlanResource extends InnerInterface {
  readonly kind: 'macvlan';
  readonly parent: IfName;
  readonly mode: MacvlanMode;
  readonly mtu?: number;
}

/** The tunnel end of an overlay network on this host, a port of its bridge. */
export interface VxlanResource {
  readonly kind: 'vxlan';
  readonly ifName: IfName;
  readonly bridge: IfName;
  readonly vni: number;
  readonly local: Ip;
  /** UDP. */
  readonly port: number;
  readonly mtu: number;
  /** It answers neighbour discovery as it answers ARP. */
  readonly ipv6: boolean;
}

/** On which host a MAC of an overlay network is. */
export interface FdbResource {
  readonly kind: 'fdb';
  readonly vxlan: IfName;
  readonly mac: Mac;
  readonly host: Ip;
}

/** Which MAC an address of an overlay network has. */
export interface NeighbourResource {
  readonly kind: 'neighbour';
  readonly vxlan: IfName;
  readonly address: Ip;
  readonly mac: Mac;
}

/** The fixed part of one of the engine's nftables tables: chains, rules, and the empty maps and sets. One a family. */
export interface RulesetResource {
  readonly kind: 'ruleset';
  readonly table: TableFamily;
  /** The whole table in nft syntax, without elements. */
  readonly text: string;
  /** A hash of `text`, kept in the kernel as the table's mark, so that drift is seen without comparing listings. */
  readonly version: string;
}

/** One element of a map or set of one of the engine's tables. */
export interface ElementResource {
  readonly kind: 'element';
  readonly table: TableFamily;
  readonly set: string;
  /** nft syntax, concatenation parts joined by ` . ` (`tcp . 8080`). */
  readonly key: string;
  /** Data of a map element (`172.17.0.2 . 80`); absent for a set. */
  readonly value?: string;
}

/** A host port truly held by a bound socket, so that no other program can listen on what is published. */
export interface HostPortResource {
  readonly kind: 'host-port';
  readonly protocol: Protocol;
  readonly address: Ip;
  readonly port: number;
}

export function resourceKey(r: Resource): string {
  switch (r.kind) {
    case 'netns':
      return `netns ${r.path}`;
    case 'bridge':
      return `link ${r.ifName}`;
    case 'veth':
      return `link ${r.hostIfName}`;
    case 'vxlan':
      return `link ${r.ifName}`;
    case 'fdb':
      return `fdb ${r.vxlan} ${r.mac}`;
    case 'neighbour':
      return `neighbour ${r.vxlan} ${r.address}`;
    case 'macvlan':
      return `macvlan ${r.ifName} in ${r.netns}`;
    case 'ruleset':
      return `ruleset ${r.table}`;
    case 'element':
      return `element ${r.table} ${r.set} ${r.key}`;
    case 'host-port':
      return `host-port ${r.protocol} ${formatSocketAddress(r.address, r.port)}`;
  }
}

export type Change =
  | { readonly op: 'create'; readonly resource: Resource }
  | { readonly op: 'replace'; readonly before: Resource; readonly resource: Resource }
  | { readonly op: 'delete'; readonly resource: Resource };
