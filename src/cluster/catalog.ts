import type { Logger } from 'pino';
import type { Store } from '../engine/store.ts';
import { errors, system } from '../model/errors.ts';
import type { OverlaySpec, RemoteEndpoint } from '../model/overlay.ts';
import type { ClusterStore } from './cluster-store.ts';
import type { Membership } from './membership.ts';
import { Mirror } from './mirror.ts';

/** RFC 7348 has 24 bits; Docker's begin at 4096. */
const FIRST_VNI = 4096;
const LAST_VNI = 2 ** 24 - 1;

/** The overlay networks that all hosts agree on; names, subnets and VXLAN identifiers are unique without a leader. */
export class Catalog {
  readonly networks: Mirror<OverlaySpec>;
  readonly #remote: ClusterStore;
  readonly #membership: Membership;

  constructor(remote: ClusterStore, local: Store, membership: Membership, log: Logger) {
    this.#remote = remote;
    this.#membership = membership;
    this.networks = new Mirror(remote, 'nets/', local.collection('cluster_networks'), log);
  }

  get(id: string): OverlaySpec | undefined {
    return this.networks.get(`nets/${id}`);
  }

  /**
   * Makes a network on all hosts, or on none. @param choose gives the specification from what is there now; asked again
   * when another host was faster
   * @throws EngineError CONFLICT for a name that is taken, UNAVAILABLE without the store; what `choose` throws
   */
  async create(
    name: string,
    choose: (others: readonly OverlaySpec[], vni: number) => OverlaySpec,
  ): Promise<OverlaySpec> {
    let tried: OverlaySpec | undefined;
    for (;;) {
      // Before the listing: what is created after this moment makes the write fail.
      const turn = await this.#remote.get<string>('turn');
      const { entries } = await this.#remote.list<OverlaySpec>('nets/');
      const others = entries.map(({ value }) => value);
      // The answer to our write was lost, and another member asked.
      const made = others.find(({ id }) => id === tried?.id);
      if (made !== undefined) return this.#created(made);
      if (others.some((other) => other.name === name)) throw errors.networkExists(name);
      const spec = choose(others, freeVni(others));
      tried = spec;
      const revision = await this.#membership.commit(
        [
          { key: `netnames/${name}`, is: 'absent' },
          // Subnets and VNIs are chosen from what was listed: nobody may have created in between.
          turn === undefined
            ? { key: 'turn', is: 'absent' }
            : { key: 'turn', is: 'at', revision: turn.revision },
        ],
        [
          { put: `nets/${spec.id}`, value: spec },
          { put: `netnames/${name}`, value: spec.id },
          { put: 'turn', value: this.#membership.node.id },
        ],
      );
      if (revision !== undefined) return this.#created(spec);
    }
  }

  #created(spec: OverlaySpec): OverlaySpec {
    this.networks.put(`nets/${spec.id}`, spec);
    return spec;
  }

  /** @throws EngineError FORBIDDEN while a container of any host is on it, UNAVAILABLE without the store */
  async remove(spec: OverlaySpec): Promise<void> {
    const endpoints = await this.endpoints(spec.id);
    if (endpoints.length > 0) {
      const users = endpoints.map(({ containerName, id, nodeId }) => {
        const host = this.#membership.get(nodeId)?.name ?? nodeId.slice(0, 12);
        return `name:"${containerName}" id:"${id.slice(0, 12)}" host:"${host}"`;
      });
      throw errors.networkInUse(spec.name, users);
    }
    await this.#membership.commit(
      [],
      [
        { remove: `nets/${spec.id}` },
        { remove: `netnames/${spec.name}` },
        { put: 'turn', value: this.#membership.node.id },
      ],
    );
    await this.#remote.removeAll(`blocks/${spec.id}/`);
    this.networks.put(`nets/${spec.id}`, undefined);
  }

  /** Of all hosts, as the store has them now. @throws EngineError UNAVAILABLE */
  async endpoints(networkId: string): Promise<readonly RemoteEndpoint[]> {
    const { entries } = await this.#remote.list<RemoteEndpoint>(`eps/${networkId}/`);
    return entries.map(({ value }) => value);
  }
}

/** @throws EngineError SYSTEM when all are taken */
function freeVni(others: readonly OverlaySpec[]): number {
  const taken = new Set(others.map(({ vni }) => vni));
  for (let vni = FIRST_VNI; vni <= LAST_VNI; vni++) if (!taken.has(vni)) return vni;
  throw system('every VXLAN network identifier is taken');
}
