import {
  type AddressedNetwork,
  GATEWAY_NETWORK,
  isAddressed,
  type Network,
  type Sandbox,
} from '../../model/network.ts';
import type { AttachRequest } from '../networking.ts';
import type { Endpoints } from './endpoints.ts';
import type { NetworkRegistry } from './network-registry.ts';
import type { SandboxTable } from './sandbox-table.ts';

/** The bridge network by which a container on an overlay network reaches the outside: nobody's choice, and nobody's concern. */
export class GatewayNetwork {
  readonly #registry: NetworkRegistry;
  readonly #table: SandboxTable;
  readonly #endpoints: Endpoints;
  readonly #make: (request: object) => Network | Promise<Network>;

  constructor(
    registry: NetworkRegistry,
    table: SandboxTable,
    endpoints: Endpoints,
    make: (request: object) => Network | Promise<Network>,
  ) {
    this.#registry = registry;
    this.#table = table;
    this.#endpoints = endpoints;
    this.#make = make;
  }

  /** Where there is no other way out. @throws EngineError */
  give(request: AttachRequest, sandbox: Sandbox): void {
    if (this.#table.endpoints(sandbox.id).some(({ ipv4 }) => ipv4?.gateway !== undefined)) return;
    this.#endpoints.attach({ ...request, settings: {} }, this.#network(), sandbox);
  }

  /** When no overlay network is left. */
  take(sandbox: Sandbox): void {
    const networks = this.#table
      .endpoints(sandbox.id)
      .map((endpoint) => ({ endpoint, network: this.#registry.get(endpoint.networkId) }));
    if (networks.some(({ network }) => network?.driver === 'overlay')) return;
    const gateway = networks.find(({ network }) => network?.name === GATEWAY_NETWORK);
    if (gateway !== undefined) this.#endpoints.detach(sandbox, gateway.endpoint);
  }

  #network(): AddressedNetwork {
    const known = this.#registry.list().find(({ name }) => name === GATEWAY_NETWORK);
    if (isAddressed(known)) return known;
    const made = this.#make({
      Name: GATEWAY_NETWORK,
      Options: {
        'com.docker.network.bridge.name': GATEWAY_NETWORK,
        'com.docker.network.bridge.enable_icc': 'false',
      },
    });
    if (made instanceof Promise || !isAddressed(made)) throw new Error('the gateway network is a bridge');
    return made;
  }
}
