import type { EndpointSettings } from '@docker/node-sdk';
import { forbidden, invalid } from '../../model/errors.ts';
import type { Endpoint, Network } from '../../model/network.ts';
import { type Container, isRunning, networkMode } from './container.ts';
import type { Lifecycle } from './lifecycle.ts';

/** `docker network connect` and `disconnect`: now when the container runs, and for its next starts. */
export class ContainerConnections {
  readonly #lifecycle: Lifecycle;

  constructor(lifecycle: Lifecycle) {
    this.#lifecycle = lifecycle;
  }

  endpointsOf(ref: string): { readonly container: Container; readonly endpoints: readonly Endpoint[] } {
    const container = this.#lifecycle.containers.lookUp(ref);
    return { container, endpoints: this.#lifecycle.containers.platform.networking.endpoints(container.id) };
  }

  /** @throws EngineError in Docker's words */
  async connect(ref: string, network: Network, settings: EndpointSettings): Promise<void> {
    const { containers } = this.#lifecycle;
    const { id } = containers.lookUp(ref);
    await containers.locked(id, async () => {
      const container = containers.get(id);
      checkMode(container, network);
      if (container.networks[network.name] !== undefined) {
        throw forbidden(`endpoint with name ${container.name} already exists in network ${network.name}`);
      }
      if (network.name === 'bridge' && (settings.Aliases ?? []).length > 0) {
        throw invalid(
          'invalid config for network bridge: invalid endpoint settings:\nnetwork-scoped aliases are only supported for user-defined networks',
        );
      }
      const before = container.networks;
      const connected = containers.update(id, { networks: { ...before, [network.name]: settings } });
      if (!isRunning(connected)) return;
      try {
        this.#lifecycle.network.attach(connected, network.name);
      } catch (error) {
        containers.update(id, { networks: before });
        throw error;
      }
    });
  }

  /** @throws EngineError FORBIDDEN when it is not connected */
  async disconnect(ref: string, network: Network, options: { readonly force: boolean }): Promise<void> {
    const { containers } = this.#lifecycle;
    const { id } = containers.lookUp(ref);
    await containers.locked(id, async () => {
      const container = containers.get(id);
      if (networkMode(container.hostConfig).kind === 'host') {
        throw forbidden(
          'cannot disconnect container from host network - container was created in host network mode',
        );
      }
      if (container.networks[network.name] === undefined) {
        if (options.force) return;
        throw forbidden(`container ${id} is not connected to network ${network.name}`);
      }
      if (isRunning(container)) this.#lifecycle.network.detach(container, network);
      const { [network.name]: _gone, ...networks } = container.networks;
      containers.update(id, { networks });
    });
  }
}

function checkMode(container: Container, network: Network): void {
  const mode = networkMode(container.hostConfig);
  if (mode.kind === 'host' || network.driver === 'host') {
    throw forbidden(
      'cannot connect container to host network - container must be created in host network mode',
    );
  }
  if (mode.kind === 'container')
    throw forbidden(
      'container sharing network namespace with another container or host cannot be connected to any other network',
    );
  if (mode.kind === 'none' || network.driver === 'null') {
    throw forbidden(
      'container cannot be connected to multiple networks with one of the networks in private (none) mode',
    );
  }
}
