import { forbidden, unavailable } from '../../model/errors.ts';
import { isAddressed, type OverlayNetwork, type Sandbox } from '../../model/network.ts';
import type { AttachRequest } from '../networking.ts';
import type { Endpoints } from './endpoints.ts';
import type { GatewayNetwork } from './gateway-network.ts';
import type { NetworkRegistry } from './network-registry.ts';
import type { Overlays } from './overlays.ts';
import type { SandboxTable } from './sandbox-table.ts';
import type { EndpointRecord } from './settings.ts';

export interface AttachmentsOptions {
  readonly registry: NetworkRegistry;
  readonly table: SandboxTable;
  readonly endpoints: Endpoints;
  readonly gateway: GatewayNetwork;
  /** Of a host in a cluster. */
  readonly overlays: Overlays | undefined;
}

/** Containers come onto networks and go off them: what a driver wants beside the endpoint itself. */
export class Attachments {
  readonly #registry: NetworkRegistry;
  readonly #table: SandboxTable;
  readonly #endpoints: Endpoints;
  readonly #gateway: GatewayNetwork;
  readonly #overlays: Overlays | undefined;

  constructor(options: AttachmentsOptions) {
    this.#registry = options.registry;
    this.#table = options.table;
    this.#endpoints = options.endpoints;
    this.#gateway = options.gateway;
    this.#overlays = options.overlays;
  }

  /** @throws EngineError in Docker's words; nothing of it is left then */
  attach(request: AttachRequest): EndpointRecord {
    const { network } = request;
    if (network.driver === 'config-only') {
      throw forbidden(`cannot create endpoint on configuration-only network`);
    }
    if (!isAddressed(network)) {
      throw forbidden(
        network.driver === 'host'
          ? 'cannot connect container to host network - container must be created in host network mode'
          : 'container cannot be connected to multiple networks with one of the networks in private (none) mode',
      );
    }
    const sandbox = this.#table.sandbox(request.containerId);
    if (sandbox === undefined) throw new Error(`container ${request.containerId} has no sandbox`);
    if (network.driver === 'overlay') return this.#attachOverlay(request, network, sandbox);
    return this.#endpoints.attach(request, network, sandbox);
  }

  /** The tunnel is there before its first container, and goes with the last. */
  #attachOverlay(request: AttachRequest, network: OverlayNetwork, sandbox: Sandbox): EndpointRecord {
    const overlays = this.#overlays;
    if (overlays === undefined) throw unavailable('the daemon has no --cluster-store any more');
    overlays.carry(network);
    try {
      const endpoint = this.#endpoints.attach(request, network, sandbox);
      if (!network.internal) this.#gateway.give(request, sandbox);
      overlays.publish(endpoint);
      return endpoint;
    } catch (error) {
      const made = this.#table.endpoints(sandbox.id).find(({ networkId }) => networkId === network.id);
      if (made === undefined) overlays.release(network);
      else this.#endpoints.detach(sandbox, made);
      throw error;
    }
  }

  /** @throws EngineError FORBIDDEN when the container is not on that network */
  detach(containerId: string, networkId: string): void {
    const sandbox = this.#table.sandbox(containerId);
    const endpoint = this.#table.endpoints(sandbox?.id).find((other) => other.networkId === networkId);
    if (sandbox === undefined || endpoint === undefined) {
      const name = this.#registry.get(networkId)?.name ?? networkId;
      throw forbidden(`container ${containerId} is not connected to network ${name}`);
    }
    this.#endpoints.detach(sandbox, endpoint);
    this.#registry.forgetAddresses(containerId, networkId);
    this.#gateway.take(sandbox);
  }
}
