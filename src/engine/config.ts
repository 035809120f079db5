import type { ClusterStoreConfig } from '../cluster/store-members.ts';
import type { IfName, InterfaceAddress, Ip, Ipv4, Ipv6, Prefix } from '../model/address.ts';
import type { FirewallMark } from '../plan/rule.ts';

/** The daemon's configuration after flags and `daemon.json` are merged and every value is validated. */
export interface DaemonConfig {
  /** `-H`, in the order given: `unix:///path`, `tcp://host:port`, `fd://`. */
  readonly hosts: readonly string[];
  readonly dataRoot: string;
  readonly execRoot: string;
  readonly pidfile: string;
  readonly group: string;
  readonly debug: boolean;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error' | 'fatal';
  readonly labels: readonly string[];
  readonly tls?: {
    readonly ca?: string;
    readonly cert: string;
    readonly key: string;
    readonly verify: boolean;
  };
  /** Address of a containerd that is not ours; absent: own child under the exec root. */
  readonly containerd?: string;
  readonly containerdNamespace: string;
  readonly registryMirrors: readonly string[];
  readonly insecureRegistries: readonly string[];
  readonly maxConcurrentDownloads: number;
  readonly liveRestore: boolean;
  readonly shutdownTimeout: number;
  readonly logDriver: string;
  readonly logOpts: Readonly<Record<string, string>>;
  readonly initPath?: string;
  /** `--metrics-addr` */
  readonly metrics?: { readonly host: string; readonly port: number };
  readonly defaultUlimits: Readonly<
    Record<string, { readonly Name: string; readonly Soft: number; readonly Hard: number }>
  >;
  readonly cgroupParent: string;
  /** The daemon's own way out, for pulls and pushes. */
  readonly proxies: { readonly http?: string; readonly https?: string; readonly no?: string };
  readonly cluster?: ClusterConfig;
  readonly network: NetworkConfig;
}

/** `--cluster-store` and what belongs to it. */
export interface ClusterConfig {
  readonly store: ClusterStoreConfig;
  /** `--cluster-advertise`: an interface, or an address of this host. */
  readonly advertise: string;
}

export interface NetworkConfig {
  /** `-b/--bridge`: an existing bridge, or `none` for no default network. */
  readonly bridge?: IfName | 'none';
  readonly bip?: InterfaceAddress<Ipv4>;
  readonly fixedCidr?: Prefix<Ipv4>;
  readonly defaultGateway?: Ipv4;
  /** `--ipv6`: the default network has both families. */
  readonly ipv6: boolean;
  readonly bip6?: InterfaceAddress<Ipv6>;
  readonly fixedCidrV6?: Prefix<Ipv6>;
  readonly defaultGatewayV6?: Ipv6;
  readonly dns: readonly string[];
  readonly dnsSearch: readonly string[];
  readonly dnsOpts: readonly string[];
  readonly ip: Ip;
  readonly mtu?: number;
  readonly icc: boolean;
  readonly ipMasq: boolean;
  readonly ipForward: boolean;
  /** False: no table of that family, nothing is translated or refused. */
  readonly iptables: boolean;
  readonly ip6tables: boolean;
  readonly allowDirectRouting: boolean;
  readonly bridgeAcceptFwmark?: FirewallMark;
  /** What `host-gateway` means, one of a family. */
  readonly hostGatewayIps: readonly string[];
  /** `--default-network-opt`, by driver. */
  readonly defaultNetworkOpts: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly defaultAddressPools: readonly { readonly base: Prefix; readonly size: number }[];
}
