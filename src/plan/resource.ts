import type { IfName, InterfaceAddress, Ipv4, Mac, NetnsPath } from '../model/address.ts';
import type { Protocol } from '../model/port.ts';

/**
 * The kernel objects the engine can want. Plan makes them from the model, the kernel observes them, diff compares the
 * two, apply carries out the difference. Every resource has a key that is unique among wanted and observed ones.
 */
export type Resource =
  | NetnsResource
  | BridgeResource
  | VethResource
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
  readonly addresses: readonly InterfaceAddress[];
  /** `net.ipv4.conf.<bridge>.route_localnet`: lets 127.0.0.1:PORT be translated to a container behind this bridge. */
  readonly routeLocalnet: boolean;
}

/** A veth pair: `hostIfName` in the daemon's namespace as a port of `bridge`, `ifName` inside `netns`. */
export interface VethResource {
  readonly kind: 'veth';
  readonly hostIfName: IfName;
  readonly bridge: IfName;
  readonly netns: NetnsPath;
  readonly ifName: IfName;
  readonly mac: Mac;
  readonly mtu: number;
  readonly address: InterfaceAddress;
  /** Default route inside, when this is the sandbox's gateway endpoint. */
  readonly gateway?: Ipv4;
  /** The bridge hands nothing on between isolated ports. */
  readonly isolated?: true;
}

/** The fixed part of the engine's nftables table: chains, rules, and the empty maps and sets. There is one. */
export interface RulesetResource {
  readonly kind: 'ruleset';
  /** The whole table in nft syntax, without elements. */
  readonly text: string;
  /** A hash of `text`, kept in the kernel as the table's mark, so that drift is seen without comparing listings. */
  readonly version: string;
}

/** One element of a map or set of the engine's table. */
export interface ElementResource {
  readonly kind: 'element';
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
  readonly address: Ipv4;
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
    case 'ruleset':
      return 'ruleset';
    case 'element':
      return `element ${r.set} ${r.key}`;
    case 'host-port':
      return `host-port ${r.protocol} ${r.address}:${r.port}`;
  }
}

export type Change =
  | { readonly op: 'create'; readonly resource: Resource }
  | { readonly op: 'replace'; readonly before: Resource; readonly resource: Resource }
  | { readonly op: 'delete'; readonly resource: Resource };
