import type { IfName, InterfaceAddress, Ipv4, Prefix } from '../model/address.ts';

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
  readonly defaultUlimits: Readonly<
    Record<string, { readonly Name: string; readonly Soft: number; readonly Hard: number }>
  >;
  readonly cgroupParent: string;
  readonly network: NetworkConfig;
}

export interface NetworkConfig {
  /** `-b/--bridge`: an existing bridge, or `none` for no default network. */
  readonly bridge?: IfName | 'none';
  readonly bip?: InterfaceAddress;
  readonly fixedCidr?: Prefix;
  readonly defaultGateway?: Ipv4;
  readonly dns: readonly string[];
  readonly dnsSearch: readonly string[];
  readonly dnsOpts: readonly string[];
  readonly ip: Ipv4;
  readonly mtu?: number;
  readonly icc: boolean;
  readonly ipMasq: boolean;
  readonly ipForward: boolean;
  readonly hostGatewayIp?: string;
  readonly defaultAddressPools: readonly { readonly base: Prefix; readonly size: number }[];
}
