import type { EndpointSettings, NetworkSettings } from '@docker/node-sdk';
import type { NetnsPath } from '../model/address.ts';
import type { Endpoint, Network, Sandbox } from '../model/network.ts';

/** A container's part of the network, as the container side asks for it at every start. */
export interface AttachRequest {
  readonly containerId: string;
  /** Without the leading slash. */
  readonly containerName: string;
  readonly hostname: string;
  readonly domainname: string;
  readonly network: Network;
  /** What the user gave for this network (`NetworkingConfig.EndpointsConfig[name]`). */
  readonly settings: EndpointSettings;
  /** `HostConfig.PortBindings`; only the endpoint with the default route publishes (by `gw-priority`, then name). */
  readonly portBindings: Readonly<Record<string, readonly { HostIp?: string; HostPort?: string }[]>>;
  /** `80/tcp`…, from the image and `--expose`. */
  readonly exposedPorts: readonly string[];
  /** `-P` */
  readonly publishAll: boolean;
}

/** Everything of a container's network files (`/etc/hosts`, `/etc/hostname`, `/etc/resolv.conf`). */
export interface NetworkFilesRequest {
  readonly containerId: string;
  readonly hostname: string;
  readonly domainname: string;
  /** `name:ip` or `name:host-gateway`. */
  readonly extraHosts: readonly string[];
  /** Of `--link`. */
  readonly links: readonly { readonly address: string; readonly names: readonly string[] }[];
  readonly dns: readonly string[];
  readonly dnsSearch: readonly string[];
  readonly dnsOptions: readonly string[];
  /** `host`: copies of the host's files. */
  readonly mode: 'own' | 'host';
  /** Directory of the container under the data root; files are written there with Docker's names. */
  readonly directory: string;
}

export interface NetworkFiles {
  readonly hostsPath: string;
  readonly hostnamePath: string;
  readonly resolvConfPath: string;
}

/**
 * Networks and endpoints of this host. Synchronous up to the kernel: when a method returns, the packet path is there
 * and the promise is in the store; when it throws, nothing of it is.
 */
export interface Networking {
  /** Full id, then name, then id prefix. @throws EngineError NOT_FOUND `network REF not found` */
  resolve(ref: string): Network;
  list(): readonly Network[];
  /** The container's network namespace, made when absent (it may exist from before a restart of the daemon). */
  openSandbox(containerId: string): Sandbox;
  sandboxPath(containerId: string): NetnsPath | undefined;
  /** What has to be asked of other hosts before these networks are attached. @throws EngineError */
  prepare(networks: Readonly<Record<string, EndpointSettings>>): Promise<void>;
  /** @throws EngineError: port is already allocated, no free address, not connectable… */
  attach(request: AttachRequest): Endpoint;
  /** Removes one endpoint. @throws EngineError when the container is not connected to that network */
  detach(containerId: string, networkId: string): void;
  /** Removes every endpoint, published port and the namespace of the container; collects errors and logs them. */
  closeSandbox(containerId: string): void;
  /** A removed container has no claim on its addresses any more. */
  forget(containerId: string): void;
  endpoints(containerId: string): readonly Endpoint[];
  /** Docker's `NetworkSettings` of a container that has a sandbox; the empty one when it has none. */
  settings(containerId: string): NetworkSettings;
  writeFiles(request: NetworkFilesRequest): NetworkFiles;
  /** Answers the container's questions again after a restart of the daemon. @param dns its `--dns` servers */
  serveNames(containerId: string, dns: readonly string[]): void;
  /** From now on what others change is put right, and named where it cannot be. */
  watch(): void;
  /** What stands in the way of packets, for `docker info`. */
  warnings(): readonly string[];
  /** At start: makes the kernel what the model says, keeping everything that is already right. */
  reconcile(isAlive: (containerId: string) => boolean): void;
}
