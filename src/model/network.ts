import type { IfName, InterfaceAddress, Ipv4, Mac, NetnsPath, Prefix } from './address.ts';
import type { PublishedPort } from './port.ts';

/** What every network has, whatever its driver. Plain data, stored as JSON. */
interface NetworkBase {
  /** 64 lower-case hex digits. */
  readonly id: string;
  readonly name: string;
  /** RFC 3339 with nanoseconds, as Docker prints it. */
  readonly created: string;
  readonly labels: Readonly<Record<string, string>>;
  /** The driver options as the user gave them (`com.docker.network.*`), for inspect. */
  readonly options: Readonly<Record<string, string>>;
}

export interface BridgeNetwork extends NetworkBase {
  readonly driver: 'bridge';
  readonly internal: boolean;
  readonly attachable: boolean;
  readonly subnet: Prefix;
  /** The bridge's own address, which is the containers' default gateway unless `defaultGateway` names another. */
  readonly gateway: InterfaceAddress;
  readonly defaultGateway?: Ipv4;
  /** Dynamic addresses come from here when set (`--ip-range`, `--fixed-cidr`). */
  readonly ipRange?: Prefix;
  readonly auxAddresses: Readonly<Record<string, Ipv4>>;
  readonly bridge: BridgeSettings;
}

export interface BridgeSettings {
  readonly ifName: IfName;
  /** False for `-b/--bridge NAME`: the device is the user's, it is used but never created, changed or deleted. */
  readonly owned: boolean;
  readonly mac: Mac;
  readonly mtu: number;
  /** Inter-container communication on this bridge (`--icc`, `enable_icc`). */
  readonly icc: boolean;
  /** Source NAT for what leaves the bridge: off, to the outgoing interface's address, or to a chosen one. */
  readonly egress:
    | { readonly mode: 'none' }
    | { readonly mode: 'masquerade' }
    | { readonly mode: 'snat'; readonly to: Ipv4 };
  /** Where `-p` without an address publishes (`--ip`, `host_binding_ipv4`). */
  readonly hostBinding: Ipv4;
}

export interface HostNetwork extends NetworkBase {
  readonly driver: 'host';
}
export interface NullNetwork extends NetworkBase {
  readonly driver: 'null';
}

export type Network = BridgeNetwork | HostNetwork | NullNetwork;

/** The network namespace of one container, made and held by the engine; one sandbox has zero or more endpoints. */
export interface Sandbox {
  /** 64 lower-case hex digits. */
  readonly id: string;
  readonly containerId: string;
  readonly path: NetnsPath;
}

/** A container's place on a bridge network: one veth pair, one address, its published ports. */
export interface Endpoint {
  /** 64 lower-case hex digits. */
  readonly id: string;
  readonly networkId: string;
  readonly sandboxId: string;
  readonly containerId: string;
  readonly containerName: string;
  readonly mac: Mac;
  readonly address: InterfaceAddress;
  /** `vethXXXXXXX` on the host, in the bridge. */
  readonly hostIfName: IfName;
  /** `eth0`… inside the sandbox. */
  readonly ifName: IfName;
  /** Set on the endpoint that carries the sandbox's default route. */
  readonly gateway?: Ipv4;
  readonly aliases: readonly string[];
  readonly published: readonly PublishedPort[];
}
