import type { Family, IfName, InterfaceAddress, Ip, Ipv4, Ipv6, Mac, NetnsPath, Prefix } from './address.ts';
import type { OpenPort, PublishedPort } from './port.ts';

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

/** What every network has that containers have addresses on. */
interface AddressedBase extends NetworkBase {
  readonly internal: boolean;
  readonly attachable: boolean;
  /** At least one of the two. */
  readonly ipv4?: Addressing<Ipv4>;
  readonly ipv6?: Addressing<Ipv6>;
  /** Name of the config-only network it was made from (`--config-from`). */
  readonly configFrom?: string;
}

export interface BridgeNetwork extends AddressedBase {
  readonly driver: 'bridge';
  readonly bridge: BridgeSettings;
}

/**
 * What may pass between a container and the outside (docs.docker.com, "Gateway modes"). `nat`: translated, and only
 * published ports. `nat-unprotected`: and every port by the container's own address. `routed`: nothing is translated,
 * published ports are open on the container's own address. `isolated`: the host has no address on the network.
 */
export type GatewayMode = 'nat' | 'nat-unprotected' | 'routed' | 'isolated';

/** The addresses of a network in one family. */
export interface Addressing<A extends Ip = Ip> {
  readonly subnet: Prefix<A>;
  /** The containers' default gateway unless `defaultGateway` names another; reserved even where no bridge has it. */
  readonly gateway: InterfaceAddress<A>;
  /** The bridge carries the gateway's address: not with `inhibit_ipv4`, nor in an isolated network. */
  readonly onBridge: boolean;
  readonly defaultGateway?: A;
  /** Dynamic addresses come from here when set (`--ip-range`, `--fixed-cidr`). */
  readonly ipRange?: Prefix<A>;
  readonly auxAddresses: Readonly<Record<string, A>>;
  readonly gatewayMode: GatewayMode;
  /** Source NAT for what leaves the bridge: off, to the outgoing interface's address, or to a chosen one. */
  readonly egress:
    | { readonly mode: 'none' }
    | { readonly mode: 'masquerade' }
    | { readonly mode: 'snat'; readonly to: A };
}

export interface BridgeSettings {
  readonly ifName: IfName;
  /** False for `-b/--bridge NAME`: the device is the user's, it is used but never created, changed or deleted. */
  readonly owned: boolean;
  readonly mac: Mac;
  readonly mtu: number;
  /** The user gave no MTU: it is that of the uplink, and changes with it. */
  readonly mtuOfUplink: boolean;
  /** Inter-container communication on this bridge (`--icc`, `enable_icc`). */
  readonly icc: boolean;
  /** Where `-p` without an address publishes (`--ip`, `host_binding_ipv4`); absent: every address of both families. */
  readonly hostBinding?: Ip;
  /** Hosts behind these may use published ports by the container's own address (`trusted_host_interfaces`). */
  readonly trustedInterfaces: readonly IfName[];
  /** What interfaces in containers are called before their number (`container_iface_prefix`). */
  readonly ifPrefix: string;
}

/** linux/if_link.h, `enum macvlan_mode` (docs.docker.com, "Macvlan network driver"). */
export type MacvlanMode = 'bridge' | 'private' | 'vepa' | 'passthru';

/** Containers with MACs of their own on the network of an interface of the host. */
export interface MacvlanNetwork extends AddressedBase {
  readonly driver: 'macvlan';
  readonly macvlan: {
    readonly parent: IfName;
    readonly mode: MacvlanMode;
    /** Absent: the parent's. */
    readonly mtu?: number;
    readonly ifPrefix: string;
  };
}

/** One network over many hosts; what all hosts agree on is in the cluster store. */
export interface OverlayNetwork extends AddressedBase {
  readonly driver: 'overlay';
  readonly overlay: {
    /** VXLAN network identifier, 24 bits. */
    readonly vni: number;
    readonly bridge: IfName;
    readonly vxlan: IfName;
    /** Absent: what the uplink leaves. */
    readonly mtu?: number;
  };
}

/** Networks that containers have addresses on. */
export type AddressedNetwork = BridgeNetwork | MacvlanNetwork | OverlayNetwork;

/** The bridge network by which containers on overlay networks reach the outside, and are published. */
export const GATEWAY_NETWORK = 'docker_gwbridge';

export interface HostNetwork extends NetworkBase {
  readonly driver: 'host';
}
export interface NullNetwork extends NetworkBase {
  readonly driver: 'null';
}

/** A template for other networks (`--config-only`); nothing in the kernel, and nobody connects to it. */
export interface ConfigNetwork extends NetworkBase {
  readonly driver: 'config-only';
  /** Body members of `POST /networks/create` that a network made from it takes over. */
  readonly template: Readonly<Record<string, unknown>>;
}

export type Network = AddressedNetwork | HostNetwork | NullNetwork | ConfigNetwork;

/** The network namespace of one container, made and held by the engine; one sandbox has zero or more endpoints. */
export interface Sandbox {
  /** 64 lower-case hex digits. */
  readonly id: string;
  readonly containerId: string;
  readonly path: NetnsPath;
}

export interface EndpointAddress<A extends Ip = Ip> extends InterfaceAddress<A> {
  /** Set on the endpoint that carries the sandbox's default route of this family. */
  readonly gateway?: A;
}

/** A container's place on a network: an interface, an address in each family, its published ports. */
export interface Endpoint {
  /** 64 lower-case hex digits. */
  readonly id: string;
  readonly networkId: string;
  readonly sandboxId: string;
  readonly containerId: string;
  readonly containerName: string;
  readonly mac: Mac;
  readonly ipv4?: EndpointAddress<Ipv4>;
  readonly ipv6?: EndpointAddress<Ipv6>;
  /** `--link-local-ip`: further addresses of the inner interface. */
  readonly linkLocal: readonly InterfaceAddress[];
  /** Settings of the inner interface (`com.docker.network.endpoint.sysctls`), names with slashes. */
  readonly sysctls: Readonly<Record<string, string>>;
  /** `vethXXXXXXX` on the host, in the bridge; absent where there is no such end (macvlan). */
  readonly hostIfName?: IfName;
  /** `eth0`… inside the sandbox. */
  readonly ifName: IfName;
  readonly aliases: readonly string[];
  readonly published: readonly PublishedPort[];
  /** Open on the endpoint's own address, in families whose gateway mode is `routed`. */
  readonly opened: readonly OpenPort[];
}

export function isAddressed(network: Network | undefined): network is AddressedNetwork {
  return network?.driver === 'bridge' || network?.driver === 'macvlan' || network?.driver === 'overlay';
}

/** The addresses an endpoint has, IPv4 first. */
export function addressesOf(endpoint: Pick<Endpoint, Family>): readonly EndpointAddress[] {
  return [endpoint.ipv4, endpoint.ipv6].filter((address) => address !== undefined);
}

/** A network's families, IPv4 first. */
export function familiesOf(network: Pick<AddressedNetwork, Family>): readonly Addressing[] {
  return [network.ipv4, network.ipv6].filter((addressing) => addressing !== undefined);
}
