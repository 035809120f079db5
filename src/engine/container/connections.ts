import type { EndpointSettings } from '@docker/node-sdk';
import { EngineError, forbidden, invalid, system } from '../../model/errors.ts';
import { type Endpoint, isAddressed, type Network } from '../../model/network.ts';
import { checkChosenAddresses, checkEndpointSettings } from '../network/endpoint-options.ts';
import { type Container, isOnNone, isRunning, networkMode } from './container.ts';
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
    checkEndpointSettings(settings);
    if (isAddressed(network)) checkChosenAddresses(network, settings);
    const { containers } = this.#lifecycle;
    const { id } = containers.lookUp(ref);
    await containers.locked(id, async () => {
      const container = containers.get(id);
      // Docker takes the new settings of a container that does not run.
      if (container.networks[network.name] !== undefined && isRunning(container)) {
        throw forbidden(`endpoint with name ${container.name} already exists in network ${network.name}`);
      }
      checkMode(container, network);
      if (network.name === 'bridge' && (settings.Aliases ?? []).length > 0) {
        throw invalid(
          'invalid endpoint settings:\nnetwork-scoped alias is supported only for containers in user defined networks',
        );
      }
      const before = container.networks;
      const connected = containers.update(id, { networks: { ...before, [network.name]: settings } });
      if (!isRunning(connected)) return;
      try {
        await containers.platform.networking.prepare({ [network.name]: settings });
        this.#lifecycle.network.attach(connected, network.name);
      } catch (error) {
        containers.update(id, { networks: before });
        throw causeAlone(error);
      }
    });
  }

  /** @throws EngineError SYSTEM when it is not connected */
  async disconnect(ref: string, network: Network): Promise<void> {
    const { containers } = this.#lifecycle;
    const { id } = containers.lookUp(ref);
    await containers.locked(id, async () => {
      const container = containers.get(id);
      if (networkMode(container.hostConfig).kind === 'host') {
        throw invalid(
          'cannot disconnect container from host network - container was created in host network mode',
        );
      }
      if (container.networks[network.name] === undefined) {
        throw system(`container ${id} is not connected to network ${network.name}`);
      }
      // One that the cluster took off the network has no endpoint any more.
      const { endpoints } = this.endpointsOf(id);
      if (isRunning(container) && endpoints.some(({ networkId }) => networkId === network.id)) {
        this.#lifecycle.network.detach(container, network);
      }
      const { [network.name]: _gone, ...networks } = container.networks;
      containers.update(id, { networks });
    });
  }
}

function checkMode(container: Container, network: Network): void {
  const mode = networkMode(container.hostConfig);
  if (mode.kind === 'host' || mode.kind === 'container')
    throw invalid(
      'container sharing network namespace with another container or host cannot be connected to any other network',
    );
  if (network.driver === 'host')
    throw invalid(
      'cannot connect container to host network - container must be created in host network mode',
    );
  const others = Object.keys(container.networks).some((name) => name !== network.name);
  if (others && (isOnNone(container) || network.driver === 'null')) {
    throw invalid(
      'container cannot be connected to multiple networks with one of the networks in private (none) mode',
    );
  }
}

/** What dockerd says before the cause when a container starts, it does not say when one is connected. */
function causeAlone(error: unknown): unknown {
  if (!(error instanceof EngineError)) return error;
  const words = /^(?:failed to set up container networking|invalid config for network [^:]+): /;
  return new EngineError(error.code, error.message.replace(words, ''), { cause: error });
}
