import { EngineError } from '../../model/errors.ts';
import type { Network } from '../../model/network.ts';
import type { NamespaceChoice } from '../../runtime/spec/build-spec.ts';
import type { AttachRequest, NetworkFiles } from '../networking.ts';
import { type Container, isOnNone, networkMode } from './container.ts';
import type { Containers } from './containers.ts';
import { runningPid } from './launch.ts';
import { checkLinked, linkedFrom, linkedHosts } from './links.ts';

export interface OpenNetwork {
  readonly namespace: NamespaceChoice;
  /** `/etc/hosts` and the like; another container's when its namespace is joined. */
  readonly files: NetworkFiles;
}

/** A container's way to the network at its start and end, by its network mode. */
export class ContainerNetwork {
  readonly #containers: Containers;

  constructor(containers: Containers) {
    this.#containers = containers;
  }

  /** @throws EngineError; what was opened by then is closed by `close` */
  open(container: Container): OpenNetwork {
    const { networking } = this.#containers.platform;
    const mode = networkMode(container.hostConfig);
    if (mode.kind === 'host') return { namespace: 'host', files: this.#files(container, 'host') };
    if (mode.kind === 'container') {
      const other = this.#joined(mode.ref);
      const pid = runningPid(other, 'network');
      const path = networking.sandboxPath(other.id) ?? `/proc/${pid}/ns/net`;
      const directory = this.#containers.directory(other.id);
      return {
        namespace: networkMode(other.hostConfig).kind === 'host' ? 'host' : { path },
        files: {
          hostsPath: `${directory}/hosts`,
          hostnamePath: `${directory}/hostname`,
          resolvConfPath: `${directory}/resolv.conf`,
        },
      };
    }
    checkLinked(this.#containers, container);
    const sandbox = networking.openSandbox(container.id);
    for (const request of this.attachRequests(container)) networking.attach(request);
    const files = this.#files(container, 'own');
    for (const other of linkedFrom(this.#containers, container)) this.#files(other, 'own');
    return { namespace: { path: sandbox.path }, files };
  }

  /** Connects a running container to one more network. @throws EngineError */
  attach(container: Container, networkName: string): void {
    const request = this.attachRequest(container, networkName);
    if (!hasEndpoints(request)) return;
    this.#containers.platform.networking.attach(request);
    this.#files(container, 'own');
  }

  detach(container: Container, network: Network): void {
    this.#containers.platform.networking.detach(container.id, network.id);
    this.#files(container, 'own');
  }

  /** After a restart of the daemon. */
  resume(container: Container): void {
    if (networkMode(container.hostConfig).kind !== 'networks' || isOnNone(container)) return;
    this.#containers.platform.networking.serveNames(container.id, container.hostConfig.Dns ?? []);
  }

  close(container: Container): void {
    if (networkMode(container.hostConfig).kind === 'networks')
      this.#containers.platform.networking.closeSandbox(container.id);
  }

  /** The network of `NetworkMode` first: it is `eth0`. */
  attachRequests(container: Container): readonly AttachRequest[] {
    const first = container.hostConfig.NetworkMode ?? 'bridge';
    const names = Object.keys(container.networks).toSorted(
      (a, b) => Number(b === first) - Number(a === first),
    );
    return names.map((name) => this.attachRequest(container, name)).filter(hasEndpoints);
  }

  attachRequest(container: Container, networkName: string): AttachRequest {
    const { config, hostConfig } = container;
    return {
      containerId: container.id,
      containerName: container.name,
      hostname: config.Hostname ?? '',
      domainname: config.Domainname ?? '',
      network: this.#resolve(networkName),
      settings: container.networks[networkName] ?? {},
      portBindings: Object.fromEntries(
        Object.entries(hostConfig.PortBindings ?? {}).map(([port, bindings]) => [port, bindings ?? []]),
      ),
      exposedPorts: Object.keys(config.ExposedPorts ?? {}),
      publishAll: hostConfig.PublishAllPorts ?? false,
    };
  }

  #resolve(name: string): Network {
    return prefixed('failed to set up container networking: ', () =>
      this.#containers.platform.networking.resolve(name),
    );
  }

  #joined(ref: string): Container {
    return prefixed('joining network namespace of container: ', () => this.#containers.lookUp(ref));
  }

  #files(container: Container, mode: 'own' | 'host'): NetworkFiles {
    const { config, hostConfig } = container;
    return this.#containers.platform.networking.writeFiles({
      containerId: container.id,
      hostname: config.Hostname ?? '',
      domainname: config.Domainname ?? '',
      extraHosts: hostConfig.ExtraHosts ?? [],
      links: mode === 'own' ? linkedHosts(this.#containers, container) : [],
      dns: hostConfig.Dns ?? [],
      dnsSearch: hostConfig.DnsSearch ?? [],
      dnsOptions: hostConfig.DnsOptions ?? [],
      mode,
      directory: this.#containers.directory(container.id),
    });
  }
}

/** Being on `none` makes nothing. */
const hasEndpoints = ({ network }: AttachRequest): boolean => network.driver !== 'null';

function prefixed<T>(words: string, body: () => T): T {
  try {
    return body();
  } catch (error) {
    throw error instanceof EngineError ? new EngineError(error.code, words + error.message) : error;
  }
}
